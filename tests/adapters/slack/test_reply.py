"""What people see of an answer on Slack, while it is written and at its end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.pacing import Budget
from adapters.slack.api import BUDGETS, WorkspacePace
from bot.errors import PlatformError
from bot.messages import Progress
from tests.adapters.slack.bench import Bench, bench, final

LIMIT = "The limit in Munich is 160 EUR. [1]"
RECEIPTS = " Receipts are due within 30 days. [1]"


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


async def test_an_answer_is_streamed_and_ends_with_sources_and_buttons(at: Bench) -> None:
    message = await at.ask()
    reply = at.reply(message)
    await reply.text(LIMIT)
    shown = await at.sees(message, LIMIT)
    assert shown.streaming
    await reply.text(RECEIPTS)
    await at.sees(message, RECEIPTS.strip())
    await reply.finish(final(message, LIMIT + RECEIPTS))

    (answer,) = at.answers(message)
    assert answer.text.startswith(LIMIT + RECEIPTS)
    assert "Travel policy" in answer.text
    assert [button["action_id"] for button in answer.buttons] == ["parley_vote"]
    assert answer.metadata == {
        "event_type": "parley_answer",
        "event_payload": {"turn_id": message.turn_id, "part": 0},
    }
    assert not answer.streaming
    assert at.called("chat.update") == 0
    assert at.outbox.turn_of("slack", message.conversation_id, answer.ts) == message.turn_id


async def test_an_answer_that_comes_at_once_is_one_request(at: Bench) -> None:
    message = await at.ask()
    reply = at.reply(message)
    await reply.text(LIMIT)
    await reply.finish(final(message, LIMIT, mode="quotes", note="The model is down."))

    (answer,) = at.answers(message)
    assert LIMIT in answer.text
    assert "In the documents' own words. The model is down." in answer.text
    assert at.called("chat.postMessage") == 1
    assert at.called("chat.startStream") == 0


async def test_a_direct_message_is_answered_in_its_thread(at: Bench) -> None:
    message = await at.ask_directly()
    reply = at.reply(message)
    await reply.text(LIMIT)
    await at.sees(message, LIMIT)
    await reply.finish(final(message, LIMIT))
    (answer,) = at.answers(message)
    assert answer.thread_ts == message.message_id


async def test_what_was_done_is_shown_above_a_streamed_answer(at: Bench) -> None:
    message = await at.ask()
    reply = at.reply(message)
    await reply.progress(Progress("searching", "Searching the documents"))
    await reply.progress(Progress("reading", "Reading 3 passages"))
    await reply.progress(Progress("writing", "Writing the answer"))
    await reply.text(LIMIT)
    await at.sees(message, LIMIT)
    await reply.text(RECEIPTS)
    await reply.finish(final(message, LIMIT + RECEIPTS))

    (answer,) = at.answers(message)
    assert [(card["title"], card["status"]) for card in answer.chunks] == [
        ("Searching the documents", "complete"),
        ("Reading 3 passages", "complete"),
    ]
    assert answer.text.startswith(LIMIT + RECEIPTS)


async def test_a_workspace_without_task_cards_is_not_offered_them_twice(at: Bench) -> None:
    at.slack.fail("chat.startStream", "invalid_chunks")
    for question in ("one?", "two?"):
        message = await at.ask(question)
        reply = at.reply(message)
        await reply.progress(Progress("searching", "Searching the documents"))
        await reply.text(LIMIT)
        assert (await at.sees(message, LIMIT)).streaming
        await reply.finish(final(message, LIMIT))
    assert [bool(call.arguments.get("chunks")) for call in at.slack.called("chat.startStream")] == [
        True,
        False,
        False,
    ]


async def test_a_workspace_without_streams_sees_edits_and_is_remembered(at: Bench) -> None:
    at.slack.without("chat.startStream", "chat.appendStream", "chat.stopStream")
    for question in ("one?", "two?"):
        message = await at.ask(question)
        reply = at.reply(message)
        await reply.text(LIMIT)
        await at.sees(message, LIMIT)
        await reply.text(RECEIPTS)
        await at.sees(message, RECEIPTS.strip())
        await reply.finish(final(message, LIMIT + RECEIPTS))
        (answer,) = at.answers(message)
        assert answer.text.startswith(LIMIT + RECEIPTS)
        assert answer.buttons
        await asyncio.sleep(1.2)
    assert len(at.slack.called("chat.startStream")) == 1


@pytest.mark.parametrize("ends", ["while writing", "at the end"])
async def test_a_stream_that_expires_goes_on_in_the_same_message(at: Bench, ends: str) -> None:
    message = await at.ask()
    reply = at.reply(message)
    await reply.text(LIMIT)
    await at.sees(message, LIMIT)
    at.slack.api.stream_seconds = 0.0
    await reply.text(RECEIPTS)
    if ends == "while writing":
        await at.sees(message, RECEIPTS.strip())
        await reply.text(" Ask Ida.")
        await at.sees(message, "Ask Ida.")
    else:
        await reply.text(" Ask Ida.")
    whole = f"{LIMIT}{RECEIPTS} Ask Ida."
    await reply.finish(final(message, whole))

    (answer,) = at.answers(message)
    assert answer.text.startswith(whole)
    assert answer.text.count("Ask Ida.") == 1
    assert answer.buttons


async def test_a_stream_that_the_asker_stopped_is_marked(at: Bench) -> None:
    message = await at.ask()
    reply = at.reply(message)
    await reply.progress(Progress("searching", "Searching the documents"))
    await at.slack.wait_for(lambda: at.slack.workspace.sessions)
    await reply.text(LIMIT)
    await at.sees(message, LIMIT)
    await at.slack.stop_session(at.channel, message.thread_id, at.asker)
    await reply.stopped()
    await reply.stopped()

    (answer,) = at.answers(message)
    assert answer.text == f"{LIMIT}\nStopped."
    assert at.slack.workspace.sessions == {(at.channel.id, message.thread_id): "active"}


async def test_three_streams_share_the_budget_and_lose_nothing(at: Bench) -> None:
    at.slack.limit("chat.appendStream", 8, 2.0)
    pace = WorkspacePace(BUDGETS | {"chat.appendStream": Budget(8, 2.0)})
    sentences = [f"Sentence {n}." for n in range(40)]

    async def answer(question: str) -> str:
        message = await at.ask(question)
        reply = at.reply(message, pace=pace)
        for sentence in sentences:
            await reply.text(f" {sentence}")
            await asyncio.sleep(0.05)
        await reply.finish(final(message, " ".join(sentences)))
        (shown,) = at.answers(message)
        return shown.text

    texts = await asyncio.gather(*(answer(f"question {n}?") for n in range(3)))
    assert all(text.startswith(" ".join(sentences)) for text in texts)
    appends = at.slack.called("chat.appendStream")
    assert not [call for call in appends if call.error]
    by_stream = [
        sum(call.arguments["ts"] == ts for call in appends) for ts in {c.arguments["ts"] for c in appends}
    ]
    assert len(by_stream) == 3
    assert max(by_stream) - min(by_stream) <= 3


async def test_without_a_budget_for_streams_an_answer_is_edited_or_comes_at_once(at: Bench) -> None:
    pace = WorkspacePace(BUDGETS | {"chat.startStream": Budget(1), "chat.update": Budget(1)})
    for question, streams, updates in (("one?", 1, 0), ("two?", 0, 1), ("three?", 0, 0)):
        before = at.called("chat.startStream"), at.called("chat.update")
        message = await at.ask(question)
        reply = at.reply(message, pace=pace)
        await reply.text(LIMIT)
        await asyncio.sleep(1.3)
        await reply.finish(final(message, LIMIT))
        (answer,) = at.answers(message)
        assert answer.text.startswith(LIMIT)
        after = at.called("chat.startStream"), at.called("chat.update")
        assert (after[0] - before[0], after[1] - before[1]) == (streams, updates)


async def test_retry_after_is_obeyed_and_what_came_meanwhile_is_shown_with_the_next(at: Bench) -> None:
    message = await at.ask()
    reply = at.reply(message)
    await reply.text(LIMIT)
    await at.sees(message, LIMIT)
    at.slack.limit("chat.appendStream", 1, 1.5)
    await reply.text(" One.")
    await at.sees(message, " One.")
    await reply.text(" Two.")
    await at.slack.wait_for(lambda: at.slack.called("chat.appendStream")[1:])
    await reply.text(" Three.")
    await at.sees(message, " Three.")
    await reply.finish(final(message, f"{LIMIT} One. Two. Three."))

    _, refused, taken = at.slack.called("chat.appendStream")
    assert (refused.error, taken.error) == ("ratelimited", "")
    assert taken.at - refused.at >= 1
    assert at.answers(message)[0].text.startswith(f"{LIMIT} One. Two. Three.")


async def test_the_end_of_an_answer_waits_until_slack_takes_it(at: Bench) -> None:
    at.slack.limit("chat.postMessage", 1, 1.5)
    for question in ("one?", "two?"):
        message = await at.ask(question)
        reply = at.reply(message, pace=WorkspacePace({}))
        await reply.text(LIMIT)
        await reply.finish(final(message, LIMIT))
        assert len(at.answers(message)) == 1
    assert [call.error for call in at.slack.called("chat.postMessage")] == ["", "ratelimited", ""]


async def test_a_long_answer_has_its_sources_under_the_last_part_only(at: Bench) -> None:
    table = "| City | Limit |\n|---|---|\n" + "\n".join(f"| City {n} | {n} EUR |" for n in range(300))
    code = "```\n" + "\n".join(f"nestctl up --node {n}" for n in range(400)) + "\n```"
    whole = f"The limits are:\n\n{table}\n\nAnd the commands:\n\n{code}\n\nThat is all."
    message = await at.ask()
    reply = at.reply(message)
    for piece in whole.split("\n\n"):
        await reply.text(f"{piece}\n\n")
        await asyncio.sleep(0.2)
    await reply.finish(final(message, whole))

    answers = at.answers(message)
    assert len(answers) > 1
    assert [bool(answer.buttons) for answer in answers] == [False] * (len(answers) - 1) + [True]
    assert sum("Travel policy" in answer.text for answer in answers) == 1
    shown = "\n".join(answer.text for answer in answers)
    assert all(shown.count(f"| City {n} | {n} EUR |") == 1 for n in range(300))
    assert all(shown.count(f"--node {n}\n") == 1 for n in range(400))
    assert all(answer.text.count("```") % 2 == 0 for answer in answers)
    assert [answer.metadata["event_payload"]["part"] for answer in answers if answer.metadata] == list(
        range(len(answers))
    )


@pytest.mark.parametrize("error", ["msg_too_long", "msg_blocks_too_long", "invalid_blocks"])
@pytest.mark.parametrize("times", [1, 2])
async def test_an_answer_that_slack_finds_too_much_is_shown_plainer(
    at: Bench, error: str, times: int
) -> None:
    at.slack.fail("chat.postMessage", error, times=times)
    message = await at.ask()
    reply = at.reply(message)
    await reply.text("A <sentence> & more.")
    await reply.finish(final(message, "A <sentence> & more."))
    (answer,) = at.answers(message)
    assert "A <sentence> & more." in answer.text
    assert "Travel policy" in answer.text
    assert bool(answer.buttons) == (times == 1)


async def test_what_two_pieces_make_together_cannot_notify_or_lead_away(at: Bench) -> None:
    pieces = ["Ask <!chan", "nel> or <@U0", "12345678> at [the docs](https://evi", "l.example/x)."]
    message = await at.ask()
    reply = at.reply(message)
    for piece in pieces:
        await reply.text(piece)
        await asyncio.sleep(0.3)
    await reply.finish(final(message, "".join(pieces)))
    (answer,) = at.answers(message)
    assert "the docs" in answer.text
    assert "](https://evil" not in answer.text
    assert not at.slack.violations  # of mentions, and of links that would unfold


async def test_the_reason_why_there_is_no_more_stands_below_what_there_is(at: Bench) -> None:
    message = await at.ask()
    reply = at.reply(message)
    await reply.text(LIMIT)
    await at.sees(message, LIMIT)
    await reply.fail("The model stopped; please ask again.")
    (answer,) = at.answers(message)
    assert answer.text == f"{LIMIT}\nThe model stopped; please ask again."
    assert not answer.streaming


async def test_a_failure_before_any_text_is_a_message_of_its_own(at: Bench) -> None:
    message = await at.ask()
    await at.reply(message).fail("The question is too long; ask in fewer words.")
    (answer,) = at.answers(message)
    assert answer.text == "The question is too long; ask in fewer words."


async def test_an_answer_can_be_taken_back(at: Bench) -> None:
    message = await at.ask()
    reply = at.reply(message)
    await reply.text(LIMIT)
    await at.sees(message, LIMIT)
    await reply.withdraw()
    assert at.answers(message) == []
    assert at.outbox.posts(message.turn_id) == []


async def test_nothing_is_asked_of_slack_for_an_answer_that_was_never_shown(at: Bench) -> None:
    message = await at.ask()
    await at.reply(message).withdraw()
    assert at.slack.calls == []


async def test_a_place_without_the_bot_is_an_error_that_names_the_fix(at: Bench) -> None:
    message = await at.ask()
    at.channel.members.remove(at.slack.bot.id)
    reply = at.reply(message)
    await reply.progress(Progress("searching", "Searching the documents"))
    await reply.text(LIMIT)
    await asyncio.sleep(0.3)
    with pytest.raises(PlatformError, match="/invite @Parley"):
        await reply.finish(final(message, LIMIT))
