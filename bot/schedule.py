"""When something is done: an interval such as "15m", or a line of cron such as "0 3 * * mon-fri".

Lines of cron mean what they mean to cron, which is not always what APScheduler takes them for. It counts weekdays from
Monday, ignores the step of "mon-fri/2", and wants day and weekday to hold both, where cron is content with one of them.
So the lines are read here, and APScheduler gets plain numbers. What happens when clocks are put forward or back is
left to it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

ALLOWED = 'an interval such as "15m", "6h" or "1d", or a line of cron such as "0 3 * * mon-fri"'
NEVER = "a time that comes: no month that it names has the day"
ZONE = 'the name of a time zone, such as "Europe/Berlin"'

_UNITS = {"m": "minute", "h": "hour", "d": "day"}
_LONGEST = timedelta(days=366)
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = dict(zip(range(1, 13), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), strict=True))
"""The most days that a month has."""
_ITEM = re.compile(r"(?:\*|(?P<first>[0-9a-z]+)(?:-(?P<last>[0-9a-z]+))?)(?:/(?P<step>[0-9]{1,3}))?")


@dataclass(frozen=True, slots=True)
class Every:
    """Again and again; the first time is now, wherever it is new."""

    interval: timedelta

    def __str__(self) -> str:
        seconds = self.interval.total_seconds()
        for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
            if seconds >= size and seconds % size == 0:
                return f"every {seconds / size:.0f} {unit}s" if seconds > size else f"every {unit}"
        return f"every {seconds:g} seconds"

    def trigger(self) -> Any:
        """What APScheduler takes."""
        from apscheduler.triggers.interval import IntervalTrigger

        return IntervalTrigger(seconds=self.interval.total_seconds(), timezone="UTC")


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times of a line of cron, by the clocks of a place."""

    line: str
    timezone: str = "UTC"

    def __str__(self) -> str:
        return f"{self.line} {self.timezone}"

    def trigger(self) -> Any:
        """What APScheduler takes."""
        from apscheduler.triggers.combining import OrTrigger
        from apscheduler.triggers.cron import CronTrigger

        minute, hour, day, month, weekday = map(_listed, _read(self.line), (60, 24, 31, 12, 7))
        days, weekdays = {"day": day}, {"day_of_week": weekday}
        triggers = [
            CronTrigger(minute=minute, hour=hour, month=month, **way, timezone=self.timezone)
            for way in ([days, weekdays] if _either_day(self.line) else [days | weekdays])
        ]
        return triggers[0] if len(triggers) == 1 else OrTrigger(triggers)


Schedule = Every | Cron


def parse(text: str, *, timezone: str = "UTC") -> Schedule:
    """The schedule that the text means; `timezone` is that of lines of cron.

    Raises:
        ValueError: it means none; the message is what it must be instead, to follow "it must be".
    """
    text = text.strip().lower()
    if interval := re.fullmatch(r"([0-9]{1,6})([mhd])", text):
        count, unit = int(interval[1]), _UNITS[interval[2]]
        length = timedelta(**{f"{unit}s": count})
        if not timedelta(minutes=1) <= length <= _LONGEST:
            raise ValueError(f'an interval from "1m" to "{_LONGEST.days}d"')
        return Every(length)
    line = " ".join(text.split())
    _, _, days, months, _ = _read(line)
    if not _either_day(line) and days[0] > max(_DAYS[month] for month in months):
        raise ValueError(NEVER)
    return Cron(line, check_timezone(timezone))


def check_timezone(name: str) -> str:
    """The name itself.

    Raises:
        ValueError: there is no such time zone; the message is what it must be instead.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(ZONE) from error
    return name


def _read(line: str) -> list[Sequence[int]]:
    """What each of the five fields stands for, in order; weekdays from Monday = 0, as APScheduler counts."""
    fields = line.split()
    if len(fields) != 5:  # noqa: PLR2004 - minute, hour, day, month, weekday
        raise ValueError(ALLOWED)
    minute, hour, day, month, weekday = fields
    return [
        _numbers(minute, range(60)),
        _numbers(hour, range(24)),
        _numbers(day, range(1, 32)),
        _numbers(month, range(1, 13), names=_MONTHS),
        sorted({(number - 1) % 7 for number in _numbers(weekday, range(8), names=_WEEKDAYS)}),
    ]


def _numbers(field: str, allowed: range, *, names: Sequence[str] = ()) -> Sequence[int]:
    """The numbers of one field: "1,3-5,*/10"."""
    values = {name: number for number, name in enumerate(names, start=allowed.start)}

    def value(text: str) -> int:
        number = values[text] if text in values else int(text) if text.isdecimal() else -1
        if number not in allowed:
            raise ValueError(ALLOWED)
        return number

    found: set[int] = set()
    for item in field.split(","):
        match = _ITEM.fullmatch(item)
        step = int(match["step"] or 1) if match else 0
        if match is None or step == 0:
            raise ValueError(ALLOWED)
        first = allowed.start if match["first"] is None else value(match["first"])
        if match["last"] is not None:
            last = value(match["last"])
        else:
            last = first if match["first"] is not None and match["step"] is None else allowed.stop - 1
        if names is _WEEKDAYS and last < first:  # "sat-mon", though not every cron knows it
            last += 7
        if last < first:
            raise ValueError(ALLOWED)
        found.update(range(first, last + 1, step))
    return sorted(found)


def _listed(numbers: Sequence[int], all_of_them: int) -> str:
    return "*" if len(numbers) == all_of_them else ",".join(map(str, numbers))


def _either_day(line: str) -> bool:
    """Whether day and weekday are both given: then one of them is enough."""
    _, _, day, _, weekday = line.split()
    return not day.startswith("*") and not weekday.startswith("*")
