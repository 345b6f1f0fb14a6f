"""Which messages of a platform are our answers, so that an answer which is made again goes on where it stopped.

A long answer has several parts, counted from 0. Each is noted before it is posted and once more with the platform's
id of it; a part without one may or may not be there, and only the platform can say. `Inbox.expire` deletes old rows.

The methods block; callers on an event loop go through `asyncio.to_thread`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy as sa

from bot.database import transaction
from bot.messages import IncomingMessage
from bot.tables import insert_new, outbox, upsert


@dataclass(frozen=True, slots=True)
class Post:
    """A part of an answer on the platform."""

    part: int
    ref: str | None
    """The platform's id of the message; None: it was going to be posted when we last heard."""


class Outbox:
    """Reads and writes the record. Every method may raise `DatabaseError`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def posts(self, turn_id: str) -> list[Post]:
        """The parts of the answer, in order."""
        query = sa.select(outbox.c.part, outbox.c.ref).where(outbox.c.turn_id == turn_id)
        with transaction(self._engine) as connection:
            rows = connection.execute(query.order_by(outbox.c.part)).all()
        return [Post(row.part, row.ref) for row in rows]

    def intend(self, message: IncomingMessage, part: int) -> None:
        """Note that a part of the answer to `message` is going to be posted; changes nothing when it is known."""
        with transaction(self._engine) as connection:
            connection.execute(insert_new(self._engine, outbox, _row(message, part)))

    def posted(self, message: IncomingMessage, part: int, ref: str) -> None:
        """Note the platform's id of a part, in place of any earlier one."""
        with transaction(self._engine) as connection:
            connection.execute(upsert(self._engine, outbox, _row(message, part) | {"ref": ref}))

    def withdrawn(self, turn_id: str, part: int) -> None:
        """Note that a part is on the platform no more, or never got there."""
        gone = sa.delete(outbox).where(outbox.c.turn_id == turn_id, outbox.c.part == part)
        with transaction(self._engine) as connection:
            connection.execute(gone)

    def turn_of(self, platform: str, conversation_id: str, ref: str) -> str | None:
        """Of which answer that message of the platform is a part; None when it is none of ours."""
        query = (
            sa.select(outbox.c.turn_id)
            .where(outbox.c.platform == platform, outbox.c.conversation_id == conversation_id)
            .where(outbox.c.ref == ref)
            .order_by(outbox.c.at.desc())
            .limit(1)
        )
        with transaction(self._engine) as connection:
            return cast("str | None", connection.execute(query).scalar_one_or_none())


def _row(message: IncomingMessage, part: int) -> dict[str, Any]:
    return {
        "turn_id": message.turn_id,
        "part": part,
        "platform": message.platform,
        "conversation_id": message.conversation_id,
        "at": datetime.now(UTC),
    }
