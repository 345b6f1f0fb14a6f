"""The record of every message that was accepted, and of what became of it: nothing is lost or answered twice.

A message is stored as it came before its platform hears that it arrived; a second delivery of it is recognised, and
what has no outcome is there again after a restart. It has one outcome, the first that is given.

The methods block; callers on an event loop go through `asyncio.to_thread`. Each is one short transaction. Processes
that serve the same platform at once do not hinder each other here, but nothing stops both from beginning the same
message. What was accepted outlives a crash of the program; after a power failure SQLite may have lost the last of it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, cast

import sqlalchemy as sa

from bot.database import transaction
from bot.messages import Attachment, IncomingMessage, Said
from bot.tables import inbox, insert_new, outbox

Outcome = Literal[
    "answered",
    "unknown",
    "silent",
    "failed",
    "refused",
    "command",
    "cancelled",
    "dropped",
    "set_aside",
    "undeliverable",
]
"""What became of a message: as `bot.delivery.Delivered` has it, or a sentence of the policy, a command that was run,
stopped by its asker, deleted before it was answered, begun too often without coming to an end, or refused by the
platform."""

_NO_PART: tuple[Outcome, ...] = ("refused", "dropped", "silent")
"""Outcomes after which the bot has no part in the conversation."""
_NO_QUESTION: tuple[Outcome, ...] = ("command", "refused")
"""Outcomes that do not count towards a rate; else somebody who keeps trying would have to wait for ever."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message without an outcome, and how often it was begun."""

    message: IncomingMessage
    attempts: int


_SETS = ("principals", "open_to")
"""Fields of a message that JSON can only hold as lists."""


