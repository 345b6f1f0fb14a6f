"""`jobs`: what is done by the clock, when it was done last, and when it is due."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.commands import Command, Request

if TYPE_CHECKING:
    from bot.jobs import JobInfo


def jobs_command(listed: Callable[[], Sequence["JobInfo"]]) -> Command:
    """`listed` blocks."""

    async def run(_: Request) -> str:
        jobs = await asyncio.to_thread(listed)
        now = datetime.now(UTC)
        return "\n".join(job_line(job, now) for job in jobs) or "Nothing is done by the clock."

    return Command(name="jobs", about="what is done by the clock, last and next", needs_admin=True, run=run)


def job_line(job: "JobInfo", now: datetime) -> str:
    """One job: its schedule, how it came out, and when it is due again."""
    due = f"next {ago(job.next_run, now)}" if job.next_run else "due when `parley serve` runs"
    last = (
        "not run yet" if job.began_at is None else f"last {ago(job.began_at, now)}: {job.told or job.outcome}"
    )
    return f"- `{job.name}` ({job.schedule}): {last}; {due}"


def ago(moment: datetime, now: datetime) -> str:
    """How far a moment is from now: "2 h ago", "in 5 min"."""
    seconds = (moment - now).total_seconds()
    size = abs(seconds)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if size >= length:
            told = f"{size / length:.0f} {unit}"
            break
    else:
        told = f"{size:.0f} s"
    return f"in {told}" if seconds > 0 else f"{told} ago"
