"""What the messages of an answer show."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from adapters.discord.contents import BELOW, PART, answered, failed, said, stopped, waiting, written
from bot.messages import Final
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
    assert said("- `help`: shows this", "usual")[0].controls == ()
    assert waiting("2nd in line, about 20 s", TURN).text == "-# 2nd in line, about 20 s…"
    assert written(" ", TURN) == []


@given(MARKDOWN, st.sampled_from(["usual", "short"]))
def test_nothing_is_longer_than_a_message_and_only_the_last_has_buttons(markdown: str, fit: object) -> None:
    contents = answered(FINAL, can_share=False)(markdown, fit)  # type: ignore[arg-type]
    assert all(1 <= len(content.text) <= PART for content in contents)
    assert [bool(content.controls) for content in contents] == [False] * (len(contents) - 1) + [True]
    for content in contents:
        assert (
            content.text.count("```") % 2 == 0 or "```" not in markdown or "`" in markdown.replace("```", "")
        )
