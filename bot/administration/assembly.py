"""All commands, put together for an app."""

import asyncio
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from bot.administration.channel import channel_commands
from bot.administration.differences import progress_text
from bot.administration.feedback import feedback_command
from bot.administration.forget import forget_commands
from bot.administration.jobs import job_line, jobs_command
from bot.administration.model import model_commands
from bot.administration.reindex import Reindex, rollback_commands
from bot.administration.sources import Sources
from bot.administration.status import Status, status_command
from bot.administration.stop import stop_command
from bot.commands import Command
from bot.forgetting import Forgetting, person
from feedback.report import as_markdown, summary
from knowledge.errors import IndexBusyError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from bot.app import App
    from bot.messages import IncomingMessage
    from knowledge.rollback import Rollback

_LATELY = 50
"""Answers of which the speed is told."""


def all_commands(app: "App", engine: "Engine") -> list[Command]:
    """In the order in which `help` lists them."""
    sources = Sources(
        listed=app.sources,
        counts=lambda: app.library.counts,
        addable=app.settings.knowledge.addable,
        add=app.sources.add,
        pause=app.sources.pause,
        remove=app.sources.remove,
    )

    def source_names() -> list[str]:
        return app.sources.names

    return [
        stop_command(lambda message: _stop(app, message)),
        status_command(lambda: _status(app)),
        *sources.commands(),
        *Reindex(app.reindexing, source_names=source_names).commands(),
        *rollback_commands(lambda is_meant: _roll_back(app, is_meant=is_meant)),
        *channel_commands(app.places, source_names=source_names),
        *model_commands(installed=app.models.installed, in_use=app.models.in_use, use=app.models.use),
        jobs_command(app.jobs.listing),
        feedback_command(lambda since, until: as_markdown(summary(app.feedback, since=since, until=until))),
        *forget_commands(Forgetting(engine), named=lambda text, platform: person(text, platform=platform)),
    ]


async def _stop(app: "App", message: "IncomingMessage") -> bool:
    stands_alone = message.addressed == "command" or message.thread_id == message.message_id
    return await app.desk.stop(
        platform=message.platform,
        conversation_id=message.conversation_id,
        thread_id=None if stands_alone else message.thread_id,
        user_id=message.user_id,
    )


async def _roll_back(app: "App", *, is_meant: bool) -> "Rollback":
    """Pause first: else what is due in between would bring the change again."""
    if app.reindexing.running:
        raise IndexBusyError("The sources are being read; wait for that, or `reindex cancel`.")
    would = await asyncio.to_thread(app.library.rollback, dry_run=True)
    if not is_meant:
        return would
    for source in would.sources:
        if source.name in app.sources.names:
            await app.sources.pause(source.name, True)
    return await asyncio.to_thread(app.library.rollback)


async def _status(app: "App") -> Status:
    answering, waiting = app.desk.load
    counts = await asyncio.to_thread(lambda: app.library.counts)
    jobs = await asyncio.to_thread(app.jobs.listing)
    now = datetime.now(UTC)
    return Status(
        model=app.models.in_use(),
        speed=await asyncio.to_thread(_speed, app),
        waiting=waiting,
        answering=answering,
        sources=dict.fromkeys(app.sources.names, (0, 0)) | counts,
        index=_index(app),
        jobs=[job_line(job, now) for job in jobs if job.failures],
        versions={
            "Parley": version("parley-bot"),
            "embedding model": await asyncio.to_thread(_embedder, app),
        },
    )


def _speed(app: "App") -> str:
    times = sorted(
        one.turn.total_ms / 1000
        for one in app.feedback.turns(limit=_LATELY)
        if one.turn.outcome == "answered"
    )
    if not times:
        return ""
    return f"half of the last {len(times)} answers were there in {times[len(times) // 2]:.1f} s"


def _index(app: "App") -> str:
    running = app.reindexing.running
    if running is None:
        return ""
    return progress_text(running.progress) if running.progress else "the sources are being looked at"


def _embedder(app: "App") -> str:
    return app.library.embedder.fingerprint
