"""What every platform gets from `deliver`."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bot.delivery import APOLOGY, deliver
from bot.errors import ModelBusyError, PlatformError
from bot.messages import Event, IncomingMessage, Progress, Text
from tests.bot.fakes import FINAL, FakeAssistant, RecordingReply

MESSAGE = IncomingMessage(
    platform="test", event_id="e", conversation_id="c", thread_id="t", user_id="u", text="?"
)


async def shown(
    events: list[Event], error: BaseException | None = None, *, overheard: bool = False
) -> tuple[str, list[tuple[str, Any]]]:
    """What became of the message, and what was shown."""
    reply = RecordingReply()
    outcome, _ = await deliver(FakeAssistant(events, error=error), MESSAGE, reply, overheard=overheard)
    return outcome, reply.shown


async def test_progress_text_and_the_end_arrive_in_order() -> None:
    assert await shown([Progress("searching", "…"), Text("Yes. [1]"), FINAL]) == (
        "answered",
        [("progress", "searching"), ("text", "Yes. [1]"), ("finish", "written")],
    )


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
    assert await shown([Text("Yes. ")], error) == ("failed", [("text", "Yes. "), ("fail", sentence)])


@pytest.mark.parametrize("error", [asyncio.CancelledError(), PlatformError("Invite the bot.")])
async def test_what_the_desk_deals_with_is_no_failure_here(error: BaseException) -> None:
    reply = RecordingReply()
    with pytest.raises(type(error)):
        await deliver(FakeAssistant([], error=error), MESSAGE, reply)
    assert reply.shown == []


async def test_overheard_an_answer_comes_without_a_word_before_it() -> None:
    assert await shown([Progress("searching", "…"), Text("Yes. [1]"), FINAL], overheard=True) == (
        "answered",
        [("text", "Yes. [1]"), ("finish", "written")],
    )


async def test_overheard_nothing_is_better_than_not_knowing() -> None:
    unknown = replace(FINAL, mode="unknown")
    assert await shown([Text("I don't know."), unknown], overheard=True) == (
        "silent",
        [("withdraw", "")],
    )
    assert await shown([], RuntimeError(), overheard=True) == ("failed", [("withdraw", "")])
    assert (await shown([Text("I don't know."), unknown]))[0] == "unknown"
