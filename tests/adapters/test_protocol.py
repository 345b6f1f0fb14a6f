"""What every platform gets from `deliver`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from adapters.protocol import APOLOGY, deliver
from bot.assistant import Assistant
from bot.errors import ModelBusyError
from bot.messages import Event, Final, IncomingMessage, Progress, Text

FINAL = Final("t1", "written", "Yes. [1]", (), "m", 1, 2, 3)
MESSAGE = IncomingMessage(
    platform="test", event_id="e", conversation_id="c", thread_id="t", user_id="u", text="?"
)


class RecordingReply:
    """What was shown, in order."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, Any]] = []

    async def progress(self, progress: Progress) -> None:
        self.shown.append(("progress", progress.stage))

    async def text(self, content: str) -> None:
        self.shown.append(("text", content))

    async def finish(self, final: Final) -> None:
        self.shown.append(("finish", final.turn_id))

    async def fail(self, sentence: str) -> None:
        self.shown.append(("fail", sentence))


class FakeAssistant:
    """Gives events, then fails when told to."""

    def __init__(self, events: list[Event], error: BaseException | None = None) -> None:
        self.events, self.error = events, error

    @asynccontextmanager
    async def answer(self, _: IncomingMessage) -> AsyncIterator[AsyncGenerator[Event]]:
        async def stream() -> AsyncGenerator[Event]:
            for event in self.events:
                yield event
            if self.error:
                raise self.error

        yield stream()


async def shown(events: list[Event], error: BaseException | None = None) -> list[tuple[str, Any]]:
    reply = RecordingReply()
    await deliver(cast("Assistant", FakeAssistant(events, error)), MESSAGE, reply)
    return reply.shown


async def test_progress_text_and_the_end_arrive_in_order() -> None:
    assert await shown([Progress("searching", "…"), Text("Yes. [1]"), FINAL]) == [
        ("progress", "searching"),
        ("text", "Yes. [1]"),
        ("finish", "t1"),
    ]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            ModelBusyError("The model's queue is full; try again in a moment."),
            "The model's queue is full; try again in a moment.",
        ),
        (RuntimeError("secret internals"), APOLOGY),
    ],
)
async def test_an_error_ends_in_one_sentence(error: Exception, sentence: str) -> None:
    assert await shown([Text("Yes. ")], error) == [("text", "Yes. "), ("fail", sentence)]


async def test_cancelling_is_no_failure() -> None:
    reply = RecordingReply()
    with pytest.raises(asyncio.CancelledError):
        await deliver(cast("Assistant", FakeAssistant([], asyncio.CancelledError())), MESSAGE, reply)
    assert reply.shown == []
