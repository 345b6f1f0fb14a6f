"""After a person is forgotten, nothing names them or keeps what they asked; everybody else's is untouched."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot import tables
from bot.audit import Audit
from bot.database import migrate, open_database
from bot.errors import DatabaseError, UsageError
from bot.forgetting import Forgetting, Forgotten, person
from bot.inbox import Inbox
from bot.messages import IncomingMessage
from bot.outbox import Outbox
from bot.thread_files import ThreadFiles
from feedback import store as feedback_store
from feedback.records import Vote
from feedback.schema import turns
from feedback.store import FeedbackStore
from tests.feedback.conftest import make_turn

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN, BOB = "U1", "U2"


class Stage:
    """Everything that is stored about questions, in one database; the time is `now`."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.now = START
        self.feedback = FeedbackStore(engine)
        self.inbox = Inbox(engine, now=lambda: self.now)
        self.outbox = Outbox(engine)
        self.files = ThreadFiles(engine)
        self.forgetting = Forgetting(engine, now=lambda: self.now)

    def ask(self, event: str, user: str, *, platform: str = "slack", done: bool = True) -> IncomingMessage:
        """A question with a file, its answer with one post, and the outcome."""
        message = self.arrive(event, user, platform=platform)
        self.answer(message)
        self.outbox.posted(message, 0, f"posted {event}")
        self.files.keep(message, "cv.txt", f"file of {user} in {event}")
        if done:
            self.inbox.finish(message.turn_id, "answered")
        return message

    def arrive(self, event: str, user: str, *, platform: str = "slack") -> IncomingMessage:
        message = IncomingMessage(
            platform=platform,
            event_id=event,
            conversation_id="C1",
            thread_id="T1",
            message_id=event,
            user_id=user,
            text=f"question of {user} in {event}",
        )
        self.inbox.accept(message)
        return message

    def answer(self, message: IncomingMessage) -> None:
        turn = make_turn(id=message.turn_id, platform=message.platform, user_id=message.user_id)
        self.feedback.save_turn(replace(turn, question=message.text, answer=f"answer to {message.event_id}"))

    def vote(self, message: IncomingMessage, user: str) -> None:
        comment = f"comment of {user} on {message.event_id}"
        self.feedback.save_vote(Vote(turn_id=message.turn_id, user_id=user, score=-1, comment=comment))

    def rows(self) -> dict[str, list[str]]:
        """Everything in the database, a text for each row."""
        stored = [*tables.metadata.sorted_tables, *feedback_store.metadata.sorted_tables]
        with self.engine.connect() as connection:
            return {
                table.name: sorted(str(tuple(row)) for row in connection.execute(sa.select(table)))
                for table in stored
            }

    @property
    def text(self) -> str:
        return "\n".join(row for rows in self.rows().values() for row in rows)


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    engine = open_database(database_url)
    migrate(engine)
    yield Stage(engine)
    engine.dispose()


def test_everything_of_the_person_goes_and_nothing_else(stage: Stage) -> None:
    of_bob = stage.ask("E_BOB", BOB)
    stage.vote(of_bob, BOB)
    elsewhere = stage.ask("E_DISCORD", ANN, platform="discord")  # somebody else, who happens to have that id
    stage.vote(elsewhere, ANN)
    before = stage.rows()

    of_ann = stage.ask("E_ANN", ANN)
    stage.vote(of_ann, ANN)
    stage.vote(of_ann, BOB)
    stage.vote(of_bob, ANN)
    found = Forgotten(answers=1, votes=3, messages=1, files=1, unfinished=0)
    assert stage.forgetting.preview("slack", ANN) == found
    assert "question of U1 in E_ANN" in stage.text

    assert stage.forgetting.forget("slack", ANN) == found
    assert stage.rows() == before
    assert "E_ANN" not in stage.text
    again = stage.forgetting.forget("slack", ANN)
    assert (again.is_nothing, again.sentence.startswith("Nothing is stored")) == (True, True)


def test_halves_of_a_question_go_as_well(stage: Stage) -> None:
    """The inbox forgets earlier than the store of answers, and the terminal never tells it anything."""
    of_turn_only, of_inbox_only = stage.ask("E1", ANN), stage.ask("E2", ANN)
    with stage.engine.begin() as connection:
        connection.execute(sa.delete(tables.inbox).where(tables.inbox.c.turn_id == of_turn_only.turn_id))
        connection.execute(sa.delete(turns).where(turns.c.id == of_inbox_only.turn_id))
    assert stage.forgetting.forget("slack", ANN) == Forgotten(
        answers=1, votes=0, messages=1, files=2, unfinished=0
    )
    assert {name: rows for name, rows in stage.rows().items() if rows} == {}


def test_what_is_being_worked_on_stays_whole_and_goes_the_next_time(stage: Stage) -> None:
    running = stage.ask("E1", ANN, done=False)  # stored, and still being shown
    before = stage.rows()
    stage.ask("E2", ANN)
    found = stage.forgetting.forget("slack", ANN)
    assert found == Forgotten(answers=1, votes=0, messages=1, files=1, unfinished=1)
    assert "Still being worked on: 1 message; forget this person again after that." in found.sentence
    assert stage.rows() == before
    stage.inbox.finish(running.turn_id, "answered")
    assert stage.forgetting.forget("slack", ANN).messages == 1
    assert "E1" not in stage.text


