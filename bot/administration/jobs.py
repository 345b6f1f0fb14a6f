"""`jobs`: what is done by the clock, when it was done last, and when it is due."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.administration.naming import ELSEWHERE, READ, is_alone, may_know_all, nameable_jobs
from bot.commands import Command, Request

if TYPE_CHECKING:
    from bot.jobs import JobInfo
    from bot.messages import IncomingMessage


def jobs_command(
    listed: Callable[[], Sequence["JobInfo"]], *, visible_to: Mapping[str, frozenset[str]]
) -> Command:
    """`listed` blocks; `visible_to` says who may see each source."""

    async def run(request: Request) -> str:
        lines = job_lines(await asyncio.to_thread(listed), request.message, visible_to)
        if not is_alone(request.message):
            lines.append(ELSEWHERE)
        return "\n".join(lines) or "Nothing is done by the clock."

    return Command(name="jobs", about="what is done by the clock, last and next", needs_admin=True, run=run)


def job_lines(
    jobs: Sequence["JobInfo"], message: "IncomingMessage", visible_to: Mapping[str, frozenset[str]]
) -> list[str]:
    """A line for each job that all who read the reply may know of.

    What a job for all sources told of itself may name any of them; where not everybody may know of all it is left out.
    """
    named, now = {job.name: job for job in jobs}, datetime.now(UTC)
    is_open = may_know_all(message, visible_to)
    return [
        job_line(named[name], now, is_brief=not is_open and not name.startswith(READ))
        for name in nameable_jobs(named, message, visible_to)
    ]


def job_line(job: "JobInfo", now: datetime, *, is_brief: bool = False) -> str:
    """One job: its schedule, how it came out, and when it is due again."""
    told = "" if is_brief else job.told
    due = f"next {ago(job.next_run, now)}" if job.next_run else "due when `parley serve` runs"
    last = "not run yet" if job.began_at is None else f"last {ago(job.began_at, now)}: {told or job.outcome}"
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
