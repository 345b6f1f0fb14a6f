"""The contract between the assistant and a chat platform.

A platform gives two things: an `Adapter`, found by the entry-point group `parley.adapters`, which turns the
platform's events into `IncomingMessage`s; and a `Reply`, which shows one answer. `deliver` is the flow between
them and the one place where an error becomes a sentence, so that platforms cannot drift apart in either.
"""

import asyncio
import logging
from typing import ClassVar, Protocol

from bot.app import App
from bot.assistant import Assistant
from bot.errors import EXPLAINED
from bot.messages import Final, IncomingMessage, Progress, Text

log = logging.getLogger(__name__)

APOLOGY = "Something went wrong here and was written to the log; please ask again in a moment."


class Reply(Protocol):
    """One answer on one platform."""

    async def progress(self, progress: Progress) -> None:
        """Show what is being done; may be called before and between pieces of text."""

    async def text(self, content: str) -> None:
        """Add a piece of the answer; the pieces joined are the answer, in Markdown."""

    async def finish(self, final: Final) -> None:
        """Show the sources and the way to vote. Called once, last, unless `fail` is."""

    async def fail(self, sentence: str) -> None:
        """Say why there is no answer, or no more of it. Called once, last."""


class Adapter(Protocol):
    """A chat platform."""

    name: ClassVar[str]
    """What stands in `platform` of its messages."""
    interactive: ClassVar[bool]
    """Whether it needs a person at the terminal; such an adapter is not part of `parley serve`."""

    def __init__(self, app: App) -> None: ...

    @property
    def configured(self) -> bool:
        """Whether the settings hold what it needs; one that is not configured is not started by `serve`."""

    async def run(self) -> None:
        """Serve until cancelled, or until the person leaves."""


async def deliver(assistant: Assistant, message: IncomingMessage, reply: Reply) -> Final | None:
    """Answer `message` into `reply`; returns what was shown last, or None after an error.

    Raises nothing but `asyncio.CancelledError`: an error ends in `reply.fail` with a sentence, and in the log.
    """
    try:
        async with assistant.answer(message) as events:
            async for event in events:
                match event:
                    case Progress():
                        await reply.progress(event)
                    case Text():
                        await reply.text(event.content)
                    case Final():
                        await reply.finish(event)
                        return event
    except asyncio.CancelledError:
        raise
    except EXPLAINED as error:
        log.warning("message %s/%s failed: %s", message.platform, message.event_id, error)
        await reply.fail(str(error))
    except Exception:
        log.exception("message %s/%s failed", message.platform, message.event_id)
        await reply.fail(APOLOGY)
    return None
