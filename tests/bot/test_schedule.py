"""A schedule means what cron and people mean by it, whatever APScheduler makes of such lines."""

import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.schedule import Cron, Every, Schedule, check_timezone, parse

SUNDAY = datetime(2026, 3, 1, tzinfo=UTC)


def _next(schedule: Schedule, count: int, *, after: datetime = SUNDAY) -> list[datetime]:
    trigger = pickle.loads(pickle.dumps(schedule.trigger()))  # noqa: S301 - as the job store keeps it
    found: list[datetime] = []
    now, previous = after, None
    for _ in range(count):
        previous = trigger.get_next_fire_time(previous, now)
        assert previous is not None
        now = previous
        found.append(previous)
    return found


@pytest.mark.parametrize(
    ("text", "interval", "words"),
    [
        ("15m", timedelta(minutes=15), "every 15 minutes"),
        (" 1M ", timedelta(minutes=1), "every minute"),
        ("90m", timedelta(minutes=90), "every 90 minutes"),
        ("6h", timedelta(hours=6), "every 6 hours"),
        ("1d", timedelta(days=1), "every day"),
    ],
)
def test_intervals(text: str, interval: timedelta, words: str) -> None:
    schedule = parse(text)
    assert schedule == Every(interval)
    assert str(schedule) == words
    first, second = _next(schedule, 2)
    assert second - first == interval


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("0", {"sun"}),
        ("7", {"sun"}),
        ("1", {"mon"}),
        ("6", {"sat"}),
        ("SUN", {"sun"}),
        ("1-5", {"mon", "tue", "wed", "thu", "fri"}),
        ("mon-fri", {"mon", "tue", "wed", "thu", "fri"}),
        ("mon-fri/2", {"mon", "wed", "fri"}),
        ("*/2", {"sun", "tue", "thu", "sat"}),
        ("0,3", {"sun", "wed"}),
        ("5-7", {"fri", "sat", "sun"}),
        ("fri-mon", {"fri", "sat", "sun", "mon"}),
        ("0-7", {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}),
    ],
)
def test_weekdays_are_those_of_cron(field: str, days: set[str]) -> None:
    times = _next(parse(f"30 3 * * {field}"), 2 * len(days))
    assert {f"{time:%a}".lower() for time in times} == days
    assert {(time.hour, time.minute, time.second) for time in times} == {(3, 30, 0)}


def test_months_and_steps() -> None:
    assert [f"{time:%m-%d}" for time in _next(parse("0 0 1 jan-jun/2 *"), 3)] == ["03-01", "05-01", "01-01"]
    assert [f"{time:%H:%M}" for time in _next(parse("10/20 8-18/5 * * *"), 4)] == [
        "08:10",
        "08:30",
        "08:50",
        "13:10",
    ]


def test_a_day_of_the_month_or_a_weekday_is_enough_when_both_are_given() -> None:
    times = _next(parse("0 0 13 * fri"), 5)
    assert [f"{time:%a %d}" for time in times] == ["Fri 06", "Fri 13", "Fri 20", "Fri 27", "Fri 03"]
    assert [f"{time:%m-%d}" for time in _next(parse("0 0 13 4-5 fri"), 3)] == ["04-03", "04-10", "04-13"]
    # A field that begins with a star limits the other, as cron has it.
    assert [f"{time:%a %m-%d}" for time in _next(parse("0 0 */10 * sun"), 2)] == ["Sun 03-01", "Sun 05-31"]


def test_lines_follow_the_clocks_of_their_place() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    schedule = parse("30 7 * * *", timezone="Europe/Berlin")
    assert str(schedule) == "30 7 * * * Europe/Berlin"
    before, after = _next(schedule, 2, after=datetime(2026, 3, 28, 6, 0, tzinfo=UTC))
    assert before == datetime(2026, 3, 28, 7, 30, tzinfo=berlin)
    assert after - before == timedelta(days=1)
    assert after.astimezone(UTC) - before.astimezone(UTC) == timedelta(hours=23)  # the clocks went forward


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    weekday=st.integers(0, 7),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_the_next_time_is_the_first_that_fits(minute: int, hour: int, weekday: int, at: datetime) -> None:
    (found,) = _next(parse(f"{minute} {hour} * * {weekday}"), 1, after=at)
    assert at <= found < at + timedelta(days=7, minutes=1)
    assert (found.minute, found.hour, found.isoweekday() % 7) == (minute, hour, weekday % 7)


@pytest.mark.parametrize(
    "text",
    [
        *("", "often", "15", "15s", "m15", "1.5h", "-1h", "1h30m", "* * * *", "* * * * * *", "60 * * * *"),
        *(
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * * 8",
            "* * * * monday",
            "*/0 * * * *",
        ),
        *("5-1 * * * *", "1,,2 * * * *", "1- * * * *", "@daily", "* * last * *", "٣ * * * *", "mon * * * *"),
    ],
)
def test_what_is_not_a_schedule_is_answered_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r'^an interval such as "15m", .+ or a line of cron such as "0 3'):
        parse(text)


@pytest.mark.parametrize("text", ["0m", "367d", "999999d", "999999m"])
def test_intervals_have_limits(text: str) -> None:
    with pytest.raises(ValueError, match=r'^an interval from "1m" to "366d"$'):
        parse(text)


def test_times_that_never_come_are_refused() -> None:
    for line in ("0 0 30 2 *", "0 0 31 2,4,jun *", "0 0 31 4 */2"):
        with pytest.raises(ValueError, match="no month that it names has the day"):
            parse(line)
    for line in ("0 0 29 2 *", "0 0 31 2 mon", "0 0 30,1 2 *"):
        assert _next(parse(line), 1)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "Europe", "a\0b"])
def test_unknown_time_zones_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match='the name of a time zone, such as "Europe/Berlin"'):
        check_timezone(name)
    with pytest.raises(ValueError, match="the name of a time zone"):
        parse("0 3 * * *", timezone=name)


items = st.sampled_from(["*", "0", "7", "31", "1-5", "*/2", "5/3", "mon", "sat-mon", "jan", "x", "8-3", ""])
lines = st.lists(st.lists(items, min_size=1, max_size=2).map(",".join), min_size=4, max_size=6).map(" ".join)


@given(lines | st.text(max_size=20))
def test_any_text_is_a_schedule_or_refused_with_a_sentence(text: str) -> None:
    try:
        schedule = parse(text)
    except ValueError as error:
        assert str(error).startswith(("an interval", "a time that comes"))  # noqa: PT017 - either is right
    else:
        assert _next(schedule, 1)
        assert not isinstance(schedule, Cron) or parse(schedule.line) == schedule
