"""Jobs are due at their times, also after the process was away; the store is kept as the settings want it."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from bot import clock
from bot.clock import Clock, next_times
from bot.errors import DatabaseError
from bot.schedule import Cron, Every, Schedule

HOURLY = Every(timedelta(hours=1))
NIGHTLY = Cron("0 3 * * *")


class Heard:
    """What was said to be due, in order."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[tuple[str, datetime]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def __call__(self, name: str, at: datetime) -> None:
        self._loop.call_soon_threadsafe(self.said.put_nowait, (name, at))

    async def names(self, count: int) -> list[str]:
        return sorted([(await self.said.get())[0] for _ in range(count)])


@asynccontextmanager
async def _running(
    engine: sa.Engine, due: Heard, schedules: Mapping[str, Schedule], **special: Collection[str]
) -> AsyncIterator[Clock]:
    """A clock that is set: it says that `set` is due, after everything that was due before it."""
    made = Clock(engine, due=due)
    task = asyncio.create_task(made.run(schedules, **special))
    try:
        await asyncio.wait([task, asyncio.create_task(made.set(schedules))], return_when="FIRST_COMPLETED")
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _postpone(engine: sa.Engine, name: str, *, by: timedelta) -> None:
    """Let the job be due that much later, as if the time had passed."""
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
    from apscheduler.schedulers.blocking import BlockingScheduler

    store = SQLAlchemyJobStore(engine=engine)
    store.start(BlockingScheduler(timezone=UTC), "default")
    job = store.lookup_job(name)
    job._modify(next_run_time=job.next_run_time + by)
    store.update_job(job)


async def test_intervals_begin_at_once_and_lines_of_cron_at_their_time(engine: sa.Engine) -> None:
    heard = Heard()
    before = datetime.now(UTC)
    async with _running(engine, heard, {"read docs": HOURLY, "collect": NIGHTLY}):
        assert await heard.names(1) == ["read docs"]
    assert heard.said.empty()
    times = next_times(engine)
    assert before + timedelta(hours=1) <= times["read docs"] <= datetime.now(UTC) + timedelta(hours=1)
    assert (times["collect"].hour, times["collect"].minute) == (3, 0)
    assert before < times["collect"] <= datetime.now(UTC) + timedelta(days=1)


async def test_a_short_interval_is_due_again_and_again(engine: sa.Engine) -> None:
    heard = Heard()
    async with _running(engine, heard, {"read docs": Every(timedelta(seconds=0.05))}):
        times = [(await heard.said.get())[1] for _ in range(4)]
    assert times == sorted(set(times))


async def test_an_unchanged_schedule_keeps_its_next_time(engine: sa.Engine) -> None:
    heard = Heard()
    schedules: dict[str, Schedule] = {"read docs": HOURLY, "collect": NIGHTLY}
    async with _running(engine, heard, schedules):
        await heard.names(1)
    times = next_times(engine)
    async with _running(engine, heard, schedules):
        pass
    assert next_times(engine) == times
    assert heard.said.empty()


async def test_what_was_missed_many_times_is_due_once(engine: sa.Engine) -> None:
    heard = Heard()
    minutely = Every(timedelta(minutes=1))
    schedules: dict[str, Schedule] = {
        "read docs": minutely,
        "collect": NIGHTLY,
        "evaluate": Cron("0 2 * * *"),
    }
    async with _running(engine, heard, schedules):
        await heard.names(1)
    for name in ("read docs", "collect"):
        _postpone(engine, name, by=timedelta(days=-400))
    async with _running(engine, heard, schedules):
        assert await heard.names(2) == ["collect", "read docs"]
    assert heard.said.empty()
    assert min(next_times(engine).values()) > datetime.now(UTC)


async def test_a_changed_schedule_takes_effect_and_what_it_missed_is_made_up_for(engine: sa.Engine) -> None:
    heard = Heard()
    async with _running(engine, heard, {"read docs": HOURLY, "digest": NIGHTLY, "collect": NIGHTLY}):
        await heard.names(1)
    _postpone(engine, "digest", by=timedelta(days=-2))
    changed: dict[str, Schedule] = {"read docs": NIGHTLY, "digest": HOURLY, "collect": HOURLY}
    async with _running(engine, heard, changed) as running:
        assert await heard.names(1) == ["digest"]
        times = next_times(engine)
        assert times["read docs"].hour == 3
        now = datetime.now(UTC)
        assert now < times["collect"] <= now + timedelta(hours=1)

        await running.set(changed | {"collect": Cron("0 5 * * *"), "read new": HOURLY})
        assert await heard.names(1) == ["read new"]
        later = next_times(engine)
        assert later["collect"].hour == 5
        assert later["read docs"] == times["read docs"]
    assert heard.said.empty()


async def test_another_time_zone_is_another_schedule(engine: sa.Engine) -> None:
    heard = Heard()
    async with _running(engine, heard, {"collect": NIGHTLY}):
        pass
    async with _running(engine, heard, {"collect": Cron("0 3 * * *", "Asia/Kolkata")}):
        pass
    assert (next_times(engine)["collect"].hour, next_times(engine)["collect"].minute) == (21, 30)


