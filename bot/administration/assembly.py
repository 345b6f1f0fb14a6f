"""All commands, put together for an app."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from bot.administration.channel import channel_commands
from bot.administration.differences import progress_text
from bot.administration.feedback import feedback_command
from bot.administration.forget import forget_commands
from bot.administration.jobs import jobs_command
from bot.administration.model import model_commands
from bot.administration.reindex import Reindex, rollback_commands
from bot.administration.sources import Sources
from bot.administration.status import Status, status_command
from bot.administration.stop import stop_command
from bot.commands import Command, Request
from bot.forgetting import Forgetting, person
from bot.notices import Notice
from feedback.report import as_markdown, summary
from knowledge.errors import IndexBusyError, KnowledgeError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from bot.app import App
    from bot.jobs import JobInfo
    from bot.messages import IncomingMessage
    from knowledge.rollback import Rollback

_ABOUT_SOURCES = {"sources", "reindex", "rollback", "channel"}
"""First words of commands that need to know which sources there are."""
_JOBS = 5
"""Jobs that `status` shows."""
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
        remove=lambda name: _remove(app, name),
    )

    def source_names() -> list[str]:
        return app.sources.names

    listed = [
        stop_command(lambda message: _stop(app, message)),
        status_command(lambda: _status(app), visible_to=app.library.visible_to),
        *sources.commands(),
        *Reindex(app.reindexing, source_names=source_names, visible_to=app.library.visible_to).commands(),
        *rollback_commands(lambda revision: _roll_back(app, revision), visible_to=app.library.visible_to),
        *channel_commands(app.places, source_names=source_names, visible_to=app.library.visible_to),
        *model_commands(installed=app.models.installed, in_use=app.models.in_use, use=app.models.use),
        jobs_command(app.jobs.listing, visible_to=app.library.visible_to),
        feedback_command(lambda since, until: as_markdown(summary(app.feedback, since=since, until=until))),
        *forget_commands(Forgetting(engine), named=lambda text, platform: person(text, platform=platform)),
    ]
    return [_up_to_date(app, one) if one.name.split()[0] in _ABOUT_SOURCES else one for one in listed]


def _up_to_date(app: "App", command: Command) -> Command:
    """The command, with the sources as the file declares them when it is given."""

    async def run(request: Request) -> Notice | str:
        await app.sources.refresh()
        return await command.run(request)

    return replace(command, run=run)


async def _stop(app: "App", message: "IncomingMessage") -> bool:
    stands_alone = message.addressed == "command" or message.thread_id == message.message_id
    return await app.desk.stop(
        platform=message.platform,
        conversation_id=message.conversation_id,
        thread_id=None if stands_alone else message.thread_id,
        user_id=message.user_id,
    )


async def _remove(app: "App", name: str) -> None:
    """Nobody finds its documents from the first line on; they go now, or at night when sources are being read."""
    await app.sources.remove(name)
    if app.reindexing.running is None:
        with suppress(IndexBusyError):
            async with app.reindexing.alone:
                await asyncio.to_thread(app.library.forget_removed)


async def _roll_back(app: "App", revision: int | None) -> "Rollback":
    """Paused first: else what is due in between would bring the change again."""
    if app.reindexing.running:
        raise IndexBusyError("The sources are being read; wait for that, or `reindex cancel`.")
    async with app.reindexing.alone:
        would = await asyncio.to_thread(app.library.rollback, expected=revision, dry_run=True)
        if revision is None:
            return would
        for source in would.sources:
            if source.name in app.sources.names:
                await app.sources.pause(source.name, True)
        return await asyncio.to_thread(app.library.rollback, expected=revision)


async def _status(app: "App") -> Status:
    answering, waiting = app.desk.load
    counts = await asyncio.to_thread(lambda: app.library.counts)
    jobs = await asyncio.to_thread(app.jobs.listing)
    return Status(
        model=app.models.in_use(),
        speed=await asyncio.to_thread(_speed, app),
        waiting=waiting,
        answering=answering,
        sources=dict.fromkeys(app.sources.names, (0, 0)) | counts,
        index=_index(app),
        jobs=_last(jobs),
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


def _last(jobs: Sequence["JobInfo"]) -> list["JobInfo"]:
    """Those that failed, and those that ran last."""
    ran = sorted((job for job in jobs if job.began_at), key=lambda job: (bool(job.failures), job.began_at))
    return ran[: -_JOBS - 1 : -1]


def _embedder(app: "App") -> str:
    try:
        return app.library.embedder.fingerprint
    except KnowledgeError as error:
        return f"none ({error})"
