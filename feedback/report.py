"""What people think of the answers, in figures: of all, of each place and of each week.

Every rate comes with its counts, and with a 95 % interval where there are enough of them to say more. Those who vote
are few and not typical: compare the figures with those of other weeks, do not take them for quality.

Direct messages, and replies that only the asker sees, are counted together and named nowhere. Of votes the reasons to
choose from are shown, and never what somebody wrote. A question that is answered while the summary is made may be
missing from a part of it.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from feedback.metrics import Proportion
from feedback.records import REASONS
from feedback.schema import turns, votes
from feedback.store import FeedbackStore

DIRECT = "direct messages"
EARLIER = "places not kept by an earlier version"
NO_REASON = "none given"
OWN_WORDS = "in their own words"

_FEWEST = 10
"""Counted before a rate gets a percentage: of less than these it says nothing."""
_SHOWN = 10
"""Places and weeks that are shown to people; of more, the number is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of questions that were asked, and the votes on their answers."""

    answered: int = 0
    """With something from the documents."""
    unknown: int = 0
    """With "I don't know"."""
    failed: int = 0
    cancelled: int = 0
    up: int = 0
    """Votes, not answers."""
    down: int = 0
    reasons: Mapping[str, int]
    """Of the votes down, those most often chosen first."""

    @property
    def asked(self) -> int:
        return self.answered + self.unknown + self.failed + self.cancelled

    @property
    def not_known(self) -> Proportion:
        """Of the questions that came to an end."""
        return Proportion(self.unknown, self.answered + self.unknown)

    @property
    def liked(self) -> Proportion:
        """Votes up, of all votes."""
        return Proportion(self.up, self.up + self.down)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Questions asked from `since` until before `until`."""

    since: datetime
    until: datetime
    total: Figures
    places: Mapping[str, Figures]
    """By `slack:C42`, `DIRECT` or `EARLIER`; where most was asked first."""
    weeks: Mapping[str, Figures]
    """By week of ISO 8601 in UTC, "2026-W09", oldest first; those without questions are missing."""


def summary(store: FeedbackStore, *, since: datetime, until: datetime) -> Summary:
    """Count in the database; reads no question and no answer. Raises `StoreError`."""
    weeks = _weeks(since, until)
    asked = _asked(since, until, [start for _, start in weeks[1:]])
    by_turn = sa.select(asked.c.place, asked.c.week, asked.c.outcome, asked.c.mode, sa.func.count()).group_by(
        asked.c.place, asked.c.week, asked.c.outcome, asked.c.mode
    )
    by_vote = (
        sa.select(asked.c.place, asked.c.week, votes.c.score, votes.c.reason, sa.func.count())
        .join(votes, votes.c.turn_id == asked.c.id)
        .group_by(asked.c.place, asked.c.week, votes.c.score, votes.c.reason)
    )
    with store.transaction() as connection:
        counted = [
            (place, week, _turn_kind(outcome, mode), n)
            for place, week, outcome, mode, n in connection.execute(by_turn)
        ]
        counted += [
            (place, week, _vote_kind(score, reason), n)
            for place, week, score, reason, n in connection.execute(by_vote)
        ]
    total: Counter[str] = Counter()
    by_place: defaultdict[str, Counter[str]] = defaultdict(Counter)
    by_week: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for place, week, kind, n in counted:
        for counts in (total, by_place[place], by_week[week]):
            counts[kind] += n
    places = [(place, _figures(counts)) for place, counts in by_place.items()]
    return Summary(
        since=since,
        until=until,
        total=_figures(total),
        places=dict(sorted(places, key=lambda one: (-one[1].asked, one[0]))),
        weeks={weeks[week][0]: _figures(counts) for week, counts in sorted(by_week.items())},
    )


def as_markdown(found: Summary) -> str:
    """For chat: short lines."""
    total, span = found.total, stretch(found.since, found.until)
    if not total.asked:
        return f"Nothing was asked {span}."
    lines = [f"**Answers {span}**", "", f"- {questions(total.asked)}, {total.answered} answered"]
    lines.append(f"- not known: {share(total.not_known, interval=True)}")
    lines.append(
        f"- 👍 {share(total.liked, interval=True, of=' votes')}" if total.liked.total else "- no votes"
    )
    if total.down:
        lines.append(f"- 👎 {total.down}: {reasons(total.reasons)}")
    if aside := ended_otherwise(total):
        lines.append(f"- besides: {aside}")
    lines += ["", "**By place**", ""]
    lines += [f"- {_place(place)}: {_in_short(one)}" for place, one in list(found.places.items())[:_SHOWN]]
    if (more := len(found.places) - _SHOWN) > 0:
        lines.append(f"- and {more} more")
    if len(found.weeks) > 1:
        lines += ["", "**By week**", ""]
        if (more := len(found.weeks) - _SHOWN) > 0:
            lines.append(f"- {more} earlier, not shown")
        lines += [f"- {week}: {_in_short(one)}" for week, one in list(found.weeks.items())[-_SHOWN:]]
    return "\n".join(lines)