async def test_jobs_of_earlier_settings_are_removed_before_they_are_due(engine: sa.Engine) -> None:
    heard = Heard()
    async with _running(engine, heard, {"read old": HOURLY, "collect": NIGHTLY}):
        await heard.names(1)
    _postpone(engine, "read old", by=timedelta(days=-1))
    async with _running(engine, heard, {"collect": NIGHTLY}) as running:
        assert set(next_times(engine)) == {"collect"}
        await running.set({})
        assert next_times(engine) == {}
    assert heard.said.empty()


async def test_jobs_can_be_done_again_at_once(engine: sa.Engine) -> None:
    heard = Heard()
    async with _running(engine, heard, {"collect": NIGHTLY}, at_once=["collect", "unknown"]):
        assert await heard.names(1) == ["collect"]
    assert heard.said.empty()


async def test_jobs_can_be_left_until_their_next_time(engine: sa.Engine) -> None:
    heard = Heard()
    async with _running(engine, heard, {"collect": NIGHTLY}):
        pass
    _postpone(engine, "collect", by=timedelta(days=-2))
    async with _running(engine, heard, {"collect": NIGHTLY}, later=["collect", "unknown"]):
        pass
    assert heard.said.empty()
    assert next_times(engine)["collect"] > datetime.now(UTC)


async def test_what_came_due_while_the_machine_slept_is_noticed(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "NUDGE", 0.01)
    heard = Heard()
    async with _running(engine, heard, {"collect": NIGHTLY}):
        # The scheduler's thread waits for three o'clock by a clock that did not go on meanwhile.
        await asyncio.to_thread(_postpone, engine, "collect", by=timedelta(days=-2))
        assert await heard.names(1) == ["collect"]
    assert heard.said.empty()


async def test_jobs_that_another_version_stored_are_made_anew(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()
    async with _running(engine, heard, {"collect": NIGHTLY}):
        pass
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE apscheduler_jobs SET job_state = :bad"), {"bad": b"not a pickle"})
    async with _running(engine, heard, {"collect": NIGHTLY}):
        assert next_times(engine)["collect"].hour == 3
    assert "removing it" in caplog.text


async def test_what_is_stored_names_no_function_of_the_job(engine: sa.Engine) -> None:
    import pickletools

    async with _running(engine, Heard(), {"collect": NIGHTLY}):
        pass
    with engine.connect() as connection:
        state = connection.exec_driver_sql("SELECT job_state FROM apscheduler_jobs").scalar_one()
    texts = {argument for _, argument, _ in pickletools.genops(bytes(state)) if isinstance(argument, str)}
    assert {"collect", "bot.clock:by_name"} <= texts
    assert clock.by_name() is None  # type: ignore[func-returns-value]  # it is there, and does nothing


async def test_no_statement_is_run_on_the_event_loop(engine: sa.Engine) -> None:
    threads = set()

    def note(*_: object) -> None:
        threads.add(threading.current_thread())

    sa.event.listen(engine, "before_cursor_execute", note)
    heard = Heard()
    async with _running(engine, heard, {"collect": NIGHTLY, "read docs": HOURLY}) as running:
        await heard.names(1)
        await running.set({"collect": HOURLY})
    assert len(threads) >= 2
    assert threading.main_thread() not in threads


async def test_a_database_that_fails_ends_the_clock_and_the_next_one_says_it_again(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    heard = Heard()
    fails = True

    def refuse(_c: object, _u: object, statement: str, *_: object) -> None:
        if fails and statement.startswith("UPDATE apscheduler_jobs"):
            raise sa.exc.OperationalError(statement, None, Exception("the server is gone"))

    sa.event.listen(engine, "before_cursor_execute", refuse)
    failing = Clock(engine, due=heard)
    with pytest.raises(DatabaseError, match="cannot be used for the schedules"):
        await failing.run({"read docs": HOURLY})
    assert await heard.names(1) == ["read docs"]
    fails = False
    async with _running(engine, heard, {"read docs": HOURLY}):
        assert await heard.names(1) == ["read docs"]
    assert heard.said.empty()


async def test_a_database_that_cannot_be_used_at_the_start(engine: sa.Engine) -> None:
    def refuse(*_: object) -> None:
        raise sa.exc.OperationalError("", None, Exception("the server is gone"))

    sa.event.listen(engine, "before_cursor_execute", refuse)
    with pytest.raises(DatabaseError, match="cannot be used for the schedules"):
        await Clock(engine, due=Heard()).run({"read docs": HOURLY})
    sa.event.remove(engine, "before_cursor_execute", refuse)


async def test_stopping_it_leaves_the_engine_as_it_was(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        pool = engine.pool
        async with _running(engine, Heard(), {"collect": NIGHTLY}):
            pass
        assert engine.pool is pool
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_before_the_first_start_nothing_is_due(engine: sa.Engine) -> None:
    assert next_times(engine) == {}
