"""Who did what is there to be read, and holds no secret."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from bot import tables
from bot.audit import LONGEST, LONGEST_DETAIL, Audit, Entry
from bot.database import open_database
from bot.errors import DatabaseError
from bot.messages import IncomingMessage

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MESSAGE = IncomingMessage(
    platform="slack",
    event_id="E1",
    workspace_id="T1",
    conversation_id="C1",
    thread_id="t",
    user_id="U1",
    text="whatever",
)


class Clock:
    """A minute later each time."""

    def __init__(self) -> None:
        self.at = START - timedelta(minutes=1)

    def __call__(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at


@pytest.fixture
def audit(engine: sa.Engine) -> Audit:
    return Audit(engine, now=Clock())


def test_who_where_what_when_and_what_became_of_it(audit: Audit) -> None:
    audit.record(MESSAGE, "sources remove wiki", "refused", "Ann is no admin.")
    audit.record_in_terminal("ann", "reindex", "done")
    terminal, chat = audit.entries()
    assert chat == Entry(
        START, "slack", "T1", "C1", "U1", "sources remove wiki", "refused", "Ann is no admin."
    )
    assert (chat.person, chat.place) == ("slack:U1", "slack:C1")
    assert (terminal.person, terminal.place, terminal.command) == ("console:ann", "console", "reindex")
    assert (terminal.at, terminal.outcome, terminal.detail) == (START + timedelta(minutes=1), "done", "")


def test_entries_are_chosen_by_time_and_outcome_newest_first(audit: Audit) -> None:
    for n in range(4):
        audit.record(MESSAGE, f"command {n}", "refused" if n % 2 else "done")
    found = {
        "all": audit.entries(limit=None),
        "two": audit.entries(limit=2),
        "late": audit.entries(since=START + timedelta(minutes=2)),
        "refused": audit.entries(outcome="refused"),
    }
    assert {name: [one.command[-1] for one in entries] for name, entries in found.items()} == {
        "all": ["3", "2", "1", "0"],
        "two": ["3", "2"],
        "late": ["3", "2"],
        "refused": ["3", "1"],
    }
    assert audit.entries(outcome="failed") == []


def test_entries_of_one_moment_keep_their_order(engine: sa.Engine) -> None:
    audit = Audit(engine, now=lambda: START)
    for n in range(3):
        audit.record(MESSAGE, str(n), "done")
    assert [one.command for one in audit.entries()] == ["2", "1", "0"]


def test_what_is_old_is_deleted(audit: Audit) -> None:
    for n in range(3):
        audit.record(MESSAGE, str(n), "done")
    assert audit.expire(START + timedelta(minutes=2)) == 2
    assert [one.command for one in audit.entries()] == ["2"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("sources add https://ann:hush@git.example/x.git", "sources add https://…@git.example/x.git"),
        ("sources add https://hush@git.example", "sources add https://…@git.example"),
        ("sources add ssh://git@git.example ok", "sources add ssh://…@git.example ok"),
        ("x " * 90 + "https://ann:" + "hush" * 40 + "@git.example", None),
        ("use xoxb-1234-hush-hush", "use …"),
        ("use ghp_hushhushhush123", "use …"),
        ("use sk-proj-hushhushhush", "use …"),
        ("reindex go handbook", "reindex go handbook"),
        ("sources add https://wiki.example/@ann", "sources add https://wiki.example/@ann"),
        ("forget <@U42>", "forget <@U42>"),
        ("a\nb\tc\0", "a b c\ufffd"),
    ],
)
def test_secrets_are_masked_and_the_rest_is_as_it_was_said(audit: Audit, said: str, kept: str | None) -> None:
    audit.record(MESSAGE, said, "failed", said)
    (entry,) = audit.entries()
    assert "hush" not in entry.command + entry.detail
    if kept is not None:
        assert (entry.command, entry.detail) == (kept, kept)


@given(st.text(max_size=700), st.text(max_size=700))
def test_anything_can_be_recorded_on_one_line_and_not_at_length(said: str, detail: str) -> None:
    engine = open_database("sqlite://")
    try:
        tables.metadata.create_all(engine)
        audit = Audit(engine)
        audit.record(MESSAGE, said, "done", detail)
        (entry,) = audit.entries()
    finally:
        engine.dispose()
    assert len(entry.command) <= LONGEST
    assert len(entry.detail) <= LONGEST_DETAIL
    assert len(entry.command.splitlines()) <= 1


def test_a_database_without_the_table_is_a_sentence() -> None:
    engine = open_database("sqlite://")
    audit = Audit(engine)
    for call in (audit.entries, lambda: audit.expire(START), lambda: audit.record(MESSAGE, "x", "done")):
        with pytest.raises(DatabaseError, match="parley doctor"):
            call()
    engine.dispose()
