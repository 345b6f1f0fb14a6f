"""One answer and what people thought of it.

A turn is enough to explain the answer later: question, prompt version, model file, retrieved chunks with
scores, timings and outcome.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

Mode = Literal["written", "quotes", "unknown"]
"""How the answer came about: by the model, word for word from the documents, or not at all."""

Outcome = Literal["answered", "cancelled", "failed"]
"""`answered` covers every mode; `failed` carries an error."""

Score = Literal[1, -1]

REASONS = ("wrong", "incomplete", "outdated", "wrong source", "too slow", "other")
"""What may be wrong with an answer, as people choose it after a 👎. Programs may send other words."""


def now() -> datetime:
    """The present moment with a time zone; naive times never enter the database."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A passage that an answer rests on, as it was shown."""

    n: int
    """The number it is cited by, from 1."""
    chunk_id: str
    title: str
    heading: str
    uri: str
    score: float
    text: str
    source: str = ""
    """Name of the source it belongs to, by which access is decided; empty in turns stored before it was kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A question and its one outcome."""

    id: str
    platform: str
    conversation_id: str
    thread_id: str
    user_id: str
    question: str
    answer: str
    mode: Mode
    outcome: Outcome
    sources: tuple[SourceRecord, ...]
    retrieved: tuple[SourceRecord, ...]
    """Everything that retrieval found, also what was not cited."""
    model_id: str
    prompt_id: str
    """Name of the prompt file, which carries its version."""
    started_at: datetime
    retrieve_ms: int
    first_text_ms: int | None
    total_ms: int
    dropped: tuple[str, ...] = ()
    """Sentences the model wrote that failed the check and were not shown."""
    error: str | None = None
    audience: tuple[str, ...] | None = None
    """Principals of which each lets people see it where it was asked: ("slack:C42",). Unlike the principals of a
    place, which all its people have, one is enough. Empty: the asker alone, as in a direct message or a reply that
    only they see. None: not kept, by an earlier version; then nothing may be concluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One person's opinion of one turn; the last one wins."""

    turn_id: str
    user_id: str
    score: Score
    reason: str = ""
    comment: str = ""
    created_at: datetime = field(default_factory=now)
