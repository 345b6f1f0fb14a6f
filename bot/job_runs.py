"""How each job came out the last time: one row for a job, in the database that processes share.

A run is begun and ended here. What a job was due at can be begun once, by whichever process is first. Who was overtaken
(its connection was lost, and another process began the job since) ends nothing any more. A run whose process died
stays "running" until `recover` finds it.

The methods block; callers on an event loop go through `asyncio.to_thread`. All of them may raise `DatabaseError`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast

import sqlalchemy as sa

from bot.database import transaction
from bot.tables import insert_new, job_runs

Outcome = Literal["running", "done", "failed", "stopped", "interrupted"]
"""`stopped`: cancelled before its end, with Parley or with the job. `interrupted`: the process died in it."""

DIED = "Parley ended while this was running."


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The last run of a job, and what is known from those before it."""

    job: str
    due_at: datetime | None
    began_at: datetime | None
    ended_at: datetime | None
    """None while it runs, and when the process died in it."""
    outcome: Outcome
    told: str
    """One sentence about the last run that came to an end; `DIED` after one that did not."""
    failures: int
    """In a row."""


class JobRuns:
    """Reads and writes the rows."""

    def __init__(self, engine: sa.Engine, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._now = now

    def begin(self, job: str, *, due_at: datetime) -> datetime | None:
        """Begin the run that was due then; returns the moment, which names the run, or None: it was begun before."""
        began_at = self._now()
        empty = {"job": job, "outcome": "running", "told": "", "failures": 0}
        begun = (
            sa.update(job_runs)
            .where(job_runs.c.job == job, job_runs.c.due_at.is_distinct_from(due_at))
            .values(due_at=due_at, began_at=began_at, ended_at=None, outcome="running")
        )
        with transaction(self._engine) as connection:
            connection.execute(insert_new(self._engine, job_runs, empty))
            return began_at if connection.execute(begun).rowcount else None

    def end(self, job: str, began_at: datetime, *, failed: bool, told: str) -> Run | None:
        """End the run; returns what was known before, or None: another one has been begun since."""
        return self._end(job, began_at, "failed" if failed else "done", told)

    def stop(self, job: str, began_at: datetime) -> None:
        """Note that the run was cancelled. What is known from the runs before it stays."""
        self._end(job, began_at, "stopped", None)

    def recover(self) -> list[Run]:
        """Mark as interrupted what no process works on; returns these runs as they were, by the names of the jobs.

        For who alone runs the jobs, before it begins. Being interrupted is no failure; again before the job came to
        an end, when `told` was `DIED` already, it is one.
        """
        running = sa.select(job_runs).where(job_runs.c.outcome == "running").order_by(job_runs.c.job)
        with transaction(self._engine, reads_first=True) as connection:
            found = [_run(row) for row in connection.execute(running.with_for_update())]
            for run in found:
                values = {
                    "outcome": "interrupted",
                    "told": DIED,
                    "failures": run.failures + (run.told == DIED),
                }
                connection.execute(sa.update(job_runs).where(job_runs.c.job == run.job).values(values))
        return found

    def all(self) -> dict[str, Run]:
        """Every job that was ever begun, by its name."""
        with transaction(self._engine) as connection:
            return {row.job: _run(row) for row in connection.execute(sa.select(job_runs))}

    def keep(self, jobs: Collection[str]) -> None:
        """Forget all others."""
        with transaction(self._engine) as connection:
            connection.execute(sa.delete(job_runs).where(job_runs.c.job.not_in(jobs)))

    def _end(self, job: str, began_at: datetime, outcome: Outcome, told: str | None) -> Run | None:
        mine = sa.and_(
            job_runs.c.job == job, job_runs.c.began_at == began_at, job_runs.c.outcome == "running"
        )
        with transaction(self._engine, reads_first=True) as connection:
            row = connection.execute(sa.select(job_runs).where(mine).with_for_update()).one_or_none()
            if row is None:
                return None
            before = _run(row)
            values: dict[str, object] = {"outcome": outcome, "ended_at": self._now()}
            if told is not None:
                values |= {"told": told, "failures": before.failures + 1 if outcome == "failed" else 0}
            connection.execute(sa.update(job_runs).where(mine).values(values))
        return before


def news(before: Run | None, *, failed: bool, told: str) -> str | None:
    """What the admins should hear of a run that has ended: a new trouble, or the end of one; else None.

    `before` is what was known when it ended, as `JobRuns.end` returns it.
    """
    if before is None:
        return None
    if failed:
        is_known = before.failures > 0 and before.told == told
        return None if is_known else f"The job `{before.job}` failed: {told}"
    return f"The job `{before.job}` works again: {told}" if before.failures else None


def _run(row: sa.Row[tuple[object, ...]]) -> Run:
    return Run(
        job=row.job,
        due_at=row.due_at,
        began_at=row.began_at,
        ended_at=row.ended_at,
        outcome=cast("Outcome", row.outcome),
        told=row.told,
        failures=row.failures,
    )
