"""The arithmetic of evaluation. Pure functions; ranks count from 1; every result lies in [0, 1]."""

import math
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from feedback.records import Score


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, ends included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Proportion:
    """So many of so many."""

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """None when there was nothing to count."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> Interval:
        """95 %, Wilson."""
        return wilson_interval(self.count, self.total)


@dataclass(frozen=True, slots=True)
class Mean:
    """An average with its 95 % interval by bootstrap; `value` is None when there was nothing to average."""

    value: float | None
    total: int
    interval: Interval


def rank_of_first(ranked: Sequence[str], relevant: Collection[str]) -> int | None:
    """The rank of the first relevant item, or None."""
    return next((rank for rank, item in enumerate(ranked, start=1) if item in relevant), None)


def recall_at_k(ranked: Sequence[str], relevant: Collection[str], *, k: int) -> float:
    """The share of the relevant items that are among the first k.

    Raises:
        ValueError: nothing is relevant, so that the share is not defined, or k < 1.
    """
    if not relevant or k < 1:
        raise ValueError("recall needs at least one relevant item and k >= 1")
    return len(set(ranked[:k]) & set(relevant)) / len(set(relevant))


def reciprocal_rank(ranked: Sequence[str], relevant: Collection[str]) -> float:
    """1 / rank of the first relevant item; 0 when there is none. Its mean over questions is the MRR
    (Voorhees, "The TREC-8 Question Answering Track Report", 1999).
    """
    rank = rank_of_first(ranked, relevant)
    return 1 / rank if rank else 0.0


def ndcg_at_k(ranked: Sequence[str], gains: Mapping[str, float], *, k: int) -> float:
    """Normalised discounted cumulative gain with discount 1 / log2(rank + 1); 0 when no gain is possible.

    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002, in the form with
    linear gains. An item that is ranked twice counts once, at its first place.
    """
    first_seen = {item: rank for rank, item in reversed(list(enumerate(ranked[:k], start=1)))}
    found = sum(gains.get(item, 0.0) / math.log2(rank + 1) for item, rank in first_seen.items())
    best = sorted((gain for gain in gains.values() if gain > 0), reverse=True)[:k]
    ideal = sum(gain / math.log2(rank + 1) for rank, gain in enumerate(best, start=1))
    return min(found / ideal, 1.0) if ideal else 0.0  # the two sums may differ in the last bit


def wilson_interval(count: int, total: int, *, z: float = 1.959964) -> Interval:
    """Wilson's score interval for a proportion; z = 1.96 is 95 %. Nothing counted: [0, 1].

    (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n): Wilson, "Probable inference, the law of succession,
    and statistical inference", JASA 22 (1927). Unlike p ± z·sqrt(p(1-p)/n) it holds for few cases.
    """
    if not 0 <= count <= total:
        raise ValueError(f"{count} of {total} is no proportion")
    if total == 0:
        return Interval(0.0, 1.0)
    p, share = count / total, z * z / total
    middle = (p + share / 2) / (1 + share)
    half = z * math.sqrt(p * (1 - p) / total + share / (4 * total)) / (1 + share)
    return Interval(max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)))


def mean(values: Iterable[float], *, resamples: int = 2000, seed: int = 0) -> Mean:
    """The average of values in [0, 1] with a 95 % percentile bootstrap interval (Efron and Tibshirani, 1993).

    The seed is fixed, so that the same values always give the same interval.
    """
    values = list(values)
    if not values:
        return Mean(None, 0, Interval(0.0, 1.0))
    dice = random.Random(seed)  # noqa: S311 - statistics, not secrets
    means = sorted(math.fsum(dice.choices(values, k=len(values))) / len(values) for _ in range(resamples))
    low, high = means[int(0.025 * resamples)], means[int(0.975 * resamples) - 1]
    return Mean(math.fsum(values) / len(values), len(values), Interval(low, high))


def vote_rate(scores: Iterable[Score]) -> Proportion:
    """Votes up, of all votes. Those who vote are few and not typical: compare, do not take it for quality."""
    scores = list(scores)
    return Proportion(sum(score == 1 for score in scores), len(scores))
