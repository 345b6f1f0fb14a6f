"""What is done by the clock while Parley serves: each job at its times, never twice at once, by one process only.

What a job does is given as a function; here is what becomes of it. A run that was missed is made up for once. One that
was stopped with Parley is done again at the next start, as is one in which the process died; when it dies in that one
too, the next waits for its time. A job that is still running when it is due again is left running. Admins hear of a job
that fails once, not each time, until it works again or fails for another reason.

Jobs run side by side: those that must not meet see to it themselves. A job is told to stop by being cancelled, and must
then leave its work so that it can go on. Which jobs there are is known to each process from its own settings; those of
the leader (`bot.leader`) hold. Between losing its connection to PostgreSQL and finding that out, a leader may go on
with a job that the next one begins; what was due at one time is not begun twice (`bot.job_runs`). A run whose beginning
the database cannot take is left out, and the log says so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bot.config_sections import SchedulesSettings, SourceSettings
from bot.errors import EXPLAINED, DatabaseError
from bot.job_runs import DIED, JobRuns, Outcome, Run, news
from bot.leader import lead, seat
from bot.schedule import Schedule, parse

if TYPE_CHECKING:
    from bot.clock import Clock

log = logging.getLogger(__name__)

FAULT = "It stopped at a fault of the program; the log says more."


@dataclass(frozen=True, slots=True)
class Entry:
    """A job."""

    name: str
    """As it is shown, and known in the database: "read handbook"."""
    schedule: Schedule
    run: Callable[[], Awaitable[str]]
    """Returns one sentence about what was done. One of `EXPLAINED` is a failure with its reason; any other error is a
    fault of the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """How it goes with a job."""

    name: str
    schedule: str
    """In words: "every 15 minutes", "0 3 * * mon-fri Europe/Berlin"."""
    next_run: datetime | None
    """None: no process has taken it up yet."""
    began_at: datetime | None
    """Of the last run; None: it never ran."""
    ended_at: datetime | None
    outcome: Outcome | None
    told: str
    """One sentence about the last run; empty while there is none."""
    failures: int
    """In a row."""


def timetable(
    sources: Iterable[SourceSettings], *, refresh_minutes: int, schedules: SchedulesSettings
) -> dict[str, Schedule]:
    """The jobs that the settings ask for: `read <source>`, `collect`, `evaluate` and `digest`.

    A source that is paused is not read, nor one without a schedule when `refresh_minutes` is 0. Without questions for
    any source there is no `evaluate`, and without a channel no `digest`.
    """
    sources = tuple(sources)
    otherwise = f"{refresh_minutes}m" if refresh_minutes else ""
    texts = {f"read {one.name}": one.schedule.strip() or otherwise for one in sources if not one.paused}
    texts["collect"] = schedules.collect
    texts["evaluate"] = schedules.evaluate if any(one.evaluation for one in sources) else ""
    texts["digest"] = schedules.digest if schedules.digest_channel else ""
    return {name: parse(text, timezone=schedules.timezone) for name, text in texts.items() if text.strip()}


