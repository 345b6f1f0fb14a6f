"""`status`: how it goes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bot.commands import Command, Request


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
    jobs: Sequence[str] = ()
    """A line for each of the last jobs, those that failed first."""
    versions: Mapping[str, str] = field(default_factory=dict)


def status_command(ask: Callable[[], Awaitable[Status]]) -> Command:
    """`status`, for admins; `ask` gathers the facts."""

    async def run(_: Request) -> str:
        status = await ask()
        sources = [
            f"- source `{name}`: {documents:,} documents, {passages:,} passages"
            for name, (documents, passages) in status.sources.items()
        ]
        versions = ", ".join(f"{name} {version}" for name, version in status.versions.items())
        lines = (
            f"- model: {status.model}",
            status.speed and f"- speed: {status.speed}",
            f"- questions: {status.answering} being answered, {status.waiting} waiting",
            *(sources or ["- documents: none yet"]),
            status.index and f"- index: {status.index}",
            *(status.jobs or ["- jobs: none has run yet"]),
            versions and f"- versions: {versions}",
        )
        return "\n".join(line for line in lines if line)

    return Command(
        name="status", about="the model, the queue, the documents and the jobs", needs_admin=True, run=run
    )
