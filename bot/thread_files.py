"""The text of files that came with questions, so that later questions in the thread can be asked about them.

A file is read in the thread that it was brought to and nowhere else. Only its text is kept. The methods block;
callers on an event loop go through `asyncio.to_thread`.
"""

from datetime import UTC, datetime

import sqlalchemy as sa

from bot.database import transaction
from bot.messages import IncomingMessage
from bot.tables import thread_files, upsert


class ThreadFiles:
    """Reads and writes the files' text. Every method may raise `DatabaseError`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def keep(self, message: IncomingMessage, name: str, text: str) -> None:
        """Keep the text of a file, in place of an earlier one of that name in the same message."""
        row = {
            "turn_id": message.turn_id,
            "name": name,
            "platform": message.platform,
            "conversation_id": message.conversation_id,
            "thread_id": message.thread_id,
            "text": text,
            "created_at": datetime.now(UTC),
        }
        with transaction(self._engine) as connection:
            connection.execute(upsert(self._engine, thread_files, row))

    def of(self, platform: str, conversation_id: str, thread_id: str) -> list[tuple[str, str]]:
        """Names and texts of the thread's files, oldest first."""
        table = thread_files
        query = (
            sa.select(table.c.name, table.c.text)
            .where(table.c.platform == platform, table.c.conversation_id == conversation_id)
            .where(table.c.thread_id == thread_id)
            .order_by(table.c.created_at, table.c.turn_id, table.c.name)
        )
        with transaction(self._engine) as connection:
            return [(row.name, row.text) for row in connection.execute(query)]

    def expire(self, before: datetime) -> int:
        """Delete what was kept before then; returns how many files."""
        old = sa.delete(thread_files).where(thread_files.c.created_at < before)
        with transaction(self._engine) as connection:
            return connection.execute(old).rowcount
