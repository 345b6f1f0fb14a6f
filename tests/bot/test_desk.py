"""Every message ends with exactly one outcome, whatever comes in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Engine

from bot import serving
from bot.assistant import Assistant
from bot.config import PolicySettings
from bot.database import migrate, open_database
from bot.desk import Desk
from bot.errors import PlatformError, PlatformUnavailableError, UsageError
from bot.inbox import Inbox
from bot.messages import Attachment, IncomingMessage, Text
from bot.outbox import Outbox
from bot.places import Places
from bot.policy import Policy
from bot.queue import FairQueue
from bot.serving import SET_ASIDE, STOPPING
from bot.thread_files import ThreadFiles
from feedback.store import FeedbackStore
from tests.bot.conftest import make_commands
from tests.bot.fakes import FINAL, FakeAssistant, FakePlatform

Opened = Callable[..., Any]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'parley.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@asynccontextmanager
async def opened(
    engine: Engine,
    assistant: FakeAssistant,
    *,
    parallel: int = 1,
    policy: PolicySettings | None = None,
    size: int = 100,
) -> AsyncIterator[Desk]:
    inbox = Inbox(engine)
    desk = Desk(
        assistant=cast("Assistant", assistant),
        feedback=FeedbackStore(engine),
        inbox=inbox,
        outbox=Outbox(engine),
        thread_files=ThreadFiles(engine),
        policy=Policy(policy or PolicySettings(), Places(engine), inbox),
        queue=FairQueue(size=size, per_person=50, per_place=100, parallel=parallel),
        commands=make_commands(engine),
        read_file=lambda name, content: f"{name}: {content.decode()}",
        visible_to={"handbook": frozenset({"everyone"}), "board": frozenset({"fake:C1"})},
    )
    try:
        yield desk
    finally:
        await desk.close(grace=0)


def question(text: str, *, user: str = "u", thread: str = "", **fields: Any) -> IncomingMessage:
    return IncomingMessage(
        platform="fake",
        event_id=fields.pop("event_id", text),
        conversation_id=fields.pop("conversation_id", "c"),
        thread_id=thread or text,
        message_id=text,
        user_id=user,
        text=text,
        addressed=fields.pop("addressed", "mention"),
        **fields,
    )


async def stop(desk: Desk, *, user_id: str) -> bool:
    return await desk.stop(platform="fake", conversation_id="c", thread_id="t", user_id=user_id)


async def until(condition: Callable[[], object] | Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(10):
        while True:
            result = condition()
            if isinstance(result, Awaitable):
                result = await result
            if result:
                return
            await asyncio.sleep(0.01)


def ended(desk: Desk, message: IncomingMessage) -> Callable[[], object]:
    return lambda: desk.inbox.outcome(message.turn_id)


ANSWER = [("text", "Yes. [1]"), ("finish", "written")]


async def test_a_question_is_answered_once_however_often_it_is_delivered(engine: Engine) -> None:
    platform, asked = FakePlatform(), question("How many days?")
    async with opened(engine, FakeAssistant()) as desk:
        desk.join(platform)
        await asyncio.gather(*(desk.receive(asked) for _ in range(5)))
        await until(ended(desk, asked))
        await desk.receive(asked)
        assert desk.inbox.outcome(asked.turn_id) == "answered"
    assert platform.shown("How many days?") == ANSWER


async def test_what_was_left_unanswered_is_answered_after_the_next_start(engine: Engine) -> None:
    asked = [question(f"Question {n}?") for n in range(4)]
    async with opened(engine, FakeAssistant(gate=asyncio.Event())) as desk:
        desk.join(FakePlatform())
        for message in asked:
            await desk.receive(message)
    platform = FakePlatform()
    async with opened(engine, FakeAssistant()) as desk:
        desk.join(platform)
        for message in asked:
            await until(ended(desk, message))
    assert [platform.shown(message.text)[-2:] for message in asked] == [ANSWER] * 4


async def test_a_message_that_arrives_before_its_platform_has_joined_waits_for_it(engine: Engine) -> None:
    platform, asked = FakePlatform(), question("Early?")
    async with opened(engine, FakeAssistant()) as desk:
        await desk.receive(asked)
        await asyncio.sleep(0.05)
        desk.join(platform)
        await until(ended(desk, asked))
    assert platform.shown("Early?") == ANSWER


async def test_what_ended_the_process_twice_is_set_aside_and_said_to_be(engine: Engine) -> None:
    asked, platform, assistant = question("Deadly?"), FakePlatform(), FakeAssistant()
    inbox = Inbox(engine)
    inbox.accept(asked)
    inbox.begin(asked.turn_id)
    inbox.begin(asked.turn_id)
    async with opened(engine, assistant) as desk:
        desk.join(platform)
        await until(ended(desk, asked))
        assert desk.inbox.outcome(asked.turn_id) == "set_aside"
    assert platform.shown("Deadly?") == [("fail", SET_ASIDE)]
    assert asked.turn_id in platform.told[0]
    assert assistant.asked == []


async def test_a_stop_of_parley_is_no_attempt(engine: Engine) -> None:
    asked, platform = question("Patient?"), FakePlatform()
    for _ in range(3):
        async with opened(engine, FakeAssistant(gate=asyncio.Event())) as desk:
            desk.join(FakePlatform())
            await desk.receive(asked)
            await asyncio.sleep(0.05)
    async with opened(engine, FakeAssistant()) as desk:
        desk.join(platform)
        await until(ended(desk, asked))
    assert platform.shown("Patient?") == ANSWER


async def test_running_answers_get_their_grace(engine: Engine) -> None:
    gate, platform, asked = asyncio.Event(), FakePlatform(), question("Nearly done?")
    async with opened(engine, FakeAssistant(gate=gate)) as desk:
        desk.join(platform)
        await desk.receive(asked)
        await until(lambda: platform.shown("Nearly done?"))
        asyncio.get_running_loop().call_later(0.05, gate.set)
        await desk.close(grace=5)
        assert desk.inbox.outcome(asked.turn_id) == "answered"
    assert platform.shown("Nearly done?") == ANSWER


async def test_those_who_wait_learn_their_place_and_can_stop(engine: Engine) -> None:
    gate, platform = asyncio.Event(), FakePlatform()
    first, second, third = (
        question("One?", user="a"),
        question("Two?", user="b"),
        question("Three?", user="c"),
    )
    async with opened(engine, FakeAssistant(gate=gate)) as desk:
        desk.join(platform)
        for message in (first, second, third):
            await desk.receive(message)
            await until(lambda text=message.text: platform.shown(text))
        assert platform.shown("Two?") == [("progress", "Next in line")]
        assert platform.shown("Three?") == [("progress", "2nd in line")]
        assert not await desk.stop_turn(second.turn_id, user_id="c")
        assert await desk.stop_turn(second.turn_id, user_id="b")
        await until(lambda: platform.shown("Three?")[-1] == ("progress", "Next in line"))
        gate.set()
        await until(ended(desk, third))
        assert desk.inbox.outcome(second.turn_id) == "cancelled"
    assert platform.shown("Two?")[-1] == ("stopped", "")
    assert platform.shown("Three?")[-2:] == ANSWER


async def test_a_running_answer_is_stopped_once_by_its_asker(engine: Engine) -> None:
    platform, asked = FakePlatform(), question("Long?", thread="t")
    async with opened(engine, FakeAssistant(gate=asyncio.Event())) as desk:
        desk.join(platform)
        await desk.receive(asked)
        await until(lambda: platform.shown("Long?"))
        assert not await stop(desk, user_id="somebody else")
        assert any(await asyncio.gather(*(stop(desk, user_id="u") for _ in range(3))))
        assert desk.inbox.outcome(asked.turn_id) == "cancelled"
    assert platform.shown("Long?") == [("text", "Yes. [1]"), ("stopped", "")]


async def test_an_edit_replaces_a_waiting_question_and_a_deletion_drops_it(engine: Engine) -> None:
    gate, platform, assistant = asyncio.Event(), FakePlatform(), None
    assistant = FakeAssistant(gate=gate)
    first, edited, deleted = question("One?"), question("Tow?"), question("Never mind?")
    async with opened(engine, assistant) as desk:
        desk.join(platform)
        for message in (first, edited, deleted):
            await desk.receive(message)
        await until(lambda: len(platform.replies) == 3)
        await desk.edited("fake", "c", "Tow?", "Two?")
        await desk.deleted("fake", "c", "Never mind?")
        await desk.edited("fake", "c", "unknown", "Nothing.")
        await desk.deleted("fake", "c", "unknown")
        gate.set()
        await until(ended(desk, edited))
        assert desk.inbox.outcome(deleted.turn_id) == "dropped"
    assert [message.text for message in assistant.asked] == ["One?", "Two?"]
    assert platform.shown("Two?")[-2:] == ANSWER
    assert platform.shown("Never mind?")[-1] == ("withdraw", "")


async def test_a_platform_that_is_away_gets_the_answer_later(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "RETRY_AFTER", (0.01, 0.01, 0.01))
    platform, asked = FakePlatform(), question("Are you there?")
    platform.errors += [PlatformUnavailableError("Slack cannot be reached.")] * 2
    async with opened(engine, FakeAssistant()) as desk:
        desk.join(platform)
        await desk.receive(asked)
        await until(ended(desk, asked))
        assert desk.inbox.outcome(asked.turn_id) == "answered"
    assert [event for event in platform.shown("Are you there?") if event[0] == "finish"] == [ANSWER[-1]]


async def test_a_platform_that_refuses_for_good_is_not_asked_again(engine: Engine) -> None:
    platform, asked = FakePlatform(), question("May I?")
    platform.errors.append(PlatformError("Invite the bot to the channel."))
    async with opened(engine, FakeAssistant()) as desk:
        desk.join(platform)
        await desk.receive(asked)
        await until(ended(desk, asked))
        assert desk.inbox.outcome(asked.turn_id) == "undeliverable"


async def test_a_full_queue_is_a_sentence(engine: Engine) -> None:
    platform = FakePlatform()
    messages = [question(f"{n}?", user=f"{n}") for n in range(3)]
    async with opened(engine, FakeAssistant(gate=asyncio.Event()), size=1) as desk:
        desk.join(platform)
        for message in messages:
            await desk.receive(message)
            await until(lambda text=message.text: platform.shown(text))
        await until(ended(desk, messages[2]))
        assert desk.inbox.outcome(messages[2].turn_id) == "refused"
    assert platform.shown("2?")[0][0] == "say"


async def test_refusals_and_commands_are_outcomes_too(engine: Engine) -> None:
    platform = FakePlatform(admins=["boss"])
    stranger = question("May I ask?", conversation_id="C9")
    command = question("status", user="boss", addressed="command")
    refused = question("status", user="u", addressed="command", event_id="another")
    nonsense = question("stattus", user="boss", addressed="command")
    async with opened(engine, FakeAssistant(), policy=PolicySettings(channels=("fake:c",))) as desk:
        desk.join(platform)
        for message in (stranger, command, refused, nonsense):
            await desk.receive(message)
            await until(ended(desk, message))
        outcomes = [desk.inbox.outcome(m.turn_id) for m in (stranger, command, refused, nonsense)]
    assert outcomes == ["refused", "command", "command", "refused"]
    assert "policy.channels" in platform.shown("May I ask?")[0][1]
    assert "status" in platform.shown("stattus")[0][1]
    answers = [reply.shown for message, reply in platform.replies if message.text == "status"]
    assert answers[0] != answers[1]


async def test_an_answer_that_was_stored_and_not_shown_is_shown_and_not_made_again(engine: Engine) -> None:
    from tests.feedback.conftest import make_turn

    asked = question("Stored?")
    FeedbackStore(engine).save_turn(make_turn(id=asked.turn_id, answer="From the store. [1]"))
    Inbox(engine).accept(asked)
    platform, assistant = FakePlatform(), FakeAssistant()
    async with opened(engine, assistant) as desk:
        desk.join(platform)
        await until(ended(desk, asked))
    assert platform.shown("Stored?")[0] == ("text", "From the store. [1]")
    assert assistant.asked == []


async def test_attached_files_are_read_for_this_thread_only(engine: Engine) -> None:
    platform, assistant = FakePlatform(), FakeAssistant()
    platform.files["url"] = b"forty-two"
    attached = (Attachment(name="notes.md", size=9, url="url"),)
    first = question("With a file?", thread="t", attachments=attached)
    second, other = question("And again?", thread="t"), question("Elsewhere?")
    files = []
    async with opened(engine, assistant) as desk:
        desk.join(platform)
        for message in (first, second, other):
            await desk.receive(message)
            await until(ended(desk, message))
            files.append(assistant.files)
    assert files == [[("notes.md", "notes.md: forty-two")]] * 2 + [[]]


async def test_an_answer_may_be_shared_where_its_sources_may_be_seen(engine: Engine) -> None:
    from feedback.records import SourceRecord
    from tests.feedback.conftest import make_turn

    secret = SourceRecord(1, "c", "Board", "", "b.md", 1.0, "…", source="board")
    FeedbackStore(engine).save_turn(make_turn(id="t1", sources=(secret,)))
    async with opened(engine, FakeAssistant()) as desk:
        assert (await desk.shareable("t1", frozenset({"fake:C1"}))).id == "t1"
        with pytest.raises(UsageError, match="not everyone here may see"):
            await desk.shareable("t1", frozenset({"everyone"}))


async def test_somebody_on_the_line_waits_in_the_same_queue(engine: Engine) -> None:
    gate, platform = asyncio.Event(), FakePlatform()
    async with opened(engine, FakeAssistant(gate=gate)) as desk:
        desk.join(platform)
        await desk.receive(question("First?"))
        await until(lambda: platform.shown("First?"))
        message = replace(question("Second?"), platform="console")
        asking = asyncio.create_task(desk.ask(platform, message, platform.reply(message)))
        await until(lambda: platform.shown("Second?") == [("progress", "Next in line")])
        gate.set()
        assert await asking == FINAL
        assert desk.inbox.outcome(message.turn_id) is None


async def test_who_hangs_up_stops_the_answer(engine: Engine) -> None:
    platform, message = FakePlatform(), question("Bye?")
    async with opened(engine, FakeAssistant([Text("Once upon"), FINAL], gate=asyncio.Event())) as desk:
        asking = asyncio.create_task(desk.ask(platform, message, platform.reply(message)))
        await until(lambda: platform.shown("Bye?"))
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
    assert platform.shown("Bye?") == [("text", "Once upon"), ("stopped", "")]


async def test_a_command_is_answered_when_its_platform_is_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "RETRY_AFTER", (0.01, 0.01))
    platform, asked = FakePlatform(), question("help", addressed="command")
    platform.errors.append(PlatformUnavailableError("Slack cannot be reached."))
    async with opened(engine, FakeAssistant()) as desk:
        desk.join(platform)
        await desk.receive(asked)
        await until(ended(desk, asked))
        assert desk.inbox.outcome(asked.turn_id) == "command"
    assert [how for how, _ in platform.shown("help")] == ["say"]


async def test_what_cannot_be_answered_there_is_said_to_the_asker(engine: Engine) -> None:
    platform, asked = FakePlatform(), question("May I?")
    platform.errors.append(PlatformError("Invite the bot to the channel."))
    async with opened(engine, FakeAssistant()) as desk:
        desk.join(platform)
        await desk.receive(asked)
        await until(ended(desk, asked))
    assert platform.shown("May I?")[-1] == ("say", "Invite the bot to the channel.")


async def test_who_waits_on_the_line_is_told_when_parley_stops(engine: Engine) -> None:
    platform, first, second = FakePlatform(), question("First?"), question("Second?")
    async with opened(engine, FakeAssistant(gate=asyncio.Event())) as desk:
        asking = [
            asyncio.create_task(desk.ask(platform, message, platform.reply(message)))
            for message in (first, second)
        ]
        await until(lambda: platform.shown("Second?"))
        await desk.close(grace=0)
        assert await asyncio.gather(*asking) == [None, None]
    for message in (first, second):
        assert platform.shown(message.text)[-1] == ("fail", STOPPING)
