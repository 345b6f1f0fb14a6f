"""What the messages of an answer show."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from adapters.discord.contents import (
    BELOW,
    CUSTOM_ID,
    PART,
    action_id,
    answered,
    failed,
    reported,
    said,
    stopped,
    waiting,
    written,
)
from bot.messages import Final
from bot.notices import Action
from feedback.records import SourceRecord

TURN = "0" * 32
SOURCE = SourceRecord(
    1, "c", "Travel [draft] *x*", "Hotels", "https://docs.example/t", 0.9, "Munich: 160 EUR"
)
FINAL = Final(TURN, "written", "160 EUR.", (SOURCE,), "m", 1, 2, 3)

MARKDOWN = st.lists(
    st.one_of(
        st.text(max_size=400),
        st.text("ab \n", max_size=3000).map(lambda code: f"```py\n{code}\n```"),
        st.integers(1, 80).map(lambda n: "| City | Limit |\n|---|---|\n" + "| Munich | 160 |\n" * n),
        st.integers(1, 200).map(lambda n: "- an item of a list\n" * n),
    ),
    max_size=6,
).map("\n\n".join)


def test_sources_stand_below_with_links() -> None:
    (content,) = answered(FINAL, can_share=False)("160 EUR. [1]", "usual")
    assert content.text == "160 EUR. [1]"
    assert content.below == "[1] [Travel (draft) \\*x\\* › Hotels](<https://docs.example/t>)"
    assert content.controls == ("up", "down", "again")


def test_a_source_that_is_a_file_has_its_name() -> None:
    final = replace(FINAL, sources=(replace(SOURCE, uri="/srv/docs/travel.md", title="Travel"),))
    (content,) = answered(final, can_share=True)("160 EUR. [1]", "usual")
    assert content.below == "[1] Travel › Hotels · `travel.md`"
    assert content.controls[-1] == "share"


def test_without_embeds_the_sources_are_small_text() -> None:
    (content,) = answered(FINAL, can_share=False, can_embed=False)("160 EUR. [1]", "usual")
    assert "\n\n-# [1] [Travel" in content.text
    assert content.below == ""


def test_many_sources_are_counted() -> None:
    many = tuple(
        replace(SOURCE, n=n, title=f"Document {n} " + "x" * 100, uri=f"https://d.example/{n}")
        for n in range(99)
    )
    (content,) = answered(replace(FINAL, sources=many), can_share=False)("Yes.", "usual")
    assert len(content.below) <= BELOW + 20
    assert content.below.endswith("more")


def test_quotes_and_remarks_are_said() -> None:
    final = replace(FINAL, mode="quotes", note="The model is down.")
    (content,) = answered(final, can_share=False)("160 EUR.", "usual")
    assert content.below.startswith("In the documents' own words. The model is down.\n")


def test_what_ends_otherwise() -> None:
    assert failed("Ask *again*.")("Half.", "usual")[0].text == "Half.\n\nAsk \\*again\\*."
    assert stopped()("", "usual")[0].text == "-# Stopped."
    assert said()("- `help`: shows this", "usual")[0].controls == ()
    assert waiting("2nd in line, about 20 s", TURN).text == "-# 2nd in line, about 20 s…"
    assert written(" ", TURN) == []


def test_what_can_be_done_next_is_below_the_last_part() -> None:
    go = Action("Go on", "reindex go handbook")
    first, *_, last = said([go])("word " * 1000, "usual")
    assert (first.actions, last.actions) == ((), (go,))


def test_how_far_a_command_is_is_one_message() -> None:
    assert reported("▓▓░░ 50% · `travel.md`").text == "▓▓░░ 50% · `travel.md`"
    assert len(reported("word " * 1000).text) <= PART


@given(st.lists(st.integers(0, 120).map(lambda n: Action(f"Go {n}", "x" * n)), max_size=40))
def test_every_action_has_a_button_or_is_told_in_words(actions: list[Action]) -> None:
    contents = said(actions)("This is much.", "usual")
    text, buttons = "\n".join(c.text for c in contents), contents[-1].actions
    assert [a for a in actions if a not in buttons and f"say to me `{a.command}`" not in text] == []
    assert all(len(action_id(n, action.command)) <= CUSTOM_ID for n, action in enumerate(buttons))


@given(MARKDOWN, st.sampled_from(["usual", "short"]))
def test_nothing_is_longer_than_a_message_and_only_the_last_has_buttons(markdown: str, fit: object) -> None:
    contents = answered(FINAL, can_share=False)(markdown, fit)  # type: ignore[arg-type]
    assert all(1 <= len(content.text) <= PART for content in contents)
    assert [bool(content.controls) for content in contents] == [False] * (len(contents) - 1) + [True]
    for content in contents:
        assert (
            content.text.count("```") % 2 == 0 or "```" not in markdown or "`" in markdown.replace("```", "")
        )