def as_json(found: Summary) -> dict[str, Any]:
    """For programs; rates as `{"count", "total", "value", "low", "high"}`, `value` null without anything counted."""
    return {
        "since": found.since.isoformat(timespec="seconds"),
        "until": found.until.isoformat(timespec="seconds"),
        "total": figures_json(found.total),
        "places": [{"place": place} | figures_json(one) for place, one in found.places.items()],
        "weeks": [{"week": week} | figures_json(one) for week, one in found.weeks.items()],
    }


def figures_json(one: Figures) -> dict[str, Any]:
    """The counts and rates of `as_json`."""
    counts = {name: getattr(one, name) for name in ("asked", "answered", "unknown", "failed", "cancelled")}
    votes_cast = {"up": one.up, "down": one.down, "reasons": dict(one.reasons)}
    return counts | votes_cast | {"not_known": _rate_json(one.not_known), "liked": _rate_json(one.liked)}


def share(part: Proportion, *, interval: bool = False, of: str = "") -> str:
    """A rate as people read it: "14 of 129 (11 %, 95 % interval 7 to 17 %)"; of few, only the counts."""
    counts = f"{part.count} of {part.total}{of}"
    if part.value is None or part.total < _FEWEST:
        return counts
    span = f", 95 % interval {100 * part.interval.low:.0f} to {100 * part.interval.high:.0f} %" * interval
    return f"{counts} ({100 * part.value:.0f} %{span})"


def stretch(since: datetime, until: datetime) -> str:
    """ "from 1 March to 8 March 2026", in UTC."""
    first, last = since.astimezone(UTC), until.astimezone(UTC)
    year = f" {first.year}" if first.year != last.year else ""
    return f"from {first.day} {first:%B}{year} to {last.day} {last:%B} {last.year}"


def questions(count: int) -> str:
    return "1 question" if count == 1 else f"{count} questions"


def reasons(chosen: Mapping[str, int]) -> str:
    """ "wrong 4, too slow 1"."""
    return ", ".join(f"{reason} {n}" for reason, n in chosen.items())


def ended_otherwise(one: Figures) -> str:
    """ "2 failed, 1 cancelled"; empty when nothing did."""
    return ", ".join(f"{n} {how}" for n, how in ((one.failed, "failed"), (one.cancelled, "cancelled")) if n)


def _place(place: str) -> str:
    return place if place in {DIRECT, EARLIER} else "`" + place.replace("`", "'") + "`"


def _in_short(one: Figures) -> str:
    parts = [questions(one.asked), f"{share(one.not_known)} not known"]
    if one.liked.total:
        parts.append(f"👍 {share(one.liked)}")
    return ", ".join(parts)


def _rate_json(part: Proportion) -> dict[str, float | int | None]:
    return {
        "count": part.count,
        "total": part.total,
        "value": part.value,
        "low": part.interval.low,
        "high": part.interval.high,
    }


def _asked(since: datetime, until: datetime, week_starts: Sequence[datetime]) -> sa.Subquery:
    """Each turn of that time with its place and the number of its week."""
    before = [(turns.c.started_at < start, n) for n, start in enumerate(week_starts)]
    place = sa.case(
        (turns.c.audience.is_(None), EARLIER),
        (turns.c.audience == (), DIRECT),
        else_=turns.c.platform + ":" + turns.c.conversation_id,
    )
    # A subquery, because PostgreSQL takes the same expression with parameters twice for two.
    return (
        sa.select(
            turns.c.id,
            place.label("place"),
            (sa.case(*before, else_=len(before)) if before else sa.literal(0)).label("week"),
            turns.c.outcome,
            turns.c.mode,
        )
        .where(turns.c.started_at >= since, turns.c.started_at < until)
        .subquery()
    )


def _weeks(since: datetime, until: datetime) -> list[tuple[str, datetime]]:
    """Names and beginnings of the weeks that `since` to `until` touches; at least one."""
    first = since.astimezone(UTC)
    start = (first - timedelta(days=first.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[tuple[str, datetime]] = []
    while not found or start < until:
        year, week, _ = start.isocalendar()
        found.append((f"{year}-W{week:02}", start))
        start += timedelta(weeks=1)
    return found


def _turn_kind(outcome: str, mode: str) -> str:
    if outcome != "answered":
        return outcome
    return "unknown" if mode == "unknown" else "answered"


def _vote_kind(score: int, reason: str) -> str:
    if score > 0:
        return "up"
    # What programs send may be anything; see `Vote.reason`.
    return "down:" + (reason if reason in REASONS else OWN_WORDS if reason else NO_REASON)


def _figures(counts: Counter[str]) -> Figures:
    reasons = {kind.removeprefix("down:"): n for kind, n in counts.most_common() if kind.startswith("down:")}
    return Figures(
        answered=counts["answered"],
        unknown=counts["unknown"],
        failed=counts["failed"],
        cancelled=counts["cancelled"],
        up=counts["up"],
        down=sum(reasons.values()),
        reasons=reasons,
    )
