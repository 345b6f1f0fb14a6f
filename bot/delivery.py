"""From a message to what a person sees: the part of a chat platform that the core needs, and the flow between them.

`deliver` is the one place where an error becomes a sentence, so that platforms cannot drift apart in it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from bot.errors import EXPLAINED, PlatformError
from bot.messages import Event, Final, IncomingMessage, Progress, Text
from bot.notices import Action

log = logging.getLogger(__name__)

APOLOGY = "Something went wrong here and was written to the log; please ask again in a moment."

Delivered = Literal["answered", "unknown", "silent", "failed"]
"""What became of a message: an answer, "I don't know", nothing where that is better, or a sentence why not."""


class Reply(Protocol):
    """One answer on one platform.

    A reply that is made a second time for the same message, after a restart, goes on where the first stopped: what
    is on the platform already is changed, not posted again. Every method raises `PlatformError` when the platform
    refuses, and `PlatformUnavailableError` when the same may work later.
    """

    async def progress(self, progress: Progress) -> None:
        """Show what is being done; may be called before and between pieces of text."""

    async def text(self, content: str) -> None:
        """Add a piece of the answer; the pieces joined are the answer, in Markdown."""

    async def finish(self, final: Final) -> None:
        """Show the sources and the way to vote. Called once, last, unless one of those below is."""

    async def fail(self, sentence: str) -> None:
        """Say why there is no answer, or no more of it. Called once, last."""

    async def report(self, markdown: str) -> None:
        """Show how far a command's work is, in place of what was reported before; for everyone who is there.

        May be called at any pace: what comes too fast is left out.
        """

    async def say(self, markdown: str, *, actions: Sequence[Action] = ()) -> None:
        """Show what a command has to tell, with what can be done next. Called once, last.

        It takes the place of what was reported; without a report the asker alone sees it, where the platform can.
        """

    async def stopped(self) -> None:
        """The asker stopped it: what was shown stays, marked as stopped. Called once, last."""

    async def withdraw(self) -> None:
        """There is nothing to say after all: take away what was shown. Called once, last."""


class Platform(Protocol):
    """The part of an adapter that the desk works with."""

    @property
    def name(self) -> str:
        """What stands in `platform` of its messages."""

    async def complete(self, message: IncomingMessage) -> IncomingMessage:
        """The message with what takes requests to find out: principals, `by_admin`, the thread's context."""

    async def fetch(self, message: IncomingMessage) -> list[tuple[str, bytes]]:
        """Names and contents of the message's attachments; raises `PlatformError` naming the one that fails."""

    def reply(self, message: IncomingMessage) -> Reply:
        """The place where the message is answered; asks the platform nothing yet."""

    async def tell_admins(self, sentence: str) -> None:
        """Tell those who run the bot, where they asked to be told; else nobody."""

    async def post(self, conversation_id: str, markdown: str) -> None:
        """Post something nobody asked for: the week's digest; raises `PlatformError`."""

    async def who_reads(self, conversation_id: str) -> frozenset[str]:
        """The principals of everybody who can read that channel; raises `PlatformError`."""


class Answers(Protocol):
    """What gives the answer: the assistant, or a stored turn that is shown again."""

    def answer(self, message: IncomingMessage) -> AbstractAsyncContextManager[AsyncIterator[Event]]: ...


async def deliver(
    assistant: Answers, message: IncomingMessage, reply: Reply, *, overheard: bool = False
) -> tuple[Delivered, Final | None]:
    """Answer `message` into `reply`; returns what became of it, and what was shown last.

    A message that was `overheard`, and not said to the bot, is answered when there is an answer, and not at all
    when there is none. Raises `PlatformError` when the reply could not be shown, and `asyncio.CancelledError`; any
    other error ends in `reply.fail` with a sentence, and in the log.
    """
    held: list[str] | None = [] if overheard else None
    try:
        async with assistant.answer(message) as events:
            async for event in events:
                match event:
                    case Progress() if held is None:
                        await reply.progress(event)
                    case Text(content) if held is not None:
                        held.append(content)
                    case Text(content):
                        await reply.text(content)
                    case Final():
                        return await _finish(event, reply, held)
    except (asyncio.CancelledError, PlatformError):
        raise
    except Exception as error:
        sentence = str(error) if isinstance(error, EXPLAINED) else APOLOGY
        log.log(
            logging.WARNING if isinstance(error, EXPLAINED) else logging.ERROR,
            "turn %s failed: %s",
            message.turn_id,
            error,
            exc_info=not isinstance(error, EXPLAINED),
        )
        if held is not None:
            await reply.withdraw()
        else:
            await reply.fail(sentence)
    return "failed", None


async def _finish(final: Final, reply: Reply, held: list[str] | None) -> tuple[Delivered, Final]:
    if held is not None and final.mode == "unknown":
        await reply.withdraw()
        return "silent", final
    for content in held or ():
        await reply.text(content)
    await reply.finish(final)
    return ("unknown" if final.mode == "unknown" else "answered"), final
