import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from knowledge.passages import Unit, split_sentences, units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One. ", "Two! ", "Three?"]),
        ("Ask Dr. Smith, e.g. on Monday. Then go.", ["Ask Dr. Smith, e.g. on Monday. ", "Then go."]),
        ("It is 2.5 km. See a.md for more.", ["It is 2.5 km. ", "See a.md for more."]),
        ("Run `a. B` now. Done.", ["Run `a. B` now. ", "Done."]),
        ("See https://x.org/a.b?c=D. Then stop.", ["See https://x.org/a.b?c=D. ", "Then stop."]),
        ("Wrapped\nline. Next.", ["Wrapped\nline. ", "Next."]),
        ("Intro:\n- one. 1\n- two", ["Intro:\n", "- one. ", "1\n", "- two"]),
        ("1. First do this. 2. Then that.", ["1. First do this. ", "2. Then that."]),
        ("A paragraph\n\nAnother", ["A paragraph\n\n", "Another"]),
        ("", []),
    ],
)
def test_split_sentences(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


@given(
    st.text(alphabet=st.sampled_from(list("aB. \n`-|*1!?:/")) | st.characters(codec="utf-8"), max_size=120)
)
@example(". \n\n a")
def test_splitting_loses_nothing(text: str) -> None:
    assert "".join(split_sentences(text)) == text


STREAMED = (
    "The limit is 2.5 GB, e.g. for Dr. Smith. See `config. Yaml` and https://x.org/a. Then:\n\n"
    "- first. Item\n- second\n\nAt last, ask No. 5. Done!"
)


def test_all_sentences_but_the_last_are_complete_while_text_streams_in() -> None:
    whole = split_sentences(STREAMED)
    for end in range(len(STREAMED)):
        done = split_sentences(STREAMED[:end])[:-1]
        assert done == whole[: len(done)], STREAMED[:end]


def one(passage: str) -> Unit:
    (unit,) = units(passage)
    return unit


def test_sentences() -> None:
    found = units("The *limit* is [5](http://x). It is **firm** &amp; old.\n")
    assert [(u.kind, u.text) for u in found] == [
        ("sentence", "The *limit* is [5](http://x)."),
        ("sentence", "It is **firm** &amp; old."),
    ]
    assert [u.contextual_text for u in found] == ["The limit is 5.", "It is firm & old."]
    assert found[0].display == found[0].text


def test_items_know_what_introduces_them() -> None:
    found = units("Some text. Bring:\n\n- a *towel*\n- shoes:\n  - left\n  - right\n")
    assert [(u.kind, u.text, u.lead_in) for u in found] == [
        ("sentence", "Some text.", ""),
        ("item", "a *towel*", "Bring:"),
        ("item", "left", "Bring: shoes:"),
        ("item", "right", "Bring: shoes:"),
    ]
    assert found[1].contextual_text == "Bring: a towel"
    assert found[1].display == "a *towel*"


def test_rows_know_their_header() -> None:
    first, second = units("| Name | **Limit** |\n|:--|--:|\n| `a` | 1. Two |\n| b | |\n")
    assert first.kind == "row"
    assert first.text == "| `a` | 1. Two |"
    assert first.header == ("Name", "Limit")
    assert first.contextual_text == "Name: a; Limit: 1. Two"
    assert first.display == "| Name | Limit |\n|---|---|\n| `a` | 1. Two |"
    assert second.contextual_text == "Name: b"


def test_an_introducing_sentence_belongs_to_its_table() -> None:
    sentence, row = units("The following table lists types.\n\nA | B\n--- | ---\n1 | 2\n")
    assert (sentence.kind, row.kind) == ("sentence", "row")
    assert row.lead_in == "The following table lists types."


def test_code_is_one_unit() -> None:
    unit = one("Run this:\n\n```sh\nmake all. Now\n```\n")
    assert (unit.kind, unit.text, unit.lead_in) == ("code", "```sh\nmake all. Now\n```", "Run this:")
    assert unit.contextual_text == "Run this: make all. Now"


def test_headings_inside_a_passage_are_context() -> None:
    found = units("### Who?\n\nWe.\n\n### When?\n\nNow.")
    assert [(u.text, u.heading) for u in found] == [("We.", "Who?"), ("Now.", "When?")]


def test_quotes_are_read_through() -> None:
    assert [u.text for u in units("> One. Two\n> three.\n")] == ["One.", "Two\nthree."]


@given(st.text(alphabet=st.sampled_from(list("aB. \n`-|*#>1:")), max_size=80))
def test_units_of_any_text(text: str) -> None:
    for unit in units(text):
        assert unit.text.strip()
        assert unit.display
        assert isinstance(unit.contextual_text, str)


def test_ticks_without_end_are_cut_at_once() -> None:
    text = f"One {'`' * 50_000} two. Three."
    assert "".join(split_sentences(text)) == text
