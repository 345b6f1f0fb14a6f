"""What a chat platform gives of its channels, and what it has to do for that: `History` is filled by the adapters.

A platform's own types, markup and errors end in the adapter. What it gives is what people said: not what the bot itself
wrote, what was said to the bot by name, or what reports joins, topics and the like.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from knowledge.errors import KnowledgeError


class UnreadableError(KnowledgeError):
    """One channel cannot be read, and not by trying again; the message continues the sentence '<channel>: …'."""


class BusyError(KnowledgeError):
    """The platform takes no more requests for longer than is worth waiting; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel that can be read."""

    id: str
    name: str
    """As people write it: "#general"."""


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody said."""

    id: str
    """Unique in the channel; the same after an edit."""
    at: datetime
    """When it was said; with a time zone."""
    author: str
    """The name that people know."""
    author_id: str
    text: str
    """Markdown, with names in place of mentions; may be empty when there are attachments."""
    link: str
    """Where a person opens it."""
    by_bot: bool = False
    replying_to: str = ""
    """The name of the person to whose message it replies, where the platform says so."""
    attachments: tuple[str, ...] = ()
    """Names of the files."""


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread as it is listed, without its messages."""

    id: str
    """Unique in the channel, also among its messages but for the one with which it begins."""
    begins: datetime
    newest: datetime
    """When the last message in it was written."""
    mark: str
    """Another text when something was said in it or, as far as the platform shows it, when something was deleted."""
    title: str = ""
    """What people called it, where threads have names."""


class History(Protocol):
    """The channels of one platform. Its methods keep to the platform's rate limits, which includes waiting.

    Each may raise `BusyError`, `UnreadableError` for the channel that it was asked about, and SourceError when nothing
    can be read now: no network, a token that is not good.
    """

    async def channel(self, channel: str) -> Channel:
        """The channel with this id, when all that the other methods give of it can be had."""

    def listed(self, channel: str, *, after: datetime, before: datetime) -> AsyncIterator[Message | Thread]:
        """What stands in the channel itself in that time: messages outside of threads, and threads that begin then.

        In any order. Of a thread that begins with a message of the channel, that message is not given.
        """

    def threads(self, channel: str, *, since: datetime) -> AsyncIterator[Thread]:
        """Threads that may have changed since, as far as `listed` does not give them."""

    def thread(self, channel: str, thread: str) -> AsyncGenerator[Message, None]:
        """All its messages, with the one with which it begins, oldest first; none when there is no such thread."""
