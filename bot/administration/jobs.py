"""`jobs`: what is done by the clock, when it was done last, and when it is due."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.administration.naming import ELSEWHERE, is_alone, nameable_jobs
from bot.commands import Command, Request

if TYPE_CHECKING:
    from bot.jobs import JobInfo


def jobs_command(
    listed: Callable[[], Sequence["JobInfo"]], *, visible_to: Mapping[str, frozenset[str]]
) -> Command:
    """`listed` blocks; `visible_to` says who may see each source."""

    async def run(request: Request) -> str:
        jobs = {job.name: job for job in await asyncio.to_thread(listed)}
        now, message = datetime.now(UTC), request.message
        lines = [job_line(jobs[name], now) for name in nameable_jobs(jobs, message, visible_to)]
        if not is_alone(message):
            lines.append(ELSEWHERE)
        return "\n".join(lines) or "Nothing is done by the clock."

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
