"""Every answer is on Slack exactly once, whatever ends in the middle: the process, a connection, or a message."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.slack import posts as posts_module
from adapters.slack.reply import SlackReply
from bot.errors import PlatformUnavailableError
from bot.messages import IncomingMessage
from tests.adapters.slack.bench import Bench, DiedError, DyingOutbox, bench, crash, final

ANSWER = "The limit in Munich is 160 EUR. [1]"
AGAIN = "In Munich it is 160 EUR. [1]"
"""A model does not say the same twice."""


@pytest.fixture
async def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(posts_module, "LOOK_AFTER", 0.05)
    async with bench(tmp_path) as made:
        yield made


def long(what: str) -> str:
    return "\n\n".join(f"Paragraph {n} of the {what} answer: " + "word " * 100 for n in range(40))


async def test_a_restart_in_mid_stream_ends_with_one_message(at: Bench) -> None:
    message = await at.ask()
    first = at.reply(message)
    await first.text(ANSWER)
    assert (await at.sees(message, ANSWER)).streaming
    await crash(first)

    again = at.reply(message)
    await again.text(AGAIN)
    await again.finish(final(message, AGAIN))
    (answer,) = at.answers(message)
    assert answer.text.startswith(AGAIN)
    assert answer.buttons
    assert not answer.streaming


async def test_a_restart_after_the_end_changes_the_message_that_is_there(at: Bench) -> None:
    message = await at.ask()
    for text in (ANSWER, AGAIN):
        reply = at.reply(message)
        await reply.text(text)
        await reply.finish(final(message, text))
    (answer,) = at.answers(message)
    assert answer.text.startswith(AGAIN)


@pytest.mark.parametrize("method", ["chat.startStream", "chat.postMessage"])
async def test_a_restart_before_slack_had_answered_finds_the_message(at: Bench, method: str) -> None:
    message = await at.ask()
    await at.ask("Another one?", in_thread=message.thread_id)
    if method == "chat.postMessage":
        at.slack.without("chat.startStream")
    first = at.reply(message)
    await first.text(ANSWER)
    await at.sees(message, ANSWER)
    await crash(first)
    at.outbox.withdrawn(message.turn_id, 0)  # as if the process had ended between the post and the note of it
    at.outbox.intend(message, 0)

    again = at.reply(message)
    await again.text(AGAIN)
    await again.finish(final(message, AGAIN))
    (answer,) = at.answers(message)
    assert answer.text.startswith(AGAIN)
    assert at.outbox.turn_of("slack", message.conversation_id, answer.ts) == message.turn_id


async def test_the_answer_to_another_question_of_the_thread_is_left_alone(at: Bench) -> None:
    first = await at.ask()
    reply = at.reply(first)
    await reply.text(ANSWER)
    await at.sees(first, ANSWER)
    await reply.finish(final(first, ANSWER))

    second = await at.ask("And in Vienna?", in_thread=first.thread_id)
    at.outbox.intend(second, 0)
    again = at.reply(second)
    await again.text("148 EUR. [1]")
    await again.finish(final(second, "148 EUR. [1]"))
    texts = [answer.text for answer in at.answers(first)]
    assert len(texts) == 2
    assert texts[0].startswith(ANSWER)
    assert texts[1].startswith("148 EUR.")


@pytest.mark.parametrize("lost", ["the answer", "the call"])
@pytest.mark.parametrize(
    "method", ["chat.postMessage", "chat.startStream", "chat.appendStream", "chat.stopStream"]
)
async def test_a_connection_that_breaks_costs_nothing(at: Bench, method: str, lost: str) -> None:
    (at.slack.lose_answer if lost == "the answer" else at.slack.lose_call)(method)
    message = await at.ask()
    reply = at.reply(message)
    await reply.text(ANSWER)
    if method != "chat.postMessage":
        await at.sees(message, ANSWER)
        await reply.text(" Ask Ida.")
        await asyncio.sleep(0.3)
    await reply.text(" Or Ada.")
    whole = f"{ANSWER} Ask Ida. Or Ada." if method != "chat.postMessage" else f"{ANSWER} Or Ada."
    await reply.finish(final(message, whole))

    assert at.slack.called(method)
    (answer,) = at.answers(message)
    assert answer.text.startswith(whole)
    assert not answer.streaming
    assert answer.buttons


@pytest.mark.parametrize("status", [500, 503])
async def test_a_fault_of_slack_costs_nothing(at: Bench, status: int) -> None:
    at.slack.http_error("chat.postMessage", status)
    message = await at.ask()
    reply = at.reply(message)
    await reply.finish(final(message, ANSWER))
    assert len(at.answers(message)) == 1


async def test_an_answer_that_slack_takes_too_long_for_is_not_posted_twice(
    at: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posts_module, "LOOK_AFTER", 1.0)
    at.slack.slow("chat.postMessage", 2.3)  # the client waits for 2 s
    message = await at.ask()
    await at.reply(message).finish(final(message, ANSWER))
    (answer,) = at.answers(message)
    assert answer.text.startswith(ANSWER)


async def test_when_slack_is_away_the_same_works_later(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.slack.api.BACKOFF", 0.01)
    message = await at.ask()
    at.slack.lose_call("*", times=100)
    reply = at.reply(message)
    await reply.text(ANSWER)
    with pytest.raises(PlatformUnavailableError):
        await reply.finish(final(message, ANSWER))
    assert at.answers(message) == []

    at.slack.api.faults.clear()
    later = at.reply(message)
    await later.text(ANSWER)
    await later.finish(final(message, ANSWER))
    assert len(at.answers(message)) == 1


async def test_parts_that_the_second_attempt_does_not_need_are_deleted(at: Bench) -> None:
    message = await at.ask()
    first = at.reply(message)
    await first.text(long("first"))
    await first.finish(final(message, long("first")))
    assert len(at.answers(message)) > 1

    again = at.reply(message)
    await again.text(AGAIN)
    await again.finish(final(message, AGAIN))
    (answer,) = at.answers(message)
    assert answer.text.startswith(AGAIN)
    assert [post.part for post in at.outbox.posts(message.turn_id)] == [0]


async def test_a_restart_between_two_parts_goes_on_with_the_second(at: Bench) -> None:
    message = await at.ask()
    first = at.reply(message)
    await first.text(long("first"))
    await at.slack.wait_for(lambda: len(at.answers(message)) > 1)
    await crash(first)

    again = at.reply(message)
    await again.text(long("second"))
    await again.finish(final(message, long("second")))
    shown = "\n".join(answer.text for answer in at.answers(message))
    assert all(shown.count(f"Paragraph {n} of the second answer") == 1 for n in range(40))
    assert "first answer" not in shown


@pytest.mark.parametrize("writes", range(7))
@pytest.mark.parametrize("method", ["streamed", "edited", "at once"])
async def test_wherever_the_process_dies_the_next_one_ends_it(at: Bench, method: str, writes: int) -> None:
    if method == "edited":
        at.slack.without("chat.startStream")
    message = await at.ask()
    first = at.reply(message, outbox=DyingOutbox(at.engine, writes=writes))
    with suppress(DiedError):
        for paragraph in long("first").split("\n\n"):
            await first.text(f"{paragraph}\n\n")
            await asyncio.sleep(0 if method == "at once" else 0.02)
        await first.finish(final(message, long("first")))

    again = at.reply(message)
    await again.text(AGAIN)
    await again.finish(final(message, AGAIN))
    (answer,) = at.answers(message)
    assert answer.text.startswith(AGAIN)
    assert answer.buttons
    assert not answer.streaming


FAULTS = st.tuples(
    st.sampled_from(["lose_answer", "lose_call", "http_error", "expire"]),
    st.sampled_from(
        ["chat.startStream", "chat.appendStream", "chat.stopStream", "chat.postMessage", "chat.update"]
    ),
)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.lists(FAULTS, max_size=5), cancelled_after=st.floats(0, 0.5))
def test_whatever_goes_wrong_there_is_one_answer(
    tmp_path_factory: pytest.TempPathFactory, faults: list[tuple[str, str]], cancelled_after: float
) -> None:
    async def attempt(reply: SlackReply, message: IncomingMessage, text: str) -> None:
        for sentence in text.split(". "):
            await reply.text(f"{sentence}. ")
            await asyncio.sleep(0.05)
        await reply.finish(final(message, text))

    async def work() -> None:
        async with bench(tmp_path_factory.mktemp("chaos")) as at:
            for fault, method in faults:
                if fault == "expire":
                    at.slack.api.stream_appends = 1
                else:
                    getattr(at.slack, fault)(method)
            message = await at.ask()
            first = at.reply(message)
            with suppress(TimeoutError, PlatformUnavailableError):
                async with asyncio.timeout(cancelled_after):
                    await attempt(first, message, "One. Two. Three. Four. Five")
            await crash(first)
            for _ in range(5):
                with suppress(PlatformUnavailableError):
                    await attempt(at.reply(message), message, "A. B. C")
                    break
            (answer,) = at.answers(message)
            assert answer.text.startswith("A. B. C")
            assert answer.buttons
            assert not answer.streaming

    asyncio.run(work())


async def test_an_answer_that_somebody_deleted_meanwhile_is_posted_again(at: Bench) -> None:
    message = await at.ask()
    reply = at.reply(message)
    await reply.text(ANSWER)
    shown = await at.sees(message, ANSWER)
    await at.slack.delete(at.channel, shown.ts)
    await reply.finish(final(message, ANSWER))
    (answer,) = at.answers(message)
    assert answer.text.startswith(ANSWER)
    assert answer.buttons


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.06, 0.1])
async def test_an_answer_that_is_cancelled_anywhere_is_stopped_once(at: Bench, delay: float) -> None:
    message = await at.ask()
    reply = at.reply(message)

    async def answer() -> None:
        await reply.text(ANSWER)
        await asyncio.sleep(0.02)
        await reply.finish(final(message, ANSWER))

    at.slack.slow("chat.startStream", 0.05)
    task = asyncio.create_task(answer())
    await asyncio.sleep(delay)
    task.cancel()
    await asyncio.wait({task})
    await reply.stopped()
    (shown,) = at.answers(message)
    assert ("Stopped." in shown.text) != bool(shown.buttons)
    assert not shown.streaming


async def test_an_answer_is_withdrawn_after_a_restart_too(at: Bench) -> None:
    message = await at.ask()
    first = at.reply(message)
    await first.text(ANSWER)
    await at.sees(message, ANSWER)
    await crash(first)
    await at.reply(message).withdraw()
    assert at.answers(message) == []
