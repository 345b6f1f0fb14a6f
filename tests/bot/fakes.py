"""A chat platform in memory, and an assistant that does what it was told to."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from bot.errors import PlatformError
from bot.messages import Event, Final, IncomingMessage, Progress, Text
from bot.notices import Action
from bot.places import PlaceSettings

FINAL = Final("t1", "written", "Yes. [1]", (), "m", 1, 2, 3)


class RecordingReply:
    """What was shown, in order. With `errors`, each call that ends the reply raises the next of them first."""

    def __init__(self, errors: list[PlatformError] | None = None) -> None:
        self.shown: list[tuple[str, Any]] = []
        self._errors = errors if errors is not None else []

    async def progress(self, progress: Progress) -> None:
        self.shown.append(("progress", progress.text if progress.stage == "waiting" else progress.stage))

    async def text(self, content: str) -> None:
        self.shown.append(("text", content))

    async def finish(self, final: Final) -> None:
        self._end("finish", final.mode)

    async def fail(self, sentence: str) -> None:
        self._end("fail", sentence)

    async def report(self, markdown: str) -> None:
        self.shown.append(("report", markdown))

    async def say(self, markdown: str, *, actions: Sequence[Action] = ()) -> None:
        self._end("say", markdown)
        if actions:
            self.shown.append(("actions", tuple(actions)))

    async def stopped(self) -> None:
        self._end("stopped", "")

    async def withdraw(self) -> None:
        self._end("withdraw", "")

    def _end(self, how: str, what: str) -> None:
        if self._errors:
            raise self._errors.pop(0)
        self.shown.append((how, what))


class FakePlatform:
    """Keeps what was shown for each question; everybody's message is complete as it comes."""

    def __init__(self, name: str = "fake", *, admins: Sequence[str] = ()) -> None:
        self.name = name
        self.replies: list[tuple[IncomingMessage, RecordingReply]] = []
        self.told: list[str] = []
        self.posted: list[tuple[str, str]] = []
        """Conversation and Markdown of what nobody asked for."""
        self.errors: list[PlatformError] = []
        self.files: dict[str, bytes] = {}
        self._admins = admins

    def shown(self, text: str) -> list[tuple[str, Any]]:
        """All that was shown for the questions with this text."""
        return [event for message, reply in self.replies if message.text == text for event in reply.shown]

    async def complete(self, message: IncomingMessage) -> IncomingMessage:
        return replace(message, by_admin=message.user_id in self._admins)

    async def fetch(self, message: IncomingMessage) -> list[tuple[str, bytes]]:
        return [(file.name, self.files[file.url]) for file in message.attachments]

    def reply(self, message: IncomingMessage) -> RecordingReply:
        reply = RecordingReply(self.errors)
        self.replies.append((message, reply))
        return reply

    async def tell_admins(self, sentence: str) -> None:
        self.told.append(sentence)

    async def post(self, conversation_id: str, markdown: str) -> None:
        self.posted.append((conversation_id, markdown))

    async def who_reads(self, conversation_id: str) -> frozenset[str]:
        return frozenset({"everyone", f"{self.name}:{conversation_id}"})


class FakeAssistant:
    """Gives events, then fails when told to; with a `gate`, waits for it after the first event."""

    def __init__(
        self,
        events: Sequence[Event] = (Text("Yes. [1]"), FINAL),
        *,
        error: BaseException | None = None,
        gate: asyncio.Event | None = None,
    ) -> None:
        self.events, self.error, self.gate = events, error, gate
        self.asked: list[IncomingMessage] = []
        self.files: list[tuple[str, str]] = []

    @asynccontextmanager
    async def answer(
        self,
        message: IncomingMessage,
        *,
        place: PlaceSettings | None = None,
        files: Sequence[tuple[str, str]] = (),
    ) -> AsyncIterator[AsyncGenerator[Event]]:
        self.asked.append(message)
        self.files = list(files)

        async def stream() -> AsyncGenerator[Event]:
            for event in self.events:
                yield event
                if self.gate:
                    await self.gate.wait()
            if self.error:
                raise self.error

        yield stream()
