"""What was said in channels of a chat platform, as documents: a thread is one, and so is a talk outside of threads.

The adapters say how a platform is read (`chat.messages.History`); here is decided what is read, and when. What was read
is kept, so a reading asks for the last weeks of a channel, for threads with something new, and for what is due to be
checked (`chat.store`); of a channel that is new, as much as there is time for, newest first. So it is bounded in time,
and what it did not come to is done by the next one.

An edit or a deletion is noticed with the next reading in the last `RECENT` of the channel itself and where the platform
shows that a thread changed, else when the place is due: after as much time as the last message there was old when it
was last read, and at most a week. A channel that the platform does not show any more has no documents; one that cannot
be read for another reason has those that it had, and costs the others nothing.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from knowledge.errors import SourceError
from knowledge.sources.chat.messages import BusyError, History, Message, Thread, UnreadableError
from knowledge.sources.chat.parts import is_day
from knowledge.sources.chat.store import Entry, Kept, Place, kept_in
from knowledge.sources.chat.transcript import talks, transcript
from knowledge.sources.protocol import SourceFile

log = logging.getLogger(__name__)

LONGEST_READING = 600.0
"""Seconds after which nothing more is begun; shared by the channels of a source."""
LONGEST_THREAD = 5_000
"""Messages of a thread that are read, from its beginning."""
_OVERLAP = timedelta(days=1)
"""By which two listings of threads overlap: a platform's clock is not ours."""

