"""Known values, and bounds that hold for every input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.metrics import (
    Interval,
    Proportion,
    mean,
    ndcg_at_k,
    recall_at_k,
    reciprocal_rank,
    vote_rate,
    wilson_interval,
)

rankings = st.lists(st.sampled_from("abcdefgh"), max_size=12)
relevant = st.sets(st.sampled_from("abcdefgh"), min_size=1)
ks = st.integers(1, 12)


def test_known_values() -> None:
    assert recall_at_k(["x", "a", "b"], {"a", "b"}, k=2) == 0.5
    assert reciprocal_rank(["x", "a"], {"a", "b"}) == 0.5
    assert reciprocal_rank(["x"], {"a"}) == 0
    assert ndcg_at_k(["b", "a"], {"a": 1.0}, k=2) == pytest.approx(0.63093, abs=1e-5)
    assert vote_rate([1, -1, 1]) == Proportion(2, 3)


def test_wilson_known_values() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
    low_high = wilson_interval(81, 263)
    assert (low_high.low, low_high.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert (wilson_interval(0, 20).low, wilson_interval(0, 20).high) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson_interval(0, 0) == Interval(0.0, 1.0)


def test_nothing_relevant_is_refused() -> None:
    with pytest.raises(ValueError, match="relevant"):
        recall_at_k(["a"], set(), k=1)
    with pytest.raises(ValueError, match="no proportion"):
        wilson_interval(2, 1)


@given(rankings, relevant, ks)
def test_bounds(ranked: list[str], wanted: set[str], k: int) -> None:
    gains = dict.fromkeys(wanted, 1.0)
    assert 0 <= recall_at_k(ranked, wanted, k=k) <= recall_at_k(ranked, wanted, k=k + 1) <= 1
    assert 0 <= reciprocal_rank(ranked, wanted) <= 1
    assert 0 <= ndcg_at_k(ranked, gains, k=k) <= 1
    assert ndcg_at_k(sorted(wanted), gains, k=k) == pytest.approx(1)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_holds_the_proportion(count: int, more: int) -> None:
    total = count + more
    interval = wilson_interval(count, total)
    assert 0 <= interval.low <= interval.high <= 1
    value = Proportion(count, total).value
    assert value is None or interval.low <= value <= interval.high


@given(st.lists(st.floats(0, 1), max_size=30))
def test_mean_lies_in_range(values: list[float]) -> None:
    found = mean(values, resamples=50)
    assert found == mean(values, resamples=50)
    assert 0 <= found.interval.low <= found.interval.high <= 1
    assert found.total == len(values)
    assert (found.value is None) == (not values)