class Jobs:
    """Runs the jobs, while this process is the one that may."""

    def __init__(
        self,
        engine: sa.Engine,
        entries: Sequence[Entry],
        *,
        tell: Callable[[str], Awaitable[None]],
        look_every: float = 5.0,
    ) -> None:
        """`tell` brings a sentence to the admins; every `look_every` seconds it is seen who may run the jobs."""
        self._engine = engine
        self._entries = {entry.name: entry for entry in entries}
        self._tell = tell
        self._look_every = look_every
        self._runs = JobRuns(engine)
        self._clock: Clock | None = None
        self._busy: set[str] = set()
        """Jobs that run or are about to; added to by the clock's thread, taken from by the loop's."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._untold: dict[str, str] = {}
        self._leading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run the jobs from now on, or as soon as no other process does."""
        self._leading = asyncio.create_task(
            lead(seat(self._engine), self._work, every=self._look_every), name="jobs"
        )

    async def aclose(self) -> None:
        """Stop what runs; the next process takes over when this returns."""
        if self._leading is not None:
            self._leading.cancel()
            await asyncio.gather(self._leading, return_exceptions=True)

    async def reload(self, entries: Sequence[Entry]) -> None:
        """From now on these and no others; what runs and is not among them is stopped, but for a job that calls this.

        Raises:
            DatabaseError: the database could not take it.
        """
        self._entries = {entry.name: entry for entry in entries}
        if self._clock is not None:
            await self._clock.set(self._schedules)
            await self._cancel(self._tasks.keys() - self._entries.keys())
            await asyncio.to_thread(self._runs.keep, list(self._entries))

    def listing(self) -> list[JobInfo]:
        """Every job, whichever process runs it; blocks, and raises `DatabaseError`."""
        from bot.clock import next_times

        runs, times = self._runs.all(), next_times(self._engine)
        return [_info(entry, runs.get(name), times.get(name)) for name, entry in list(self._entries.items())]

    @property
    def _schedules(self) -> Mapping[str, Schedule]:
        return {name: entry.schedule for name, entry in self._entries.items()}

    async def _work(self) -> None:
        """Run the jobs until cancelled, as the only process that does."""
        from bot.clock import Clock  # which imports APScheduler

        loop = asyncio.get_running_loop()

        def due(name: str, at: datetime) -> None:
            if name in self._busy:
                log.info("%s is due and still running", name)
            elif began_at := self._runs.begin(name, due_at=at):
                self._busy.add(name)
                loop.call_soon_threadsafe(self._begin, name, began_at)

        at_once, later = await self._recover()
        self._clock = Clock(self._engine, due=due)
        try:
            await self._clock.run(self._schedules, at_once=at_once, later=later)
        finally:
            self._clock = None
            await self._cancel(list(self._tasks))

    async def _recover(self) -> tuple[list[str], list[str]]:
        """Put in order what an earlier process left; returns the jobs to be done again, and those to be left alone."""
        await asyncio.to_thread(self._runs.keep, list(self._entries))
        died = await asyncio.to_thread(self._runs.recover)
        runs = await asyncio.to_thread(self._runs.all)
        at_once, later = [name for name, run in runs.items() if run.outcome == "stopped"], []
        for run in died:
            log.warning("%s was running when Parley ended", run.job)
            if run.told == DIED:  # as the time before
                later.append(run.job)
                await self._say(run.job, news(run, failed=True, told=DIED))
            else:
                at_once.append(run.job)
        return at_once, later

    def _begin(self, name: str, began_at: datetime) -> None:
        if (entry := self._entries.get(name)) is None:  # taken away meanwhile
            self._busy.discard(name)
            return
        self._tasks[name] = asyncio.create_task(self._run(entry, began_at), name=name)
        self._tasks[name].add_done_callback(lambda _: self._gone(name))

    def _gone(self, name: str) -> None:
        del self._tasks[name]
        self._busy.discard(name)

    async def _run(self, entry: Entry, began_at: datetime) -> None:
        name = entry.name
        log.info("%s begins", name)
        try:
            try:
                failed, told = await _outcome(entry)
            except asyncio.CancelledError:
                await asyncio.to_thread(self._runs.stop, name, began_at)
                raise
            before = await asyncio.to_thread(self._runs.end, name, began_at, failed=failed, told=told)
        except DatabaseError as error:
            log.warning("how %s came out could not be written down: %s", name, error)
            return
        log.log(logging.WARNING if failed else logging.INFO, "%s: %s", name, told)
        unheard = self._untold.pop(name, None)
        await self._say(name, news(before, failed=failed, told=told) or (unheard if failed else None))

    async def _say(self, name: str, sentence: str | None) -> None:
        if sentence is None:
            return
        try:
            await self._tell(sentence)
        except EXPLAINED as error:
            log.warning("admins could not be told of %s: %s", name, error)
            self._untold[name] = sentence

    async def _cancel(self, names: Iterable[str]) -> None:
        # A job may find out itself that there is no use for it any more; it cannot wait for its own end.
        tasks = [task for name in names if (task := self._tasks[name]) is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _outcome(entry: Entry) -> tuple[bool, str]:
    """Whether the job failed, and the sentence about it."""
    try:
        return False, await entry.run()
    except EXPLAINED as error:
        return True, str(error)
    except Exception:
        log.exception("%s stopped at a fault", entry.name)
        return True, FAULT


def _info(entry: Entry, run: Run | None, next_run: datetime | None) -> JobInfo:
    has_told = run is not None and run.outcome not in {"running", "stopped"}
    return JobInfo(
        name=entry.name,
        schedule=str(entry.schedule),
        next_run=next_run,
        began_at=run.began_at if run else None,
        ended_at=run.ended_at if run else None,
        outcome=run.outcome if run else None,
        told=run.told if run and has_told else "",
        failures=run.failures if run else 0,
    )
