"""The line that says what the bot is doing, while there is no text yet."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.slack import status as status_module
from adapters.slack.status import status_line
from bot.messages import Progress
from tests.adapters.slack.bench import Bench, bench, final

SEARCHING = Progress("searching", "Searching the documents")
READING = Progress("reading", "Reading 3 passages")
WAITING = Progress("waiting", "2nd in line, about 20 s")


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


async def shown(at: Bench, thread: str, text: str) -> None:
    await at.slack.wait_for(lambda: text in at.slack.status(at.channel, thread))


async def test_it_follows_what_is_done_and_goes_with_the_answer(at: Bench) -> None:
    message = await at.ask()
    reply = at.reply(message)
    for progress, line in (
        (WAITING, "will answer soon: 2nd in line, about 20 s"),
        (SEARCHING, "is searching the documents…"),
        (READING, "is reading 3 passages…"),
    ):
        await reply.progress(progress)
        await shown(at, message.thread_id, line)
    await reply.text("Yes.")
    await at.sees(message, "Yes.")
    assert at.slack.status(at.channel, message.thread_id) == ""
    await reply.finish(final(message, "Yes."))
    assert at.slack.status(at.channel, message.thread_id) == ""


async def test_it_is_set_again_before_slack_forgets_it(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "REPEAT", 0.05)
    message = await at.ask()
    reply = at.reply(message)
    await reply.progress(SEARCHING)
    await at.slack.wait_for(lambda: len(at.slack.statuses) >= 4)
    await reply.finish(final(message, "Yes."))
    count = len(at.slack.statuses)
    await asyncio.sleep(0.2)
    assert len(at.slack.statuses) == count


async def test_it_is_taken_away_when_there_is_no_answer(at: Bench) -> None:
    message = await at.ask()
    reply = at.reply(message)
    await reply.progress(SEARCHING)
    await shown(at, message.thread_id, "searching")
    await reply.withdraw()
    assert at.slack.status(at.channel, message.thread_id) == ""


@pytest.mark.parametrize("error", ["not_allowed", "invalid_thread_ts", "missing_scope", "internal_error"])
async def test_an_answer_never_fails_for_it(at: Bench, error: str) -> None:
    at.slack.fail("assistant.threads.setStatus", error, times=9)
    at.slack.fail("agents.sessions.setStatus", error, times=9)
    message = await at.ask()
    reply = at.reply(message)
    await reply.progress(SEARCHING)
    await reply.progress(READING)
    await reply.text("Yes.")
    await reply.finish(final(message, "Yes."))
    assert len(at.answers(message)) == 1


async def test_nobody_waits_for_it(at: Bench) -> None:
    at.slack.slow("agents.sessions.setStatus", 0.5)
    message = await at.ask()
    reply = at.reply(message)
    async with asyncio.timeout(0.3):
        await reply.progress(SEARCHING)
        await reply.progress(READING)
    await reply.finish(final(message, "Yes."))


async def test_a_workspace_without_it_is_asked_once(at: Bench) -> None:
    at.slack.without("assistant.threads.setStatus", "agents.sessions.setStatus")
    for question in ("one?", "two?"):
        message = await at.ask(question)
        reply = at.reply(message)
        await reply.progress(SEARCHING)
        await asyncio.sleep(0.1)
        await reply.finish(final(message, "Yes."))
    assert len(at.slack.called("assistant.threads.setStatus")) == 1
    assert len(at.slack.called("agents.sessions.setStatus")) == 1


async def test_slack_shows_a_stop_button_as_long_as_it_is_worked_on(at: Bench) -> None:
    message = await at.ask()
    reply = at.reply(message)
    await reply.progress(WAITING)
    place = (at.channel.id, message.thread_id)
    await at.slack.wait_for(lambda: at.slack.workspace.sessions.get(place) == "processing")
    await reply.finish(final(message, "Yes."))
    assert at.slack.workspace.sessions[place] == "active"
    assert at.whispers() == []


async def test_where_slack_has_no_stop_button_who_waits_gets_one(at: Bench) -> None:
    at.pace.lacks.add("sessions")
    message = await at.ask()
    reply = at.reply(message)
    await reply.progress(WAITING)
    await reply.progress(Progress("waiting", "Next in line"))
    (whisper,) = at.whispers()
    assert [button["value"] for button in whisper.buttons] == [message.turn_id]
    await reply.finish(final(message, "Yes."))


async def test_what_an_earlier_process_left_open_is_closed_by_a_failure(at: Bench) -> None:
    message = await at.ask()
    place = (at.channel.id, message.thread_id)
    at.slack.workspace.sessions[place] = "processing"
    await at.reply(message).fail("I have set this aside.")
    assert at.slack.workspace.sessions[place] == "active"


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (SEARCHING, "is searching the documents…"),
        (Progress("writing", "Writing the answer…"), "is writing the answer…"),
        (WAITING, "will answer soon: 2nd in line, about 20 s"),
    ],
)
def test_it_reads_as_a_sentence_behind_the_name(progress: Progress, line: str) -> None:
    assert status_line(progress) == line


async def test_a_status_that_changes_as_the_answer_ends_does_not_hold_it_up(at: Bench) -> None:
    for _ in range(3):
        message = await at.ask()
        reply = at.reply(message)
        await reply.progress(SEARCHING)
        await shown(at, message.thread_id, "is searching the documents…")
        await asyncio.sleep(0.05)
        await reply.progress(READING)
        await asyncio.sleep(0)  # the line has woken up, and is cancelled in the same moment
        async with asyncio.timeout(5):
            await reply.finish(final(message, "Yes."))
