"""Files are there for the thread that they were brought to, and nowhere else."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from bot.messages import IncomingMessage
from bot.thread_files import ThreadFiles


@pytest.fixture
def files(engine: sa.Engine) -> ThreadFiles:
    return ThreadFiles(engine)


def asked(event: str = "E1", *, conversation: str = "C1", thread: str = "T1") -> IncomingMessage:
    return IncomingMessage(
        platform="test",
        event_id=event,
        conversation_id=conversation,
        thread_id=thread,
        user_id="U1",
        text="What does it say?",
    )


def test_files_of_a_thread_come_oldest_first(files: ThreadFiles) -> None:
    files.keep(asked("E9"), "z.txt", "first")
    files.keep(asked("E9"), "a.txt", "second")
    files.keep(asked("E1"), "a.txt", "third\0")
    files.keep(asked("E2", thread="T2"), "b.txt", "of another thread")
    files.keep(asked("E3", conversation="C2"), "c.txt", "of another channel")
    assert files.of("test", "C1", "T1") == [("z.txt", "first"), ("a.txt", "second"), ("a.txt", "third\ufffd")]
    assert files.of("other", "C1", "T1") == []


def test_a_file_that_is_read_again_is_kept_once(files: ThreadFiles) -> None:
    files.keep(asked(), "a.txt", "before the restart")
    files.keep(asked(), "a.txt", "after the restart")
    assert files.of("test", "C1", "T1") == [("a.txt", "after the restart")]


def test_old_files_are_deleted(files: ThreadFiles) -> None:
    files.keep(asked(), "a.txt", "text")
    now = datetime.now(UTC)
    assert files.expire(now - timedelta(days=1)) == 0
    assert files.expire(now + timedelta(days=1)) == 1
    assert files.of("test", "C1", "T1") == []
