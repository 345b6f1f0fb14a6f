"""A store on each kind of database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from feedback.records import SourceRecord, Turn
from feedback.store import FeedbackStore, metadata
from tests.postgres import database_url, postgres_url

__all__ = ["database_url", "postgres_url"]

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    made = sa.create_engine(database_url)
    metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def store(engine: sa.Engine) -> FeedbackStore:
    return FeedbackStore(engine)


def make_turn(n: int = 0, **changes: Any) -> Turn:
    """The n-th turn of a thread, a minute after the one before."""
    source = SourceRecord(1, "c1", "Leave", "Leave > Annual", "file:leave.md", 0.75, "30 days a year.")
    values: dict[str, Any] = {
        "id": f"t{n:04}",
        "platform": "console",
        "conversation_id": "room",
        "thread_id": "thread",
        "user_id": "ann",
        "question": f"Question {n}?",
        "answer": "30 days [1].",
        "mode": "written",
        "outcome": "answered",
        "sources": (source,),
        "retrieved": (source, source),
        "model_id": "tiny",
        "prompt_id": "answer-1",
        "started_at": START + timedelta(minutes=n),
        "retrieve_ms": 5,
        "first_text_ms": None,
        "total_ms": 900,
        "dropped": ("It costs 7 EUR.",),
    }
    return Turn(**values | changes)
