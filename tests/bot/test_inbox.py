"""A message that was accepted is there until it has its outcome, and is accepted once."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bot import tables
from bot.database import open_database
from bot.errors import DatabaseError
from bot.inbox import Entry, Inbox, Outcome
from bot.messages import Attachment, IncomingMessage, Said
from bot.outbox import Outbox

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def inbox(engine: sa.Engine) -> Inbox:
    return Inbox(engine, now=Clock())


def said(event: str = "E1", **changes: Any) -> IncomingMessage:
    """A question in a channel of the test's platform."""
    values: dict[str, Any] = {
        "platform": "test",
        "event_id": event,
        "conversation_id": "C1",
        "thread_id": "T1",
        "user_id": "U1",
        "message_id": f"M-{event}",
        "text": f"Question {event}?",
    }
    return IncomingMessage(**values | changes)


anything = st.text(st.characters(codec=None, exclude_categories=()))
messages = st.builds(
    IncomingMessage,
    platform=st.just("test"),
    event_id=st.just("E1"),
    conversation_id=anything,
    thread_id=anything,
    user_id=anything,
    text=anything,
    workspace_id=anything,
    message_id=anything,
    is_private=st.booleans(),
    by_bot=st.booleans(),
    by_admin=st.booleans(),
    principals=st.frozensets(anything),
    attachments=st.lists(st.builds(Attachment, name=anything, size=st.integers(0), url=anything)).map(tuple),
    context=st.lists(st.builds(Said, anything, anything)).map(tuple),
    reply_to=anything,
)


@given(message=messages)
def test_a_message_comes_back_as_it_came(message: IncomingMessage) -> None:
    engine = _in_memory()
    try:
        inbox = Inbox(engine)
        assert inbox.accept(message)
        assert inbox.message(message.turn_id) == message
        assert inbox.unfinished("test") == [Entry(message, attempts=0)]
    finally:
        engine.dispose()


def test_characters_that_a_database_refuses(inbox: Inbox) -> None:
    message = said(text="a\0b\ud800", user_id="\0", principals=frozenset({"\0"}))
    assert inbox.accept(message)
    assert inbox.message(message.turn_id) == message
    assert inbox.received_since(START, platform="test", user_id="\0") == 1


def test_a_second_delivery_is_recognised(inbox: Inbox, engine: sa.Engine) -> None:
    assert inbox.accept(said())
    assert not inbox.accept(said())
    inbox.finish(said().turn_id, "answered")
    assert not Inbox(engine).accept(said(text="delivered once more"))
    assert inbox.accept(said(platform="other"))
    assert inbox.message(said().turn_id) == said()


def test_deliveries_at_once_are_accepted_once(engine: sa.Engine) -> None:
    accepted: list[str] = []
    errors: list[Exception] = []

    def deliver() -> None:
        inbox = Inbox(engine)
        try:
            accepted.extend(f"E{n}" for n in range(25) if inbox.accept(said(f"E{n}")))
        except Exception as error:  # noqa: BLE001 - reported below
            errors.append(error)

    _at_once(*[deliver] * 4)
    assert errors == []
    assert Counter(accepted) == {f"E{n}": 1 for n in range(25)}


def test_what_another_version_wrote_can_be_read(inbox: Inbox, engine: sa.Engine) -> None:
    message = said(attachments=(Attachment(name="a.txt", size=3, url="u"),), context=(Said("ann", "hm"),))
    inbox.accept(message)
    with engine.begin() as connection:
        payload = connection.execute(sa.select(tables.inbox.c.payload)).scalar_one()
        for unknown_before in ("attachments", "is_private", "principals", "reply_to"):
            del payload[unknown_before]
        payload["mood"] = "curious"
        payload["context"][0]["at"] = 17
        connection.execute(sa.update(tables.inbox).values(payload=payload))
    assert inbox.unfinished("test") == [Entry(replace(message, attachments=()), attempts=0)]


def test_a_restart_finds_what_has_no_outcome(inbox: Inbox, engine: sa.Engine) -> None:
    for event in ("E3", "E1", "E2"):
        inbox.accept(said(event))
    inbox.accept(said("E4", platform="other"))
    inbox.finish(said("E1").turn_id, "unknown")
    assert inbox.begin(said("E2").turn_id) == 1
    assert Inbox(engine).unfinished("test") == [Entry(said("E3"), 0), Entry(said("E2"), 1)]


