"""Markdown as Discord draws it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.discord.markup import NARROW, TABLE, discord_markdown, width

TABLES = st.lists(
    st.lists(st.text("abc |`*é漢 ", max_size=30), min_size=3, max_size=3), min_size=2, max_size=40
)


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("Plain *text* with `code || code`.", "Plain *text* with `code || code`."),
        ("#### Deep **one**", "**Deep one**"),
        ("## Two", "## Two"),
        ("Title\n===", "# Title"),
        ("> ### Quoted", "> ### Quoted"),
        ('See [here](https://a.example/x_(y) "t").', "See [here](<https://a.example/x_(y)>)."),
        ("See https://a.example/x.", "See <https://a.example/x>."),
        ("See <https://a.example/x>.", "See <https://a.example/x>."),
        ("![plan](https://a.example/p.png)", "[plan](<https://a.example/p.png>)"),
        ("`https://a.example`", "`https://a.example`"),
        ("a || b", "a \\|\\| b"),
        ("R&amp;D and `&amp;`", "R&D and `&amp;`"),
        ("one\\\ntwo", "one\ntwo"),
        ("~~~py\nx = 1\n~~~", "```py\nx = 1\n```"),
        ("    indented", "```\nindented\n```"),
        ("above\n\n---\n\nbelow", "above\n\n⸻\n\nbelow"),
        ("```\n| a | b |\n|---|---|\n```", "```\n| a | b |\n|---|---|\n```"),
    ],
)
def test_what_discord_does_not_know_is_said_otherwise(markdown: str, shown: str) -> None:
    assert discord_markdown(markdown) == shown


def test_a_narrow_table_becomes_code() -> None:
    table = "| City | Limit |\n|---|---|\n| Munich | **160** |\n| 漢 | [5](https://a.example) |"
    assert discord_markdown(table) == "```\nCity    Limit\n──────  ─────\nMunich  160\n漢      5\n```"


def test_a_wide_table_becomes_a_list() -> None:
    table = (
        "| Role | What it is responsible for | Where it sits |\n|---|---|---|\n"
        "| Lead | everything | [upstairs](https://a.example) |\n| | nothing | |"
    )
    assert discord_markdown(table) == (
        "- **Lead**\n  - What it is responsible for: everything\n"
        "  - Where it sits: [upstairs](<https://a.example>)\n- ⸻\n  - What it is responsible for: nothing"
    )


def test_each_block_of_a_long_table_has_the_header() -> None:
    rows = "\n".join(f"| City {n} | {n} EUR |" for n in range(300))
    blocks = discord_markdown(f"| City | Limit |\n|---|---|\n{rows}").split("\n\n")
    assert all(block.startswith("```\nCity") and block.endswith("\n```") for block in blocks)
    assert all(len(block) < TABLE + 200 for block in blocks)
    assert len(blocks) > 1


@given(TABLES)
def test_no_line_of_code_is_wider_than_a_phone_and_no_word_is_lost(rows: list[list[str]]) -> None:
    lines = [
        "| " + " | ".join(cell.replace("|", "\\|").replace("`", "") for cell in row) + " |" for row in rows
    ]
    shown = discord_markdown("\n".join([lines[0], "|---|---|---|", *lines[1:]]))
    if shown.startswith("```"):
        assert all(width(line) <= NARROW for line in shown.split("\n"))
    for row in rows[1:]:
        for word in re.findall(r"\w+", " ".join(row)):
            assert word in shown
