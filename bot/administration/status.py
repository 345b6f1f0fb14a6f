"""`status`: how it goes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.administration.jobs import job_lines
from bot.administration.naming import ELSEWHERE, is_alone, nameable
from bot.commands import Command, Request

if TYPE_CHECKING:
    from bot.jobs import JobInfo

BEING_READ = "sources are being read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `status` shows."""

    model: str
    waiting: int
    """Questions in the queue."""
    answering: int = 0
    """Questions that are being answered."""
    speed: str = ""
    """How long answers took lately; empty: there were none."""
    sources: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Documents and passages by name of the source."""
    index: str = ""
    """What is being done with the documents now, or how current they are."""
    jobs: Sequence["JobInfo"] = ()
    """The last ones, those that failed first."""
    versions: Mapping[str, str] = field(default_factory=dict)


def status_command(
    ask: Callable[[], Awaitable[Status]], *, visible_to: Mapping[str, frozenset[str]]
) -> Command:
    """`status`, for admins; `ask` gathers the facts, and `visible_to` says who may see each source."""

    async def run(request: Request) -> str:
        status, message = await ask(), request.message
        named = nameable(status.sources, message, visible_to)
        sources = [
            f"- source `{name}`: {status.sources[name][0]:,} documents, {status.sources[name][1]:,} passages"
            for name in named
        ]
        jobs = job_lines(status.jobs, message, visible_to)
        versions = ", ".join(f"{name} {version}" for name, version in status.versions.items())
        lines = (
            f"- model: {status.model}",
            status.speed and f"- speed: {status.speed}",
            f"- questions: {status.answering} being answered, {status.waiting} waiting",
            *(sources if status.sources else ["- documents: none yet"]),
            status.index and f"- index: {status.index if is_alone(message) else BEING_READ}",
            *(jobs if status.jobs else ["- jobs: none has run yet"]),
            versions and f"- versions: {versions}",
            "" if is_alone(message) else ELSEWHERE,
        )
        return "\n".join(line for line in lines if line)

    return Command(
        name="status", about="the model, the queue, the documents and the jobs", needs_admin=True, run=run
    )
