"""How the assistant behaves in a conversation, as its people set it.

The methods block; callers on an event loop go through `asyncio.to_thread`. Settings are read anew each time, so that
a change holds at once, in every process. Whether somebody may change them is decided in `bot.policy`, not here.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import sqlalchemy as sa

from bot.database import transaction
from bot.tables import place_settings, upsert

When = Literal["mention", "thread", "question"]
"""When it answers: only to its name; also to what follows in a thread it takes part in; every question said there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceSettings:
    """Of one conversation; the defaults hold where nobody set anything."""

    enabled: bool = True
    answer: When = "thread"
    persona: str = ""
    """How it speaks here, in its people's words; empty: as everywhere."""
    sources: tuple[str, ...] = ()
    """Names of the sources that are searched here; empty: all that the place may see."""
    language: str = ""
    """Of the answers; empty: the question's."""


class Places:
    """Reads and writes `PlaceSettings`. Every method may raise `DatabaseError`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, platform: str, conversation_id: str) -> PlaceSettings:
        """What was set there, or the defaults."""
        table = place_settings
        query = sa.select(table.c.enabled, table.c.answer, table.c.persona, table.c.sources, table.c.language)
        here = (table.c.platform == platform) & (table.c.conversation_id == conversation_id)
        with transaction(self._engine) as connection:
            row = connection.execute(query.where(here)).one_or_none()
        if row is None:
            return PlaceSettings()
        return PlaceSettings(
            enabled=row.enabled,
            answer=row.answer,
            persona=row.persona,
            sources=tuple(row.sources),
            language=row.language,
        )

    def put(self, platform: str, conversation_id: str, settings: PlaceSettings, *, by: str) -> None:
        """Set all of it, in place of what was set before; `by` is the person, kept for those who wonder."""
        row = {
            "platform": platform,
            "conversation_id": conversation_id,
            "enabled": settings.enabled,
            "answer": settings.answer,
            "persona": settings.persona,
            "sources": list(settings.sources),
            "language": settings.language,
            "changed_by": by,
            "changed_at": datetime.now(UTC),
        }
        with transaction(self._engine) as connection:
            connection.execute(upsert(self._engine, place_settings, row))
