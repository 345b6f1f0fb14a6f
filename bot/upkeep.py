"""What is done by the clock: each a coroutine that ends with one sentence, or raises an error that is one.

When each is due is said in `bot.jobs`.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from bot.errors import EXPLAINED, UsageError
from bot.jobs import Entry, timetable
from bot.reindexing import ReindexStoppedError
from knowledge.access import visible_sources
from knowledge.errors import IndexBusyError, SourceError

if TYPE_CHECKING:
    from bot.app import App
    from knowledge.planning import SourceReport

WEEK = timedelta(days=7)
_ROUNDING = 1e-9


class Upkeep:
    """The work itself, for an app."""

    def __init__(self, app: "App") -> None:
        self._app = app

    def entries(self) -> list[Entry]:
        """The jobs that the settings ask for now. Raises `SettingsError`."""
        settings = self._app.settings
        times = timetable(
            self._app.sources(),
            refresh_minutes=settings.knowledge.refresh_minutes,
            schedules=settings.schedules,
        )
        runners = {"collect": self.collect, "evaluate": self.evaluate, "digest": self.digest}
        return [
            Entry(name, schedule, runners.get(name) or partial(self.read, name.removeprefix("read ")))
            for name, schedule in times.items()
        ]

    async def read(self, name: str) -> str:
        """Read a source again. Files that cannot be read are counted; a source that cannot is an error."""
        await self._app.sources.refresh()
        if name not in self._app.sources.names:
            return f"{name} is no source any more"
        try:
            report = await self._app.reindexing.run(name, retry_failed=False)
        except ReindexStoppedError:
            return "stopped by somebody; the next time goes on there"
        for source in report.sources:
            if source.error:
                raise SourceError(source.error)
        return (
            "; ".join(_brief(source) for source in report.sources if source.name == name) or "nothing to do"
        )

    async def collect(self) -> str:
        """Delete what is older than it is kept, and what nobody can find any more."""
        app = self._app
        now = datetime.now(UTC)
        messages_before = now - timedelta(days=app.settings.inbox.keep)
        turns_before = now - timedelta(days=app.settings.schedules.keep_turns)
        messages = await asyncio.to_thread(app.desk.inbox.expire, messages_before)
        await asyncio.to_thread(app.thread_files.expire, messages_before)
        turns = await asyncio.to_thread(app.feedback.expire, turns_before)
        await asyncio.to_thread(app.audit.expire, turns_before)
        left = await self._tidy_index()
        return f"deleted {_many(messages, 'message')} and {_many(turns, 'answer')} that were kept long enough{left}"

    async def _tidy_index(self) -> str:
        """Take out what nobody can find any more."""
        try:
            async with self._app.reindexing.alone:
                await asyncio.to_thread(self._app.library.forget_removed)
                await asyncio.to_thread(self._app.library.collect)
        except IndexBusyError:
            return "; another process is indexing, so the index is tidied the next time"
        return ""

    async def evaluate(self) -> str:
        """Ask each source its questions; the admins hear of one that finds clearly less than the last time."""
        told: list[str] = []
        failed: list[str] = []
        for source in self._app.sources():
            if source.evaluation is None:
                continue
            before = await asyncio.to_thread(self._app.library.evaluations.latest, source.name)
            try:
                now = await asyncio.to_thread(self._app.library.evaluate, source.name)
            except EXPLAINED as error:
                failed.append(str(error))
                continue
            told.append(f"{source.name}: {now.found} of {now.questions} questions find their documents")
            if before and before.recall - now.recall > source.tolerance + _ROUNDING:
                await self._app.desk.tell_admins(
                    f"{told[-1]}, the last time it was {before.found} of {before.questions}; look at what has changed "
                    f"in its documents or in the settings since {before.at:%Y-%m-%d}."
                )
        if failed:
            raise UsageError(" ".join(failed))
        return "; ".join(told) or "no source has questions"

    async def digest(self) -> str:
        """Sum the week up where the settings say; nothing is told there that its readers could not see anyway."""
        from feedback.digest import as_markdown, digest

        app, until = self._app, datetime.now(UTC)
        place = app.settings.schedules.digest_channel
        if place is None:
            return "there is no channel for it"
        principals = await app.desk.who_reads(place)
        found = await asyncio.to_thread(
            digest,
            app.feedback,
            since=until - WEEK,
            until=until,
            principals=principals,
            sources=visible_sources(app.library.visible_to, principals),
        )
        await app.desk.post(place, as_markdown(found))
        return f"posted in {place}"


def _brief(source: "SourceReport") -> str:
    counts = ((source.added, "added"), (source.changed, "changed"), (source.deleted, "removed"))
    told = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing new"
    return f"{told}, {_many(len(source.failed), 'file')} not read" if source.failed else told


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
