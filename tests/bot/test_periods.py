"""Stretches of time as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import UsageError
from bot.periods import LONGEST, period


@pytest.mark.parametrize(
    ("text", "days"), [("7d", 7), ("4w", 28), (" 1 Day ", 1), ("2 weeks", 14), ("3660d", 3660), ("1W", 7)]
)
def test_days_and_weeks(text: str, days: int) -> None:
    assert period(text) == timedelta(days=days)


@pytest.mark.parametrize(
    "text", ["", "7", "d", "0d", "-1d", "1.5d", "7h", "3661d", "9999w", "week", "٣d", "7d!"]
)
def test_anything_else_is_a_sentence_with_the_right_form(text: str) -> None:
    with pytest.raises(UsageError, match=r"such as `7d` or `4w`"):
        period(text)


@given(st.text() | st.from_regex(r"\d{1,5} ?[dw]", fullmatch=True))
def test_a_period_is_at_least_a_day_or_one_sentence(text: str) -> None:
    try:
        found = period(text)
    except UsageError as error:
        sentence = str(error)
    else:
        sentence = ""
        assert timedelta(days=1) <= found <= LONGEST
    assert len(sentence.splitlines()) <= 1
