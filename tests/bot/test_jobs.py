"""Jobs are done at their times, by one process, never twice at once; people hear what they need to, once."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.config import parse_settings
from bot.errors import PlatformUnavailableError, UsageError
from bot.job_runs import DIED, JobRuns
from bot.jobs import FAULT, Entry, JobInfo, Jobs, timetable
from bot.schedule import Cron, Every, Schedule

SOON = 0.01
OFTEN = Every(timedelta(seconds=0.05))
HOURLY = Every(timedelta(hours=1))
NIGHTLY = Cron("0 3 * * *")


class Job:
    """Is done as it is told; `turns` may hold sentences, errors, and events to wait for."""

    def __init__(
        self, name: str, *turns: str | Exception | asyncio.Event, schedule: Schedule = OFTEN
    ) -> None:
        self.entry = Entry(name, schedule, self)
        self.begun = 0
        self.cancelled = asyncio.Event()
        self._turns = list(turns)
        self._changed = asyncio.Condition()
        self._running = 0

    async def __call__(self) -> str:
        self._running += 1
        assert self._running == 1, "it runs twice at once"
        self.begun += 1
        turn = self._turns.pop(0) if self._turns else asyncio.Event()
        async with self._changed:
            self._changed.notify_all()
        try:
            if isinstance(turn, asyncio.Event):
                await turn.wait()
                return "Done."
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            self._running -= 1
        if isinstance(turn, Exception):
            raise turn
        return turn

    async def has_begun(self, times: int = 1) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.begun >= times)


class Admins:
    """Hear sentences; the first `deaf` times it cannot be said."""

    def __init__(self, *, deaf: int = 0) -> None:
        self.heard: list[str] = []
        self._deaf = deaf

    async def __call__(self, sentence: str) -> None:
        if self._deaf:
            self._deaf -= 1
            raise PlatformUnavailableError("Slack cannot be reached.")
        self.heard.append(sentence)


@asynccontextmanager
async def _serving(engine: sa.Engine, *jobs: Job, tell: Admins | None = None) -> AsyncIterator[Jobs]:
    made = Jobs(engine, [job.entry for job in jobs], tell=tell or Admins(), look_every=SOON)
    made.start()
    try:
        yield made
    finally:
        await made.aclose()


async def _until(jobs: Jobs, holds: Callable[[JobInfo], bool], *, name: str | None = None) -> JobInfo:
    """What is listed of the job, once that holds."""
    while True:
        for info in await asyncio.to_thread(jobs.listing):
            if name in {None, info.name} and holds(info):
                return info
        await asyncio.sleep(SOON)


def _is_due_later(info: JobInfo) -> bool:
    return bool(info.next_run and info.began_at and info.next_run > info.began_at)


async def test_a_job_is_done_and_listed(engine: sa.Engine) -> None:
    reads, sleeps = Job("read docs", "3 documents.", schedule=HOURLY), Job("collect", schedule=NIGHTLY)
    async with _serving(engine, reads, sleeps) as jobs:
        done = await _until(jobs, lambda info: info.outcome == "done" and _is_due_later(info))
        read, collect = await asyncio.to_thread(jobs.listing)
    assert read == done
    assert (read.name, read.schedule, read.told, read.failures) == (
        "read docs",
        "every hour",
        "3 documents.",
        0,
    )
    assert read.began_at is not None
    assert read.ended_at is not None
    assert read.next_run is not None
    assert read.began_at <= read.ended_at < read.next_run
    assert collect.next_run is not None
    assert (collect.schedule, collect.outcome, collect.told) == ("0 3 * * * UTC", None, "")
    assert (reads.begun, sleeps.begun) == (1, 0)


async def test_a_job_that_still_runs_is_not_begun_again(engine: sa.Engine) -> None:
    gate = asyncio.Event()
    slow, quick = Job("read docs", gate), Job("collect", "1", "2", "3", "4")
    async with _serving(engine, slow, quick) as jobs:
        await quick.has_begun(5)
        assert slow.begun == 1
        assert (await _until(jobs, lambda info: info.name == "read docs")).outcome == "running"
        gate.set()
        await slow.has_begun(2)


async def test_admins_hear_of_a_failing_job_once_and_when_it_works_again(engine: sa.Engine) -> None:
    missing, full = UsageError("The folder is missing."), UsageError("The disk is full.")
    job = Job("read docs", "Fine.", missing, missing, missing, full, full, "3 documents.", "Fine.", missing)
    admins = Admins()
    async with _serving(engine, job, tell=admins):
        await job.has_begun(10)
    assert admins.heard == [
        "The job `read docs` failed: The folder is missing.",
        "The job `read docs` failed: The disk is full.",
        "The job `read docs` works again: 3 documents.",
        "The job `read docs` failed: The folder is missing.",
    ]


async def test_a_restart_does_not_make_an_old_trouble_new(engine: sa.Engine) -> None:
    admins = Admins()
    for _ in range(2):
        missing = UsageError("The folder is missing.")
        job = Job("read docs", missing, missing, schedule=OFTEN)
        async with _serving(engine, job, tell=admins) as jobs:
            await job.has_begun(3)
            info = await _until(jobs, lambda info: info.outcome == "running")
            assert (info.told, info.failures >= 2) == ("", True)
    assert admins.heard == ["The job `read docs` failed: The folder is missing."]


async def test_a_fault_of_the_program_is_not_shown(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    job = Job("read docs", KeyError("secret"))
    admins = Admins()
    async with _serving(engine, job, tell=admins):
        await job.has_begun(2)
    assert admins.heard == [f"The job `read docs` failed: {FAULT}"]
    assert "KeyError: 'secret'" in caplog.text


async def test_a_run_that_cannot_be_written_down_is_left_out(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    refused = 0

    def refuse(_c: object, _u: object, statement: str, *_: object) -> None:
        nonlocal refused
        if statement.startswith("INSERT INTO job_runs") and refused < 2:
            refused += 1
            raise sa.exc.OperationalError(statement, None, Exception("the disk is full"))

    sa.event.listen(engine, "before_cursor_execute", refuse)
    job = Job("read docs", "3 documents.")
    async with _serving(engine, job):
        await job.has_begun(2)
    assert refused == 2
    assert caplog.text.count("Error submitting job") == 2


async def test_what_could_not_be_told_is_told_the_next_time(engine: sa.Engine) -> None:
    missing = UsageError("The folder is missing.")
    job = Job("read docs", missing, missing, missing)
    admins = Admins(deaf=1)
    async with _serving(engine, job, tell=admins):
        await job.has_begun(4)
    assert admins.heard == ["The job `read docs` failed: The folder is missing."]


async def test_what_was_stopped_goes_on_at_the_next_start(engine: sa.Engine) -> None:
    job, admins = Job("read docs", schedule=HOURLY), Admins()
    for times in (1, 2):
        async with _serving(engine, job, tell=admins) as jobs:
            await job.has_begun(times)
        assert job.cancelled.is_set()
        assert JobRuns(engine).all()["read docs"].outcome == "stopped"
    assert [info.outcome for info in jobs.listing()] == ["stopped"]
    done = Job("read docs", "3 documents.", schedule=HOURLY)
    async with _serving(engine, done, tell=admins) as jobs:
        await _until(jobs, lambda info: info.outcome == "done")
    async with _serving(engine, done, tell=admins) as jobs:
        await _until(jobs, lambda info: info.next_run is not None)
    assert done.begun == 1
    assert admins.heard == []


async def test_a_run_in_which_the_process_died_is_done_again_once(engine: sa.Engine) -> None:
    job, admins = Job("collect", schedule=NIGHTLY), Admins()

    async def die(times: int) -> None:
        async with _serving(engine, job, tell=admins):
            await job.has_begun(times)
            (row,) = JobRuns(engine).all().values()
        # As the process would have left it:
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE job_runs SET outcome = 'running', ended_at = NULL")
        assert row.outcome == "running"

    async with _serving(engine, Job("collect", schedule=NIGHTLY)) as jobs:
        await _until(jobs, lambda info: info.next_run is not None)
    JobRuns(engine).begin("collect", due_at=datetime.now(UTC))
    await die(1)
    assert admins.heard == []
    for _ in range(2):
        async with _serving(engine, job, tell=admins) as jobs:
            info = await _until(jobs, lambda info: info.outcome == "interrupted")
            await _until(jobs, lambda info: bool(admins.heard))
        assert (info.told, info.ended_at) == (DIED, None)
    assert job.begun == 1
    assert admins.heard == [f"The job `collect` failed: {DIED}"]


async def test_jobs_change_while_they_run(engine: sa.Engine) -> None:
    paused, kept, new = (
        Job("read old", schedule=HOURLY),
        Job("collect", schedule=HOURLY),
        Job("read new", "5."),
    )
    async with _serving(engine, paused, kept) as jobs:
        await paused.has_begun()
        await kept.has_begun()
        await jobs.reload([kept.entry, new.entry])
        assert paused.cancelled.is_set()
        assert not kept.cancelled.is_set()
        await new.has_begun(2)
        assert [info.name for info in await asyncio.to_thread(jobs.listing)] == ["collect", "read new"]
        assert set(JobRuns(engine).all()) == {"collect", "read new"}
        again = Job("read old", "3.", schedule=HOURLY)
        await jobs.reload([kept.entry, again.entry])
        assert (await _until(jobs, lambda info: info.outcome == "done")).name == "read old"
    assert (kept.begun, again.begun) == (1, 1)


async def test_a_job_can_find_out_that_it_is_not_wanted_any_more(engine: sa.Engine) -> None:
    ended = asyncio.Event()

    async def run() -> str:
        await jobs.reload([])
        ended.set()
        return "It is no source any more."

    jobs = Jobs(engine, [Entry("read old", HOURLY, run)], tell=Admins(), look_every=SOON)
    jobs.start()
    await ended.wait()
    await jobs.aclose()
    assert jobs.listing() == []
    assert JobRuns(engine).all() == {}


async def test_only_one_of_two_runs_the_jobs_and_both_list_them(engine: sa.Engine) -> None:
    first, second = Job("read docs", schedule=HOURLY), Job("read docs", schedule=HOURLY)
    async with _serving(engine, first) as jobs:
        await first.has_begun()
        async with _serving(engine, second) as others:
            await _until(jobs, _is_due_later)
            assert await asyncio.to_thread(others.listing) == await asyncio.to_thread(jobs.listing)
            await others.reload([second.entry, Job("collect", schedule=HOURLY).entry])
            assert set(JobRuns(engine).all()) == {"read docs"}
            assert second.begun == 0
            await jobs.aclose()
            await second.has_begun()


async def test_who_is_no_leader_any_more_stops_its_jobs(engine: sa.Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("a lock on a file is not lost")
    job = Job("read docs", schedule=HOURLY)
    async with _serving(engine, job):
        await job.has_begun()
        with engine.begin() as connection:
            holder = "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
            connection.exec_driver_sql(f"SELECT pg_terminate_backend(({holder}))")
        await job.cancelled.wait()
        await job.has_begun(2)


async def test_the_event_loop_never_waits_for_the_database(engine: sa.Engine) -> None:
    threads = set()

    def note(*_: object) -> None:
        threads.add(threading.current_thread())

    sa.event.listen(engine, "before_cursor_execute", note)
    missing = UsageError("The folder is missing.")
    job = Job("read docs", "3 documents.", missing)
    async with _serving(engine, job) as jobs:
        await job.has_begun(3)
        await jobs.reload([job.entry])
    assert threads
    assert threading.main_thread() not in threads


@pytest.fixture
def parsed(tmp_path: Path) -> Callable[[str], dict[str, Schedule]]:
    def parsed(text: str) -> dict[str, Schedule]:
        settings = parse_settings(text, file=tmp_path / "parley.toml", environ={})
        minutes = settings.knowledge.refresh_minutes
        return timetable(settings.sources, refresh_minutes=minutes, schedules=settings.schedules)

    return parsed


def test_the_timetable_is_what_the_settings_say(parsed: Callable[[str], dict[str, Schedule]]) -> None:
    assert parsed("") == {"collect": Cron("0 4 * * *")}
    source = "[[sources]]\nname = '{0}'\npath = '{0}'\n{1}\n"
    sources = "".join(
        (
            source.format("a", ""),
            source.format("b", "schedule = '6h'\nevaluation = 'b.yaml'"),
            source.format("c", "schedule = '0 3 * * mon'"),
            source.format("d", "schedule = '6h'\npaused = true"),
        )
    )
    berlin = "timezone = 'Europe/Berlin'\n"
    assert parsed(f"{sources}[schedules]\n{berlin}digest_channel = 'slack:C1'\ncollect = ' '") == {
        "read a": Every(timedelta(minutes=15)),
        "read b": Every(timedelta(hours=6)),
        "read c": Cron("0 3 * * mon", "Europe/Berlin"),
        "evaluate": Cron("0 2 * * *", "Europe/Berlin"),
        "digest": Cron("0 9 * * mon", "Europe/Berlin"),
    }
    assert "read a" not in parsed(f"{sources}[knowledge]\nrefresh_minutes = 0")
    assert parsed(f"{source.format('a', '')}[knowledge]\nrefresh_minutes = 10080")["read a"] == Every(
        timedelta(days=7)
    )
