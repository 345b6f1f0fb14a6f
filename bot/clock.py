"""Says when a job is due: APScheduler 3, with its jobs in Parley's own database.

APScheduler's job store waits for the database, and its `AsyncIOScheduler` does that on the event loop: while another
process held SQLite's write lock for 5 seconds, the loop stood still for 4.3. So the scheduler has a thread of its own,
whoever sets it does that in another one, and the loop only hears that something is due.

The store holds the name of each job, its schedule and its next time; not what is done, so that jobs outlive upgrades.
By that next time a missed run is known: what was due while nothing ran is due once when the clock starts, however often
it was missed. What has begun is not the clock's business any more.

A job store must not have two schedulers; see `bot.leader`. It is a table of APScheduler's own, made when it is missing,
and holds pickles: whoever can write to the database can have Parley run a program.
"""

import asyncio
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from apscheduler.events import EVENT_SCHEDULER_STARTED
from apscheduler.executors.base import BaseExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.blocking import BlockingScheduler

from bot.database import transaction
from bot.errors import DatabaseError
from bot.schedule import Every, Schedule

NUDGE = 60.0
"""Seconds. A thread waits by a clock that stands still while the machine sleeps, so the scheduler's is woken this
often to look at the time."""
_TABLE = "apscheduler_jobs"

Due = Callable[[str, datetime], None]
"""Called in the clock's thread, with the name of the job and what it was due at."""


class Clock:
    """Runs once, until it is cancelled; can be set anew meanwhile."""

    def __init__(self, engine: sa.Engine, *, due: Due) -> None:
        self._scheduler = BlockingScheduler(
            jobstores={"default": _Store(engine=engine)},
            executors={"default": _Report(due)},
            timezone=UTC,
        )
        # Jobs that are due many times at once are due once, however late that is.
        self._options = {"coalesce": True, "misfire_grace_time": None, "replace_existing": True}
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._tick, name="clock", daemon=True)
        # One call after another, whoever is cancelled.
        self._calls = ThreadPoolExecutor(1, thread_name_prefix="clock-hands")

    async def run(
        self,
        schedules: Mapping[str, Schedule],
        *,
        at_once: Collection[str] = (),
        later: Collection[str] = (),
    ) -> None:
        """Say what is due, at first those of `at_once`; those of `later` make up for nothing that they missed.

        Raises:
            DatabaseError: the database failed the scheduler; what was due is due again with the next clock.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._calls, self._start, schedules, at_once, later)
            ended = asyncio.wrap_future(self._ended)
            while not (await asyncio.wait([ended], timeout=NUDGE))[0]:
                self._scheduler.wakeup()
            with _translated():
                ended.result()
        finally:
            await loop.run_in_executor(self._calls, self._stop)
            self._calls.shutdown(wait=False)

    async def set(self, schedules: Mapping[str, Schedule]) -> None:
        """From now on these and no others; raises `DatabaseError`."""
        await asyncio.get_running_loop().run_in_executor(self._calls, self._set, schedules)

    def _start(
        self, schedules: Mapping[str, Schedule], at_once: Collection[str], later: Collection[str]
    ) -> None:
        started = threading.Event()
        self._scheduler.add_listener(lambda _: started.set(), EVENT_SCHEDULER_STARTED)
        self._ended.add_done_callback(lambda _: started.set())
        self._thread.start()
        started.wait()
        with _translated():
            if self._ended.done():
                self._ended.result()
            now = datetime.now(UTC)
            stored = {job.id: job.next_run_time for job in self._scheduler.get_jobs()}
            # APScheduler would go through every time that was missed: 4 s for a month of minutes.
            overdue = {name for name, due_at in stored.items() if due_at is not None and due_at <= now}
            self._set(schedules, dict.fromkeys({*overdue, *at_once}, now) | dict.fromkeys(later))
            self._scheduler.resume()

    def _set(
        self, schedules: Mapping[str, Schedule], fixed: Mapping[str, datetime | None] | None = None
    ) -> None:
        fixed = fixed or {}
        with _translated():
            stored = {job.id: job for job in self._scheduler.get_jobs()}
            for name in stored.keys() - schedules.keys():
                self._scheduler.remove_job(name)
            now = datetime.now(UTC)
            for name, schedule in schedules.items():
                job, trigger = stored.get(name), schedule.trigger()
                if name in fixed:
                    due_at = fixed[name] or trigger.get_next_fire_time(None, now)
                elif job is not None and job.name == str(schedule):
                    continue
                elif job is None and isinstance(schedule, Every):
                    due_at = now
                else:
                    due_at = trigger.get_next_fire_time(None, now)
                self._scheduler.add_job(
                    f"{__name__}:{by_name.__name__}",
                    trigger,
                    id=name,
                    name=str(schedule),
                    next_run_time=due_at,
                    **self._options,
                )

    def _stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        if self._thread.ident is not None:
            self._thread.join()

    def _tick(self) -> None:
        try:
            self._scheduler.start(paused=True)
        except Exception as error:  # noqa: BLE001 - raised again by `run`
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)


def next_times(engine: sa.Engine) -> dict[str, datetime]:
    """When each job is due next, by name, whichever process runs them; blocks, and raises `DatabaseError`."""
    table = sa.table(_TABLE, sa.column("id", sa.Text), sa.column("next_run_time", sa.Float))
    with transaction(engine) as connection:
        if not sa.inspect(connection).has_table(_TABLE):
            return {}
        rows = connection.execute(sa.select(table.c.id, table.c.next_run_time)).all()
    return {name: datetime.fromtimestamp(at, UTC) for name, at in rows if at is not None}


def by_name() -> None:
    """What the stored jobs refer to. It is not called: who hears that a job is due knows by its name what to do."""


class _Store(SQLAlchemyJobStore):  # type: ignore[misc]  # it has no types
    def shutdown(self) -> None:
        """Leave the engine alone; it is Parley's."""


class _Report(BaseExecutor):  # type: ignore[misc]  # it has no types
    """Says that jobs are due, where APScheduler would run them itself."""

    def __init__(self, due: Due) -> None:
        super().__init__()
        self._due = due

    def submit_job(self, job: Any, run_times: list[datetime]) -> None:
        self._due(job.id, run_times[-1])

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        """Needed by the base class; `submit_job` does not come here."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise DatabaseError(
            f"The database cannot be used for the schedules ({type(error).__name__}); run `parley doctor`."
        ) from error
