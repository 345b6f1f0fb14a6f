"""Deletes what a person asked, what was answered, and what they thought of answers.

Deleted, all of it in one transaction or nothing: their questions with the answers and everybody's votes on these, their
votes on other people's answers, their messages as they came in, which posts of ours belong to them, and the texts of
files that they brought to a thread.

What stays:

- messages that have no outcome yet: their answers would be stored after all. They are counted, and go when this is
  done again. One that has had none for a day is not being worked on by anybody, and goes;
- the audit and the settings of channels, which name who gave a command or changed something, by id;
- the message by which an admin asked for this, which names the person, until the inbox is cleared of old messages;
- what others wrote about the person, and answers to others that quote the person in a thread;
- what the person said in channels whose history is a source: it goes when it is deleted on the platform, or when the
  person stands in `leave_out` of the source, and the source is read after that;
- what left Parley or its database: exports, backups, the log, and the messages on the platform itself.

A message that its platform delivers once more after this is taken for a new one. SQLite overwrites what is deleted,
also in its log of changes once nobody reads an older state; PostgreSQL does so when it next cleans the tables up.
"""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from bot.database import transaction
from bot.errors import UsageError
from bot.tables import inbox, outbox, thread_files
from feedback.schema import turns, votes

WORKED_ON_FOR = timedelta(days=1)
"""After that long without an outcome, a message is not being worked on: the last attempt is made within minutes."""

REMAINS = (
    "What stays: the record of commands and the settings of channels, where they name this person; exports and "
    "backups; what is on the platform itself; and what this person said in channels whose history is a source, until "
    "it is deleted there, or the person stands in `leave_out` of that source, and the source has been read again."
)

_MENTION = re.compile(r"<@!?([A-Za-z0-9]+)(?:\|[^<>]*)?>")
_NAMED = re.compile(r"([a-z][a-z0-9_-]*):([^\s:<>]\S*)")
_IDS = {"slack": re.compile(r"[UW][A-Z0-9]+"), "discord": re.compile(r"[0-9]+")}
"""Of people, on the platforms that write them as mentions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """How much was deleted, or would be."""

    answers: int
    """With their questions."""
    votes: int
    """The person's on any answer, and everybody's on the answers that go."""
    messages: int
    """As they came in."""
    files: int
    unfinished: int
    """Messages that stay for now, because they are being worked on."""

    @property
    def is_nothing(self) -> bool:
        return not any(asdict(self).values())

    @property
    def counts(self) -> str:
        """ "3 answers, 2 votes, 4 messages and 0 files"."""
        return (
            f"{_many(self.answers, 'answer')}, {_many(self.votes, 'vote')}, "
            f"{_many(self.messages, 'message')} and {_many(self.files, 'file')}"
        )

    @property
    def sentence(self) -> str:
        """What was deleted, what is left for later, and what stays."""
        done = "Nothing is stored about this person." if self.is_nothing else f"Deleted: {self.counts}."
        later = f" Still being worked on: {_many(self.unfinished, 'message')}; forget this person again after that."
        return f"{done}{later if self.unfinished else ''} {REMAINS}"


class Forgetting:
    """Finds and deletes what belongs to a person. Both methods may raise `DatabaseError`, and block."""

    def __init__(self, engine: sa.Engine, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._now = now

    def preview(self, platform: str, user_id: str, *, asked_in: str = "") -> Forgotten:
        """What `forget` would delete now."""
        found = {}
        with transaction(self._engine) as connection:
            for table, theirs in self._theirs(platform, user_id).items():
                count = sa.select(sa.func.count()).select_from(table).where(theirs)
                found[table] = connection.execute(count).scalar_one()
            unfinished = self._unfinished(connection, platform, user_id, asked_in)
        return _forgotten(found, unfinished)

    def forget(self, platform: str, user_id: str, *, asked_in: str = "") -> Forgotten:
        """Delete it. `asked_in` is the turn id of the message that asks for it, which is not counted as unfinished."""
        deleted = {}
        with transaction(self._engine, reads_first=True) as connection:
            if self._is_sqlite:
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            for table, theirs in self._theirs(platform, user_id).items():
                deleted[table] = connection.execute(sa.delete(table).where(theirs)).rowcount
            unfinished = self._unfinished(connection, platform, user_id, asked_in)
        self._clear_log()
        return _forgotten(deleted, unfinished)

    @property
    def _is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    def _theirs(self, platform: str, user_id: str) -> dict[sa.Table, sa.ColumnElement[bool]]:
        """What is the person's in each table, in the order in which it can be deleted."""
        worked_on = sa.select(inbox.c.turn_id).where(self._is_worked_on(platform, user_id))
        asked = (turns.c.platform == platform) & (turns.c.user_id == user_id) & turns.c.id.not_in(worked_on)
        said = (inbox.c.platform == platform) & (inbox.c.user_id == user_id)
        said &= inbox.c.turn_id.not_in(worked_on)
        # Of some questions only one of the two is left, or was ever there.
        ids = sa.select(turns.c.id).where(asked).union(sa.select(inbox.c.turn_id).where(said))
        given = (votes.c.user_id == user_id) & sa.exists().where(
            turns.c.id == votes.c.turn_id, turns.c.platform == platform
        )
        return {
            thread_files: thread_files.c.turn_id.in_(ids),
            outbox: outbox.c.turn_id.in_(ids),
            votes: given | votes.c.turn_id.in_(sa.select(turns.c.id).where(asked)),
            turns: asked,
            inbox: said,
        }

    def _is_worked_on(self, platform: str, user_id: str) -> sa.ColumnElement[bool]:
        return (
            (inbox.c.platform == platform)
            & (inbox.c.user_id == user_id)
            & inbox.c.outcome.is_(None)
            & (inbox.c.received_at >= self._now() - WORKED_ON_FOR)
        )

    def _unfinished(self, connection: sa.Connection, platform: str, user_id: str, asked_in: str) -> int:
        others = self._is_worked_on(platform, user_id) & (inbox.c.turn_id != asked_in)
        return connection.execute(sa.select(sa.func.count()).select_from(inbox).where(others)).scalar_one()

    def _clear_log(self) -> None:
        """Empty SQLite's log of changes, where older states of what was deleted still stand."""
        if self._is_sqlite:
            # Somebody reads or writes all the time: then a later checkpoint does it.
            with suppress(sqlite3.OperationalError), closing(self._engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def person(handle: str, *, platform: str) -> tuple[str, str]:
    """Platform and id of the person that a command on `platform` names: `<@U42>`, `<@!123>` or `slack:U42`.

    Raises:
        UsageError: it names nobody.
    """
    handle = handle.strip()
    if found := _MENTION.fullmatch(handle):
        where, user_id = platform, found[1]
        is_known = where in _IDS
    elif found := _NAMED.fullmatch(handle):
        where, user_id = found[1], found[2]
        is_known = True
    else:
        where, user_id, is_known = "", "", False
    if not is_known or (where in _IDS and not _IDS[where].fullmatch(user_id)):
        shown = " ".join(handle.replace("`", "'").split())[:40]
        mention = "mention them (choose the name that is offered after @), or " if platform in _IDS else ""
        raise UsageError(
            f"`{shown}` names nobody; {mention}write platform and id, such as `slack:U024BE7LH` or "
            "`discord:80351110224678912`."
        )
    return where, user_id


def _forgotten(found: dict[sa.Table, int], unfinished: int) -> Forgotten:
    return Forgotten(
        answers=found[turns],
        votes=found[votes],
        messages=found[inbox],
        files=found[thread_files],
        unfinished=unfinished,
    )


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