class Inbox:
    """Reads and writes the record. Every method may raise `DatabaseError`."""

    def __init__(self, engine: sa.Engine, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._now = now

    def accept(self, message: IncomingMessage) -> bool:
        """Store the message; False when it is known already, from whichever process."""
        payload = asdict(message) | {name: sorted(getattr(message, name)) for name in _SETS}
        row = {
            "turn_id": message.turn_id,
            "platform": message.platform,
            "event_id": message.event_id,
            "workspace_id": message.workspace_id,
            "conversation_id": message.conversation_id,
            "thread_id": message.thread_id,
            "message_id": message.message_id,
            "user_id": message.user_id,
            "payload": payload,
            "attempts": 0,
            "received_at": self._now(),
        }
        accepted = insert_new(self._engine, inbox, row).returning(inbox.c.turn_id)
        with transaction(self._engine) as connection:
            return connection.execute(accepted).one_or_none() is not None

    def unfinished(self, platform: str) -> list[Entry]:
        """What has no outcome yet, in order of arrival."""
        query = (
            sa.select(inbox.c.payload, inbox.c.attempts)
            .where(inbox.c.platform == platform, inbox.c.outcome.is_(None))
            .order_by(inbox.c.received_at, inbox.c.turn_id)
        )
        with transaction(self._engine) as connection:
            rows = connection.execute(query).all()
        return [Entry(_message(row.payload), row.attempts) for row in rows]

    def begin(self, turn_id: str) -> int:
        """Note that work on the message begins now; returns which attempt it is, counted from 1.

        0 means that there is nothing to work on: it has an outcome, or is not known.
        """
        begun = (
            sa.update(inbox)
            .where(inbox.c.turn_id == turn_id, inbox.c.outcome.is_(None))
            .values(attempts=inbox.c.attempts + 1, began_at=self._now())
            .returning(inbox.c.attempts)
        )
        with transaction(self._engine) as connection:
            return connection.execute(begun).scalar_one_or_none() or 0

    def release(self, turn_id: str) -> None:
        """Hand the message over to the next start, at shutdown: the attempt does not count."""
        released = (
            sa.update(inbox)
            .where(inbox.c.turn_id == turn_id, inbox.c.outcome.is_(None), inbox.c.attempts > 0)
            .values(attempts=inbox.c.attempts - 1, began_at=None)
        )
        with transaction(self._engine) as connection:
            connection.execute(released)

    def finish(self, turn_id: str, outcome: Outcome) -> None:
        """Note what became of the message; does nothing when it has an outcome already."""
        finished = (
            sa.update(inbox)
            .where(inbox.c.turn_id == turn_id, inbox.c.outcome.is_(None))
            .values(outcome=outcome, finished_at=self._now())
        )
        with transaction(self._engine) as connection:
            connection.execute(finished)

    def edit(self, platform: str, conversation_id: str, message_id: str, text: str) -> str | None:
        """Change the text of a message that has no outcome yet; returns its turn id, or None if there is none."""
        query = (
            _called(platform, conversation_id, message_id, inbox.c.turn_id, inbox.c.payload)
            .where(inbox.c.outcome.is_(None))
            .with_for_update()
        )
        with transaction(self._engine, reads_first=True) as connection:
            if (row := connection.execute(query).one_or_none()) is None:
                return None
            payload = row.payload | {"text": text}
            connection.execute(sa.update(inbox).where(inbox.c.turn_id == row.turn_id).values(payload=payload))
            return cast("str", row.turn_id)

    def find(self, platform: str, conversation_id: str, message_id: str) -> str | None:
        """The turn id of that message of the platform, whatever became of it."""
        query = _called(platform, conversation_id, message_id, inbox.c.turn_id)
        with transaction(self._engine) as connection:
            return connection.execute(query).scalar_one_or_none()

    def message(self, turn_id: str) -> IncomingMessage | None:
        """The message as it came, or as it was edited since."""
        query = sa.select(inbox.c.payload).where(inbox.c.turn_id == turn_id)
        with transaction(self._engine) as connection:
            payload = connection.execute(query).scalar_one_or_none()
        return None if payload is None else _message(payload)

    def latest(self, platform: str, since: datetime, *, limit: int) -> list[IncomingMessage]:
        """The messages that were received at `since` or later, newest first."""
        query = (
            sa.select(inbox.c.payload)
            .where(inbox.c.platform == platform, inbox.c.received_at >= since)
            .order_by(inbox.c.received_at.desc())
            .limit(limit)
        )
        with transaction(self._engine) as connection:
            return [_message(payload) for payload in connection.execute(query).scalars()]

    def outcome(self, turn_id: str) -> Outcome | None:
        """What became of the message; None while nothing has, or when it is not known."""
        query = sa.select(inbox.c.outcome).where(inbox.c.turn_id == turn_id)
        with transaction(self._engine) as connection:
            return cast("Outcome | None", connection.execute(query).scalar_one_or_none())

    def knows_thread(self, platform: str, conversation_id: str, thread_id: str) -> bool:
        """Whether the bot takes part in the thread: it answered there, or was asked to and is going to.

        What was only overheard there makes it take part when it has been answered, not before.
        """
        was_asked = inbox.c.payload["addressed"].as_string().not_in(("thread", "channel"))
        taken = sa.exists().where(
            inbox.c.platform == platform,
            inbox.c.conversation_id == conversation_id,
            inbox.c.thread_id == thread_id,
            (inbox.c.outcome.is_(None) & was_asked) | inbox.c.outcome.not_in(_NO_PART),
        )
        with transaction(self._engine) as connection:
            return bool(connection.execute(sa.select(taken)).scalar_one())

    def received_since(
        self,
        since: datetime,
        *,
        platform: str,
        user_id: str | None = None,
        conversation_id: str | None = None,
    ) -> int:
        """How many questions came at `since` or later, of a person, in a conversation, or both.

        Commands and what was refused do not count.
        """
        query = sa.select(sa.func.count()).where(
            inbox.c.platform == platform,
            inbox.c.received_at >= since,
            inbox.c.outcome.is_(None) | inbox.c.outcome.not_in(_NO_QUESTION),
        )
        if user_id is not None:
            query = query.where(inbox.c.user_id == user_id)
        if conversation_id is not None:
            query = query.where(inbox.c.conversation_id == conversation_id)
        with transaction(self._engine) as connection:
            return connection.execute(query).scalar_one()

    def expire(self, before: datetime) -> int:
        """Delete what had its outcome before then, and what was posted for it; returns how many messages.

        A second delivery of a deleted message would be taken for a new one, and its thread for one that the bot
        has no part in.
        """
        orphaned = ~sa.exists().where(inbox.c.turn_id == outbox.c.turn_id)
        with transaction(self._engine) as connection:
            deleted = connection.execute(sa.delete(inbox).where(inbox.c.finished_at < before)).rowcount
            connection.execute(sa.delete(outbox).where(outbox.c.at < before, orphaned))
        return deleted


def _called(platform: str, conversation_id: str, message_id: str, *columns: sa.Column[Any]) -> sa.Select[Any]:
    """The message with that id; the last of them, should several events have brought it. None for an empty id."""
    return (
        sa.select(*columns)
        .where(inbox.c.platform == platform, inbox.c.conversation_id == conversation_id)
        .where(inbox.c.message_id == message_id, inbox.c.message_id != "")
        .order_by(inbox.c.received_at.desc())
        .limit(1)
    )


def _message(payload: dict[str, Any]) -> IncomingMessage:
    """Written, perhaps, by an older or newer version: what it lacks has its default, what is unknown is left out."""
    values = _known(IncomingMessage, payload)
    # JSON made lists of these.
    for name, kind in (("attachments", Attachment), ("context", Said)):
        values[name] = tuple(kind(**_known(kind, one)) for one in values.get(name, ()))
    values |= {name: frozenset(values[name]) for name in _SETS if name in values}
    return IncomingMessage(**values)


def _known(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
