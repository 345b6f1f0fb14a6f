"""A chat platform in memory, as far as a source of documents sees one."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from knowledge.sources.chat.messages import Channel, Message, Thread, UnreadableError
from knowledge.sources.history import ChannelHistory, Wanted
from knowledge.sources.protocol import SourceFile

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)


@dataclass
class Platform:
    """Satisfies `History`; what people say is given its time by the clock, which a test moves."""

    now: datetime = MONDAY + timedelta(hours=9)
    channels: dict[str, str] = field(default_factory=lambda: {"C1": "#general"})
    said: dict[str, Message] = field(default_factory=dict)
    where: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By message its channel and thread."""
    born: dict[str, datetime] = field(default_factory=dict)
    """When each message was written, also of those that are gone."""
    titles: dict[str, str] = field(default_factory=dict)
    apart: bool = False
    """Whether threads are listed apart from messages."""
    trouble: Exception | None = None
    """What the next request for a channel's messages ends with."""
    refused: dict[str, Exception] = field(default_factory=dict)
    """By channel what requests for its messages end with."""
    offline: Exception | None = None
    """What connecting ends with."""
    asked: list[str] = field(default_factory=list)
    reads: int = 0
    """Times a message was given."""

    def say(
        self,
        text: str,
        *,
        by: str = "Ada",
        below: str = "",
        channel: str = "C1",
        later: timedelta = timedelta(seconds=1),
        bot: bool = False,
    ) -> str:
        """Somebody writes, a while after the last one; gives the id."""
        self.now += later
        number = str(len(self.where) + 1)
        self.said[number] = Message(
            number, self.now, by, by.upper(), text, f"https://chat.example/{channel}/{number}", by_bot=bot
        )
        self.where[number], self.born[number] = (channel, below), self.now
        return number

    def tick(self) -> datetime:
        """A moment later."""
        self.now += timedelta(milliseconds=1)
        return self.now

    def edit(self, number: str, text: str) -> None:
        self.said[number] = replace(self.said[number], text=text)

    def delete(self, number: str) -> None:
        del self.said[number]

    def _in(self, channel: str, thread: str) -> list[Message]:
        """A thread begins with the message that has its id."""
        return [
            message
            for number, message in self.said.items()
            if self.where[number] == (channel, thread) or (thread and number == thread)
        ]

    def _threads(self, channel: str) -> list[Thread]:
        found = []
        for thread in dict.fromkeys(
            below for where, below in self.where.values() if below and where == channel
        ):
            messages = self._in(channel, thread)
            replies = [message for message in messages if message.id != thread]
            if replies:
                begins = self.born[thread]
                mark = f"{len(replies)} {replies[-1].id}"
                title = self.titles.get(thread, "")
                found.append(Thread(thread, begins, replies[-1].at, mark, title))
        return found

    async def channel(self, channel: str) -> Channel:
        """See `History.channel`."""
        self.asked.append(f"channel {channel}")
        if channel not in self.channels:
            raise UnreadableError("I am not a member; invite me.")
        return Channel(channel, self.channels[channel])

    async def listed(
        self, channel: str, *, after: datetime, before: datetime
    ) -> AsyncIterator[Message | Thread]:
        """See `History.listed`."""
        self.asked.append(f"listed {after:%m-%d}")
        threads = self._threads(channel)
        begun = {thread.id for thread in threads}
        for message in self._in(channel, ""):
            if after <= message.at < before and message.id not in begun:
                self.reads += 1
                yield message
        if trouble := self.trouble or self.refused.get(channel):
            raise trouble
        for thread in threads:
            if after <= thread.begins < before and not self.apart:
                yield thread

    async def threads(self, channel: str, *, since: datetime) -> AsyncIterator[Thread]:
        """See `History.threads`."""
        for thread in self._threads(channel):
            if self.apart and thread.newest >= since:
                yield thread

    async def thread(self, channel: str, thread: str) -> AsyncGenerator[Message, None]:
        """See `History.thread`."""
        self.asked.append(f"thread {thread}")
        messages = self._in(channel, thread)
        if all(message.id == thread for message in messages):
            return
        for message in messages:
            self.reads += 1
            yield message

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["Platform"]:
        if self.offline:
            raise self.offline
        yield self


def source(
    platform: Platform, folder: Path, *channels: str, seconds: float = 60.0, **wanted: object
) -> ChannelHistory:
    """The source of these channels, or of the first one."""
    choice = Wanted.of({"channels": channels or ("C1",), **wanted})
    return ChannelHistory("chat", folder, choice, platform.connected, seconds=seconds, now=platform.tick)


def texts(files: list[SourceFile]) -> list[str]:
    """What the documents say."""
    return [file.local.read_text(encoding="utf-8") for file in files if not file.problem]
