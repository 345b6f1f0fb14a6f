"""A command that takes its time: how far it is, in one message that everybody sees, and its result in its place."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.pacing import Budget
from adapters.slack.api import BUDGETS, WorkspacePace
from bot.errors import PlatformError, PlatformUnavailableError
from bot.messages import IncomingMessage
from bot.notices import Action
from tests.adapters.slack.bench import Bench, DiedError, DyingOutbox, bench, crash
from tests.platforms.slack import Message

HALF, MOST = "▓▓▓▓░░░░ 50%", "▓▓▓▓▓▓▓░ 90%"
DONE = "**2 added**, nothing deleted."


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


def slash(at: Bench) -> IncomingMessage:
    return replace(at.command("reindex"), addressed="command")


def shown(at: Bench) -> list[Message]:
    return at.slack.answers(at.channel)


async def test_a_slash_command_reports_in_the_channel_and_ends_there(at: Bench) -> None:
    message = slash(at)
    reply = at.reply(message)
    await reply.report(HALF)
    await at.sees(message, HALF)
    await reply.report(MOST)
    await at.sees(message, MOST)
    await reply.say(DONE, actions=[Action("Undo", "rollback", is_dangerous=True)])
    (only,) = shown(at)
    assert only.text.startswith(DONE)
    assert (only.thread_ts, only.ephemeral_to) == (None, None)
    assert [(b["text"]["text"], b["value"], b["style"]) for b in only.buttons] == [
        ("Undo", "rollback", "danger")
    ]
    assert at.whispers() == []
    assert at.called("chat.postMessage") == 1


async def test_a_command_in_a_mention_reports_in_its_thread(at: Bench) -> None:
    root = await at.slack.post(at.channel, at.asker, "Hello")
    message = await at.ask("reindex", in_thread=root)
    reply = at.reply(message)
    await reply.report(HALF)
    await at.slack.wait_for(lambda: shown(at))
    await reply.say(DONE)
    (only,) = shown(at)
    assert (only.text, only.thread_ts) == (DONE, root)
    assert at.called("chat.startStream") == 0


async def test_a_result_without_a_report_is_private_with_its_buttons(at: Bench) -> None:
    await at.reply(slash(at)).say("12 would change.", actions=[Action("Go on", "reindex go")])
    (whisper,) = at.whispers()
    assert [(b["text"]["text"], b["value"], b["style"]) for b in whisper.buttons] == [
        ("Go on", "reindex go", "primary")
    ]
    assert shown(at) == []


async def test_what_comes_too_fast_is_left_out_and_holds_up_neither_work_nor_end(at: Bench) -> None:
    pace = WorkspacePace(BUDGETS | {"reports": Budget(1, 3600.0)})
    message = slash(at)
    reply = at.reply(message, pace=pace)
    await reply.report(HALF)
    await at.sees(message, HALF)
    for percent in range(50, 100):
        await reply.report(f"{percent}%")
        await asyncio.sleep(0)
    await reply.say(DONE)
    assert [one.text for one in shown(at)] == [DONE]
    assert (at.called("chat.postMessage"), at.called("chat.update")) == (1, 1)


async def test_a_report_that_says_less_than_before_leaves_nothing_of_it(at: Bench) -> None:
    message = slash(at)
    reply = at.reply(message)
    await reply.report("\n\n".join(f"File {n}: " + "word " * 300 for n in range(9)))
    await at.slack.wait_for(lambda: len(shown(at)) > 1)
    await reply.report(HALF)
    await at.slack.wait_for(lambda: [one.text for one in shown(at)] == [HALF])
    await reply.say(DONE)
    assert [one.text for one in shown(at)] == [DONE]


async def test_a_report_notifies_nobody_and_links_nowhere(at: Bench) -> None:
    message = slash(at)
    reply = at.reply(message)
    await reply.report("<!channel> failed: [here](https://evil.example/x)")
    await at.sees(message, "failed")
    await reply.say("<@U012345678> and https://evil.example/y")
    assert "](https://evil" not in shown(at)[0].text
    assert not at.slack.violations


@pytest.mark.parametrize("again", ["reports again", "has its result at once"])
async def test_after_a_restart_the_same_message_goes_on(at: Bench, again: str) -> None:
    message = slash(at)
    first = at.reply(message)
    await first.report(HALF)
    before = await at.sees(message, HALF)
    await crash(first)

    second = at.reply(message)
    if again == "reports again":
        await second.report(MOST)
        await at.sees(message, MOST)
    await second.say(DONE)
    assert [(one.ts, one.text) for one in shown(at)] == [(before.ts, DONE)]
    assert at.whispers() == []


@pytest.mark.parametrize("writes", [0, 1])
async def test_a_crash_around_the_first_report_leaves_one_message(at: Bench, writes: int) -> None:
    message = slash(at)
    dying = at.reply(message, outbox=DyingOutbox(at.engine, writes=writes))
    await dying.report(HALF)
    with pytest.raises(DiedError):
        await dying.say(DONE)
    assert len(shown(at)) == writes
    second = at.reply(message)
    await second.report(MOST)
    await at.sees(message, MOST)
    await second.say(DONE)
    assert [one.text for one in shown(at)] == [DONE]


async def test_what_ended_the_process_twice_says_so_in_the_same_message(at: Bench) -> None:
    message = slash(at)
    first = at.reply(message)
    await first.report(HALF)
    await at.sees(message, HALF)
    await crash(first)
    await at.reply(message).fail("It stopped me twice.")
    assert [one.text for one in shown(at)] == ["It stopped me twice."]


async def test_where_the_bot_may_not_post_the_asker_alone_gets_the_result(at: Bench) -> None:
    at.channel.members.remove(at.slack.bot.id)
    reply = at.reply(slash(at))
    for percent in (10, 20):
        await reply.report(f"{percent}%")
        await asyncio.sleep(0.2)
    assert len(at.slack.called("chat.postMessage")) == 1
    await reply.say(DONE, actions=[Action("Undo", "rollback")])
    (whisper,) = at.whispers()
    assert whisper.text.startswith(DONE)
    assert [b["value"] for b in whisper.buttons] == ["rollback"]
    assert shown(at) == []


async def test_who_was_put_out_of_the_channel_meanwhile_still_tells_the_asker(at: Bench) -> None:
    message = slash(at)
    reply = at.reply(message)
    await reply.report(HALF)
    await at.sees(message, HALF)
    at.channel.members.remove(at.slack.bot.id)
    await reply.say(DONE)
    assert [one.text for one in at.whispers()] == [DONE]


async def test_a_result_that_nobody_can_be_told_is_an_error_with_its_fix(at: Bench) -> None:
    at.channel.members.remove(at.slack.bot.id)
    at.slack.fail("chat.postMessage", "messages_tab_disabled", times=3)
    reply = at.reply(replace(slash(at), reply_to=""))
    await reply.report(HALF)
    with pytest.raises(PlatformError, match=r"/invite @Parley|parley doctor"):
        await reply.say(DONE)


async def test_while_slack_is_down_the_result_waits_for_another_try(at: Bench) -> None:
    message = slash(at)
    reply = at.reply(message)
    await reply.report(HALF)
    before = await at.sees(message, HALF)
    at.slack.fail("chat.update", "ratelimited", times=4)
    with pytest.raises(PlatformUnavailableError):
        await reply.say(DONE)
    await at.reply(message).say(DONE)
    assert [(one.ts, one.text) for one in shown(at)] == [(before.ts, DONE)]
    assert at.whispers() == []


async def test_in_a_direct_message_everything_is_in_its_thread(at: Bench) -> None:
    message = await at.ask_directly("reindex")
    reply = at.reply(message)
    await reply.report(HALF)
    await at.sees(message, HALF)
    await reply.say(DONE)
    (only,) = at.answers(message)
    assert (only.text, only.thread_ts, only.ephemeral_to) == (DONE, message.message_id, None)


async def test_a_report_after_the_end_changes_nothing(at: Bench) -> None:
    reply = at.reply(slash(at))
    await reply.report(HALF)
    await reply.say(DONE)
    await reply.report(MOST)
    await asyncio.sleep(0.1)
    assert [one.text for one in shown(at)] == [DONE]