def test_what_nobody_works_on_any_more_goes_at_once(stage: Stage) -> None:
    stage.ask("E1", ANN, done=False)
    stage.now += timedelta(days=1, seconds=1)
    assert stage.forgetting.forget("slack", ANN) == Forgotten(
        answers=1, votes=0, messages=1, files=1, unfinished=0
    )


def test_who_asks_to_be_forgotten_is_not_told_of_that_message(stage: Stage) -> None:
    command = stage.arrive("E_COMMAND", ANN)
    for found in (
        stage.forgetting.preview("slack", ANN, asked_in=command.turn_id),
        stage.forgetting.forget("slack", ANN, asked_in=command.turn_id),
    ):
        assert found.is_nothing
    stage.inbox.finish(command.turn_id, "command")
    assert stage.inbox.outcome(command.turn_id) == "command"
    assert stage.forgetting.preview("slack", ANN).messages == 1


def test_an_error_in_the_middle_deletes_nothing(stage: Stage) -> None:
    stage.ask("E1", ANN)
    before = stage.rows()

    @sa.event.listens_for(stage.engine, "before_cursor_execute")
    def fail(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE FROM inbox"):  # the last of them
            raise sa.exc.OperationalError(statement, {}, Exception("the server is gone"))

    with pytest.raises(DatabaseError):
        stage.forgetting.forget("slack", ANN)
    sa.event.remove(stage.engine, "before_cursor_execute", fail)
    assert stage.rows() == before


def test_the_file_does_not_keep_what_was_deleted(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'parley.db'}")
    migrate(engine)
    stage = Stage(engine)
    for n in range(30):
        message = stage.arrive(f"E{n}", ANN)
        turn = make_turn(id=message.turn_id, platform="slack", user_id=ANN)
        stage.feedback.save_turn(replace(turn, question="merger-plans", answer="merger-plans " * 400))
        stage.inbox.finish(message.turn_id, "answered")

    def on_disk() -> int:
        return sum(file.read_bytes().count(b"merger-plans") for file in tmp_path.iterdir())

    assert on_disk() > 0
    assert stage.forgetting.forget("slack", ANN).answers == 30
    assert on_disk() == 0
    engine.dispose()


def test_a_reader_does_not_hinder_it(tmp_path: Path) -> None:
    """The log of changes cannot be emptied then, and what was deleted is gone for everybody else all the same."""
    url = f"sqlite:///{tmp_path / 'parley.db'}"
    engine = open_database(url)
    migrate(engine)
    stage = Stage(engine)
    stage.ask("E1", ANN)
    # So that the test does not wait for the reader as long as Parley would.
    sa.event.listen(engine, "checkout", lambda raw, *_: raw.execute("PRAGMA busy_timeout = 1"))
    reader = open_database(url)
    with reader.connect() as reading:
        assert reading.exec_driver_sql("SELECT count(*) FROM turns").scalar_one() == 1
        assert stage.forgetting.forget("slack", ANN).answers == 1
        assert reading.exec_driver_sql("SELECT count(*) FROM turns").scalar_one() == 1
    with reader.connect() as reading:
        assert reading.exec_driver_sql("SELECT count(*) FROM turns").scalar_one() == 0
    reader.dispose()
    engine.dispose()


def test_the_audit_stays_and_the_sentence_says_so(stage: Stage) -> None:
    Audit(stage.engine).record(stage.ask("E1", ANN), "reindex", "refused")
    found = stage.forgetting.forget("slack", ANN)
    assert found.sentence.startswith(
        "Deleted: 1 answer, 0 votes, 1 message and 1 file. What stays: the record of"
    )
    assert [entry.user_id for entry in Audit(stage.engine).entries()] == [ANN]


@pytest.mark.parametrize(
    ("handle", "platform", "expected"),
    [
        ("<@U42>", "slack", ("slack", "U42")),
        ("<@U42|ann>", "slack", ("slack", "U42")),
        (" <@!123> ", "discord", ("discord", "123")),
        ("<@123>", "discord", ("discord", "123")),
        ("slack:U42", "discord", ("slack", "U42")),
        ("discord:123", "console", ("discord", "123")),
        ("console:ann", "slack", ("console", "ann")),
        ("web:ann@x.example", "console", ("web", "ann@x.example")),
    ],
)
def test_people_are_named_by_mention_or_id(handle: str, platform: str, expected: tuple[str, str]) -> None:
    assert person(handle, platform=platform) == expected


@pytest.mark.parametrize(
    ("handle", "platform"),
    [
        ("@ann", "slack"),
        ("ann", "slack"),
        ("", "slack"),
        ("<@&5>", "discord"),  # a role
        ("<@U42>", "discord"),
        ("<@123>", "slack"),
        ("<@U42>", "console"),
        ("<#C42>", "slack"),
        ("<!subteam^S1>", "slack"),
        ("slack:C42", "slack"),
        ("slack:ann", "slack"),
        ("discord:U42", "discord"),
        ("<@U42> <@U43>", "slack"),
        ("slack:", "slack"),
        ("`@ann`\nnow", "slack"),
    ],
)
def test_who_names_nobody_hears_how(handle: str, platform: str) -> None:
    with pytest.raises(UsageError, match="names nobody") as caught:
        person(handle, platform=platform)
    assert "slack:U024BE7LH" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ("mention them" in str(caught.value)) == (platform != "console")
