"""How what is said in a channel itself is cut: weeks are read as a whole, days are made documents of. All in UTC."""

from datetime import UTC, datetime, timedelta

from knowledge.sources.chat.transcript import day_of

WEEK = timedelta(days=7)
_WEEK, _DAY = "week ", "day "
"""How weeks and days are called; no thread has such an id."""


def week_of(moment: datetime) -> datetime:
    """When the week begins in which that is; weeks begin with a day (UTC), so a day is in one week."""
    moment = moment.astimezone(UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.weekday())


def is_day(part: str) -> bool:
    """Whether it is a day of the channel itself, and no thread."""
    return part.startswith(_DAY)


def week_name(moment: datetime) -> str:
    return f"{_WEEK}{week_of(moment):%Y-%m-%d}"


def part_of(place: str, at: float) -> str:
    """What a message at that time belongs to: its day in a week of the channel, else its thread."""
    return f"{_DAY}{day_of(datetime.fromtimestamp(at, UTC))}" if place.startswith(_WEEK) else place


def day_named(part: str) -> datetime:
    """When that day begins."""
    return datetime.fromisoformat(part.removeprefix(_DAY)).replace(tzinfo=UTC)