Open = Callable[[], AbstractAsyncContextManager[History]]
"""Connects to a platform; raises SourceError."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a platform is to be documents."""

    channels: tuple[str, ...]
    days: int = 365
    """How far back; whole weeks are kept."""
    bots: bool = False
    """Whether messages of bots count; the assistant's own never do."""
    leave_out: frozenset[str] = frozenset()
    """Ids of people whose messages do not count."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """From what stands in `[[sources]]`."""
        return cls(
            channels=tuple(dict.fromkeys(settings["channels"])),
            days=int(settings.get("days", 365)),
            bots=bool(settings.get("bots", False)),
            leave_out=frozenset(settings.get("leave_out", ())),
        )

    def admits(self, author_id: str, by_bot: bool) -> bool:
        """Whether messages of that author count."""
        return author_id not in self.leave_out and (self.bots or not by_bot)

    @property
    def options(self) -> str:
        """Another text when other messages of the same channels count."""
        return f"{self.bots} {sorted(self.leave_out)}"


class ChannelHistory:
    """The documents of some channels; what a factory of `knowledge.sources.plugins` returns."""

    def __init__(
        self,
        name: str,
        folder: Path,
        wanted: Wanted,
        connect: Open,
        *,
        seconds: float = LONGEST_READING,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`name` is the source's; what is read is kept in `folder`, which belongs to this one meanwhile."""
        self._name = name
        self._folder = folder
        self._wanted = wanted
        self._open = connect
        self._seconds = seconds
        self._now = now

    def files(self) -> list[SourceFile]:
        """Read what is new, then list all documents; blocks for as long as that takes.

        A channel that cannot be read is one file with a problem. Raises SourceError when none can be asked for, and
        OSError when nothing can be written.
        """
        with kept_in(self._folder) as kept:
            problems = asyncio.run(self._read(kept))
            self._write(kept)
            files = []
            for channel in self._wanted.channels:
                files += [
                    SourceFile(path, channel, self._folder, problem=problem)
                    for path, problem in problems[channel].items()
                ]
                files += [self._file(entry) for entry in kept.documents(channel)]
            return files

    def _file(self, entry: Entry) -> SourceFile:
        known = {"date": entry.date, "author": entry.author}
        return SourceFile(entry.path, entry.uri, self._folder / entry.path, metadata=known)

    # Reading

    async def _read(self, kept: Kept) -> Mapping[str, Mapping[str, str]]:
        """By channel why it cannot be read, by the path where that is said."""
        try:
            return await self._read_channels(kept)
        except BusyError as error:  # at connecting
            raise SourceError(f"Source '{self._name}': {error} The next reading tries again.") from error

    async def _read_channels(self, kept: Kept) -> Mapping[str, Mapping[str, str]]:
        now = self._now()
        channels = self._wanted.channels
        since = kept.prepare(channels, since=now - timedelta(days=self._wanted.days), now=now)
        kept.apply(self._wanted.options, wanted=self._wanted.admits)
        problems: defaultdict[str, dict[str, str]] = defaultdict(dict)
        failed: list[SourceError] = []
        ends = time.monotonic() + self._seconds
        async with self._open() as history:
            for number, channel in enumerate(channels):
                left = ends - time.monotonic()
                until = time.monotonic() + left / (len(channels) - number)
                try:
                    await self._read_channel(history, kept, channel, since=since, now=now, until=until)
                except UnreadableError as error:
                    kept.drop(channel)
                    problems[channel][f"{channel}.md"] = _clause(error)
                except BusyError as error:
                    log.warning("Source '%s': %s The next reading goes on.", self._name, error)
                except SourceError as error:
                    # Without a network, say, each of them would take its time to fail.
                    unread = channels[number:] if time.monotonic() > ends else (channel,)
                    failed += [error] * len(unread)
                    for one in unread:
                        # At the path below which its documents are: whoever sees it leaves them as they are.
                        problems[one][_home(one)] = _clause(error, source=self._name)
                    if unread[-1] == channels[-1]:
                        break
        if len(failed) == len(channels) and not kept.changed():
            raise failed[0]
        return problems

    async def _read_channel(
        self, history: History, kept: Kept, channel: str, *, since: datetime, now: datetime, until: float
    ) -> None:
        kept.call(await history.channel(channel))
        last = kept.listed_at(channel)
        found = [
            thread async for thread in history.threads(channel, since=last - _OVERLAP if last else since)
        ]
        kept.found(channel, found)
        kept.was_listed(channel, now=now)
        await self._read_weeks(history, kept, kept.recent(channel, now=now), now=now)
        while place := kept.due(channel, now=now):  # at least one: however little time there is, it goes on
            if place.is_thread:
                await self._read_thread(history, kept, place, now=now)
            else:
                await self._read_weeks(history, kept, [place], now=now)
            if time.monotonic() > until:
                break
        if not kept.is_complete(channel):
            log.warning(
                "Source '%s': %s is not read to its beginning yet; the next reading goes on.",
                self._name,
                channel,
            )

    async def _read_thread(self, history: History, kept: Kept, place: Place, *, now: datetime) -> None:
        messages: list[Message] = []
        async with aclosing(history.thread(place.channel, place.id)) as said:
            async for message in said:
                messages.append(message)
                if len(messages) == LONGEST_THREAD:
                    log.warning("Of thread %s only the first %d messages are read.", place.id, LONGEST_THREAD)
                    break
        self._put(kept, place, messages, now=now)

    async def _read_weeks(
        self, history: History, kept: Kept, weeks: Sequence[Place], *, now: datetime
    ) -> None:
        """Weeks of one channel, oldest first, with one listing."""
        first, last = weeks[0], weeks[-1]
        messages: list[Message] = []
        threads: list[Thread] = []
        async for one in history.listed(first.channel, after=first.begins, before=last.newest):
            if isinstance(one, Thread):
                threads.append(one)
            else:
                messages.append(one)
        for week in weeks:
            begun = [thread for thread in threads if week.begins <= thread.begins < week.newest]
            kept.found(week.channel, begun, week=week)
            said = [message for message in messages if week.begins <= message.at < week.newest]
            self._put(kept, week, said, now=now)

    def _put(self, kept: Kept, place: Place, messages: Sequence[Message], *, now: datetime) -> None:
        wanted = [one for one in messages if self._wanted.admits(one.author_id, one.by_bot)]
        kept.put(place, wanted, now=now)

    # Writing

    def _write(self, kept: Kept) -> None:
        """Let the files be what the messages are."""
        for channel, part in kept.changed():
            kept.settle(channel, part, self._written(kept, channel, part))
        paths = {entry.path for channel in self._wanted.channels for entry in kept.documents(channel)}
        for file in self._folder.glob("*/*.md"):
            if file.relative_to(self._folder).as_posix() not in paths:
                file.unlink()

    def _written(self, kept: Kept, channel: str, part: str) -> Sequence[Entry]:
        title, messages = kept.messages(channel, part)
        entries = []
        documents = talks(messages) if is_day(part) else [messages] * bool(messages)
        for said in documents:
            made = transcript(said, channel=kept.name(channel), title=title)
            name = said[0].id if is_day(part) else part
            path = f"{_home(channel)}/{quote(name, safe='')}.md"
            file = self._folder / path
            file.parent.mkdir(exist_ok=True)
            file.write_text(made.text, encoding="utf-8")
            entries.append(Entry(path, made.uri, made.author, made.changed.isoformat(timespec="seconds")))
        return entries


def _home(channel: str) -> str:
    """The folder of its documents."""
    return quote(channel, safe="")


def _clause(error: Exception, *, source: str = "") -> str:
    """Of a sentence, as it stands in a `SourceFile.problem`."""
    return str(error).removeprefix(f"Source '{source}': ").rstrip(".")
