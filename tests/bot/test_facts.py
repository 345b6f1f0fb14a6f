import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.facts import CALENDAR, citations, facts, normalise_number, numbers, strip_citations


@pytest.mark.parametrize("part", ["-", "é", "...", "a_"])
def test_a_word_without_end_is_read_at_once(part: str) -> None:
    assert facts(part * 200_000).numbers == frozenset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("up to 140 EUR a night", {"140"}),
        ("1,200.50 EUR", {"1200.5"}),
        ("1 200 and 1200 and 1’200", {"1200"}),
        ("within five working days", {"5"}),
        ("twenty days, or 25", {"20", "25"}),
        ("from 09:00 to 17:30", {"9:00", "17:30"}),
        ("one of the managers", set()),
        ("one day of leave", {"1"}),
        ("the second visit", {"2"}),
        ("2.5 % of salary", {"2.5"}),
        ("on 1 March 2026", {"1", "2026"}),
    ],
)
def test_numbers_have_one_spelling(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


@given(st.integers(min_value=0, max_value=10**9))
def test_thousand_separators_do_not_change_a_number(value: int) -> None:
    assert normalise_number(f"{value:,}") == normalise_number(str(value)) == str(value)


def test_names_are_capitalised_words_that_do_not_merely_begin_a_sentence() -> None:
    assert facts("The limit in Munich is set by Ana Ruiz.").names == {"munich", "ana", "ruiz"}
    assert facts("You can take it on Friday. However, ask first.").names == {"friday"}
    assert facts("Paris is out of scope.").names == {"paris"}


def test_an_address_or_a_command_is_one_fact() -> None:
    stated = facts("Write to help@corp.example or run `loft deploy --prod` from docs/setup.md.")
    assert stated.technical == {"help@corp.example", "loft deploy --prod", "docs/setup.md"}
    assert not stated.numbers


def test_citations_are_not_numbers() -> None:
    assert not facts("It is allowed [1][2].").numbers
    assert citations("It is allowed [2] on Fridays [1, 2].") == [2, 1]
    assert strip_citations("It is allowed [2].") == "It is allowed."


@given(st.text())
def test_any_text_has_facts_without_an_error(text: str) -> None:
    facts(text)


@given(st.text(alphabet=st.characters(categories=["Ll", "Zs"])))
def test_small_letters_name_nothing_but_the_calendar(text: str) -> None:
    assert facts(text).names <= CALENDAR
