"""How much younger documents are preferred, where a team wants that.

    score' = score + WEIGHT · 2^(−age / half-life)

with the age of the document in days. A document of today is ahead of a very old one that matches as well by `WEIGHT`,
one as old as the half-life by half of that. The factor is bounded, so that it decides between passages that match about
equally and never puts a young one that is beside the point before an old one that is not. A document whose day is not
known counts as one half-life old; one from the future as one of today.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from knowledge.documents import Chunk
from knowledge.filters import date_of

WEIGHT = 0.15
"""In the unit of `Hit.score`, of which a cosine is the larger part: about the distance of the first passage to the
tenth."""


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True)
class Recency:
    """What is added to the score of a passage for the day of its document."""

    half_life: float
    """Days, more than 0."""
    weight: float = WEIGHT
    today: Callable[[], date] = _today

    def bonus(self, places: Iterable[Chunk]) -> float:
        """0 to `weight`: of the youngest of the documents in which the passage stands."""
        today = self.today()
        return max((self._of(date_of(chunk), today) for chunk in places), default=0.0)

    def _of(self, day: date | None, today: date) -> float:
        age = self.half_life if day is None else max((today - day).days, 0)
        # Without the second, a half-life of hours would be a division by almost nothing.
        return float(self.weight * 2.0 ** -(age / max(self.half_life, 1e-3)))