def test_the_latest_messages_come_first(engine: sa.Engine) -> None:
    clock = Clock()
    inbox = Inbox(engine, now=clock)
    for event in ("E1", "E2", "E3"):
        inbox.accept(said(event))
        inbox.finish(said(event).turn_id, "answered")
    since = clock() - timedelta(days=1)
    assert [message.event_id for message in inbox.latest("test", since, limit=2)] == ["E3", "E2"]
    assert inbox.latest("test", clock() + timedelta(days=1), limit=2) == []
    assert inbox.latest("another", since, limit=2) == []


def test_attempts_are_counted_before_the_work_and_given_back_at_a_stop(inbox: Inbox) -> None:
    inbox.accept(said())
    assert [inbox.begin(said().turn_id) for _ in range(2)] == [1, 2]
    inbox.release(said().turn_id)
    assert inbox.unfinished("test") == [Entry(said(), 1)]
    for _ in range(3):
        inbox.release(said().turn_id)
    assert inbox.begin(said().turn_id) == 1


def test_the_first_outcome_stays(inbox: Inbox) -> None:
    inbox.accept(said())
    assert inbox.outcome(said().turn_id) is None
    inbox.finish(said().turn_id, "cancelled")
    inbox.finish(said().turn_id, "answered")
    inbox.release(said().turn_id)
    assert inbox.outcome(said().turn_id) == "cancelled"
    assert inbox.unfinished("test") == []


def test_there_is_nothing_to_begin_without_a_message_or_after_its_outcome(inbox: Inbox) -> None:
    assert inbox.begin("nobody asked") == 0
    inbox.accept(said())
    inbox.finish(said().turn_id, "refused")
    assert inbox.begin(said().turn_id) == 0
    assert inbox.outcome("nobody asked") is None
    assert inbox.message("nobody asked") is None


def test_an_edit_changes_a_message_that_has_no_outcome(inbox: Inbox) -> None:
    inbox.accept(said())
    assert inbox.edit("test", "C1", "M-E1", "Rather: how\0 long?") == said().turn_id
    assert inbox.message(said().turn_id) == said(text="Rather: how\0 long?")
    inbox.finish(said().turn_id, "answered")
    assert inbox.edit("test", "C1", "M-E1", "Never mind.") is None
    assert inbox.message(said().turn_id) == said(text="Rather: how\0 long?")
    assert inbox.edit("test", "C2", "M-E1", "Somewhere else.") is None


def test_a_message_is_found_by_the_platforms_id(inbox: Inbox) -> None:
    inbox.accept(said())
    inbox.accept(said("E2", message_id=""))
    assert inbox.find("test", "C1", "M-E1") == said().turn_id
    inbox.finish(said().turn_id, "dropped")
    assert inbox.find("test", "C1", "M-E1") == said().turn_id
    assert inbox.find("test", "C2", "M-E1") is None
    assert inbox.find("other", "C1", "M-E1") is None
    assert inbox.find("test", "C1", "") is None


@pytest.mark.parametrize("outcome", [None, *get_args(Outcome)])
def test_threads_in_which_the_bot_takes_part(inbox: Inbox, outcome: Outcome | None) -> None:
    inbox.accept(said())
    if outcome is not None:
        inbox.finish(said().turn_id, outcome)
    takes_part = outcome not in {"refused", "dropped", "silent"}
    assert inbox.knows_thread("test", "C1", "T1") == takes_part
    assert not inbox.knows_thread("test", "C1", "T2")
    assert not inbox.knows_thread("test", "C2", "T1")
    assert not inbox.knows_thread("other", "C1", "T1")


def test_questions_are_counted_for_rate_limits(inbox: Inbox) -> None:
    places = [("U1", "C1"), ("U1", "C2"), ("U2", "C1"), ("U1", "C1"), ("U1", "C1")]
    for n, (user, conversation) in enumerate(places, start=1):  # each a second after the one before
        inbox.accept(said(f"E{n}", user_id=user, conversation_id=conversation))
    inbox.finish(said("E1").turn_id, "answered")
    inbox.finish(said("E4").turn_id, "command")
    inbox.finish(said("E5").turn_id, "refused")

    def count(since: datetime = START, platform: str = "test", **who: str) -> int:
        return inbox.received_since(since, platform=platform, **who)

    assert count() == 3
    assert count(user_id="U1") == 2
    assert count(conversation_id="C1") == 2
    assert count(user_id="U1", conversation_id="C1") == 1
    assert count(START + timedelta(seconds=2)) == 2
    assert count(platform="other") == 0


