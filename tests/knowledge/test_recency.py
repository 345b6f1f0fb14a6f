from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.documents import Chunk
from knowledge.recency import WEIGHT, Recency

TODAY = date(2026, 3, 31)


def chunk(day: date | None) -> Chunk:
    return Chunk("c", "d", "s", 0, "T", "", "t.md", "x", metadata={"date": day.isoformat()} if day else {})


def bonus(*ages: int | None, half_life: float = 100) -> float:
    places = [chunk(None if age is None else TODAY - timedelta(days=age)) for age in ages]
    return Recency(half_life, today=lambda: TODAY).bonus(places)


def test_it_halves_with_each_half_life() -> None:
    assert [bonus(age) for age in (0, 100, 200)] == pytest.approx([WEIGHT, WEIGHT / 2, WEIGHT / 4])


def test_a_document_without_a_day_is_neither_young_nor_old() -> None:
    assert bonus(None) == pytest.approx(WEIGHT / 2)


def test_the_youngest_place_of_a_passage_counts() -> None:
    assert bonus(300, 10, None) == bonus(10)
    assert bonus() == 0


@given(st.integers(-1000, 40_000), st.integers(0, 1000), st.floats(0.1, 40_000))
def test_it_is_bounded_and_falls_with_age(age: int, more: int, half_life: float) -> None:
    assert 0 <= bonus(age + more, half_life=half_life) <= bonus(age, half_life=half_life) <= WEIGHT
