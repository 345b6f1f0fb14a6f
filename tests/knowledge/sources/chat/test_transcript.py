"""What was said becomes Markdown whose structure nobody's text can change."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.markdown import outline
from knowledge.sources.chat.messages import Message
from knowledge.sources.chat.transcript import PAUSE, safe, talks, transcript

START = datetime(2026, 11, 16, 23, 0, tzinfo=UTC)


def said(text: str, *, after: timedelta = timedelta(), author: str = "Ada", **more: object) -> Message:
    at = START + after
    values = {"id": f"{at.timestamp()}", "at": at, "author": author, "author_id": "U1", "link": "https://x/1"}
    return Message(text=text, **{**values, **more})  # type: ignore[arg-type]


def test_days_of_a_long_thread_are_headings() -> None:
    made = transcript([said("one"), said("two", after=timedelta(hours=2))], channel="#general")
    assert made.text == (
        "# one\n\n#general, 16 November 2026\n\n## 16 November 2026\n\n**Ada** (23:00): one\n\n"
        "## 17 November 2026\n\n**Ada** (01:00): two\n"
    )
    assert (made.uri, made.author, made.changed) == ("https://x/1", "Ada", START + timedelta(hours=2))


def test_a_talk_ends_with_a_pause_and_with_the_day() -> None:
    messages = [
        said("a"),
        said("b", after=PAUSE),
        said("c", after=PAUSE * 2 - timedelta(seconds=1)),
        said("d", after=PAUSE * 2),
        said("e", after=PAUSE * 3 + timedelta(seconds=1)),
    ]
    assert [[one.text for one in talk] for talk in talks(messages)] == [["a", "b", "c"], ["d"], ["e"]]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("**Hello** `there`, see [the guide](https://x.example)", "Hello there, see the guide"),
        ("> - 1. list", "list"),
        ("```\ncode\n```\nwhat is this?", "Ada in #general"),
        ("First sentence. " + "And a second one " * 20, "First sentence."),
        ("word " * 40, "word " * 19 + "word…"),
        ("snake_case and _emphasis_ {#id}", "snake_case and emphasis #id"),
    ],
)
def test_titles(text: str, title: str) -> None:
    assert transcript([said(text)], channel="#general").text.startswith(f"# {title}\n")


def test_files_alone_and_names_with_markup() -> None:
    made = transcript([said("", author="*A* [x]", attachments=("a.pdf", "b.png"))], channel="#general")
    assert made.text.endswith(
        "# a.pdf\n\n#general, 16 November 2026\n\n**A x** (23:00): Attached: a.pdf, b.png\n"
    )


def test_a_list_begins_on_a_line_of_its_own() -> None:
    made = transcript([said("- a\n- b", replying_to="Bob")], channel="#general", title="T")
    assert made.text.endswith("**Ada** (23:00, to Bob):\n\n- a\n- b\n")


def test_languages_of_code_where_the_platform_has_them() -> None:
    assert safe("```sh\nls\n```", languages=True) == "```sh\nls\n```"
    assert safe("```sh\nls\n```") == "```\nsh\nls\n```"
    assert safe("```one```", languages=True) == "```\none\n```"


LINES = st.lists(
    st.sampled_from(
        "# a|## b|text|---|===|```|~~~|````|    code|- item|<!-- x|<div>|<pre>||> quote|<?php|```py|x ``` y|1. one|"
        "[a]: https://x|<!X|</p>".split("|")
    )
    | st.sampled_from(["| a | b |", "|---|---|"]),
    max_size=8,
).map("\n".join)


@given(texts=st.lists(LINES, min_size=1, max_size=4))
def test_nobody_reaches_beyond_their_message(texts: list[str]) -> None:
    messages = [
        said(safe(text) or "x", after=timedelta(days=number), author=f"P{number}")
        for number, text in enumerate(texts)
    ]
    made = transcript(messages, channel="#general")
    headings, blocks = outline(made.text)
    days = 0 if len(texts) == 1 else len(texts)
    assert [heading.level for heading in headings] == [1, *[2] * days]
    lines = made.text.split("\n")
    starts = {lines[block.start][:6] for block in blocks if block.kind == "paragraph"}
    assert {f"**P{number}**" for number in range(len(texts))} <= starts
