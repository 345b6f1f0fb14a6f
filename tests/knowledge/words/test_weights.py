import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.words.weights import LEVELS, SCALE, USUAL_LENGTH, inverse_document_frequency, levels, weight

WORDS = st.lists(st.sampled_from("abcdef"), max_size=30)


def test_a_title_counts_more_than_a_heading_and_that_more_than_text() -> None:
    rest = ["x"] * USUAL_LENGTH
    title, heading = levels(["a"], [], rest)["a"], levels([], ["a"], rest)["a"]
    assert title > heading > levels([], [], ["a", *rest])["a"]


def test_a_word_counts_more_in_a_short_passage() -> None:
    assert levels([], [], ["a"])["a"] > levels([], [], ["a", *["x"] * 300])["a"]


@given(WORDS, WORDS, WORDS)
def test_every_term_has_a_level(title: list[str], heading: list[str], text: list[str]) -> None:
    found = levels(title, heading, text)
    assert found.keys() == {*title, *heading, *text}
    assert all(1 <= level <= LEVELS for level in found.values())


@given(WORDS, st.sampled_from("abcdef"))
def test_another_occurrence_never_weighs_less(text: list[str], word: str) -> None:
    more = [*text, word]
    longer = levels([], [], [*text, "other"])
    assert levels([], [], more)[word] >= longer.get(word, 0)


def test_rare_terms_are_worth_more_and_none_costs() -> None:
    values = [inverse_document_frequency(n, of=1000) for n in (1, 10, 500, 1000)]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0
    assert inverse_document_frequency(1, of=3) == pytest.approx(0.98, abs=0.01)


@given(st.lists(st.tuples(st.floats(0, 14), st.integers(1, LEVELS)), max_size=64))
def test_scores_are_added_without_rounding_in_the_index(parts: list[tuple[float, int]]) -> None:
    """Tantivy adds in single precision, which has 24 bits."""
    total = sum(weight(idf, level) for idf, level in parts)
    assert total * SCALE == int(total * SCALE) < 1 << 24