def test_old_entries_go_with_what_was_posted_for_them(inbox: Inbox, engine: sa.Engine) -> None:
    outbox = Outbox(engine)
    for event in ("E1", "E2", "E3"):
        inbox.accept(said(event))
        outbox.posted(said(event), 0, f"ref-{event}")
    inbox.finish(said("E1").turn_id, "answered")
    inbox.finish(said("E2").turn_id, "failed")
    assert inbox.expire(START) == 0
    assert inbox.expire(datetime.now(UTC) + timedelta(days=1)) == 2
    assert [entry.message for entry in inbox.unfinished("test")] == [said("E3")]
    assert [bool(outbox.posts(said(event).turn_id)) for event in ("E1", "E2", "E3")] == [False, False, True]


def test_a_database_that_fails_is_a_sentence(inbox: Inbox, engine: sa.Engine) -> None:
    tables.metadata.drop_all(engine)
    with pytest.raises(DatabaseError, match=r"^The database .* cannot be used .*\.$"):
        inbox.accept(said())
    tables.metadata.create_all(engine)


def test_edits_and_attempts_at_once_are_all_kept(engine: sa.Engine) -> None:
    inbox = Inbox(engine)
    inbox.accept(said())
    errors: list[Exception] = []

    def each(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            try:
                for _ in range(20):
                    work()
            except Exception as error:  # noqa: BLE001 - reported below
                errors.append(error)

        return run

    _at_once(
        each(lambda: inbox.begin(said().turn_id)),
        each(lambda: inbox.begin(said().turn_id)),
        each(lambda: inbox.edit("test", "C1", "M-E1", "new")),
    )
    assert errors == []
    assert inbox.unfinished("test") == [Entry(said(text="new"), 40)]


def _at_once(*work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _in_memory() -> sa.Engine:
    engine = open_database("sqlite://")
    tables.metadata.create_all(engine)
    return engine


events = st.sampled_from([f"E{n}" for n in range(6)])


class Record(RuleBasedStateMachine):
    """What is remembered of any sequence of calls and restarts, beside a plain model of it."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = _in_memory()
        self.clock = Clock()
        self.inbox = Inbox(self.engine, now=self.clock)
        self.texts: dict[str, str] = {}  # in order of arrival
        self.attempts: Counter[str] = Counter()
        self.outcomes: dict[str, Outcome] = {}

    def teardown(self) -> None:
        self.engine.dispose()

    @rule(event=events)
    def accept(self, event: str) -> None:
        assert self.inbox.accept(said(event)) == (event not in self.texts)
        self.texts.setdefault(event, said(event).text)

    @rule(event=events)
    def begin(self, event: str) -> None:
        if self._waits(event):
            self.attempts[event] += 1
            assert self.inbox.begin(said(event).turn_id) == self.attempts[event]
        else:
            assert self.inbox.begin(said(event).turn_id) == 0

    @rule(event=events)
    def release(self, event: str) -> None:
        self.inbox.release(said(event).turn_id)
        if self._waits(event):
            self.attempts[event] = max(self.attempts[event] - 1, 0)

    @rule(event=events, outcome=st.sampled_from(get_args(Outcome)))
    def finish(self, event: str, outcome: Outcome) -> None:
        self.inbox.finish(said(event).turn_id, outcome)
        if self._waits(event):
            self.outcomes[event] = outcome

    @rule(event=events, text=st.text())
    def edit(self, event: str, text: str) -> None:
        changed = self.inbox.edit("test", "C1", f"M-{event}", text)
        assert changed == (said(event).turn_id if self._waits(event) else None)
        if changed:
            self.texts[event] = text

    @rule()
    def restart(self) -> None:
        self.inbox = Inbox(self.engine, now=self.clock)

    @rule()
    def expire(self) -> None:
        assert self.inbox.expire(self.clock()) == len(self.outcomes)
        for event in self.outcomes:
            del self.texts[event], self.attempts[event]
        self.outcomes.clear()

    @invariant()
    def nothing_is_lost_or_done_twice(self) -> None:
        waiting = [event for event in self.texts if self._waits(event)]
        assert self.inbox.unfinished("test") == [
            Entry(said(event, text=self.texts[event]), self.attempts[event]) for event in waiting
        ]
        for event in self.texts:
            assert self.inbox.outcome(said(event).turn_id) == self.outcomes.get(event)

    def _waits(self, event: str) -> bool:
        return event in self.texts and event not in self.outcomes


TestRecord = Record.TestCase
TestRecord.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
