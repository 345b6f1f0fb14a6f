"""What passes between an adapter and the assistant. No platform's own types come in here."""

from dataclasses import dataclass, field
from typing import Literal

from feedback.records import Mode, SourceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingMessage:
    """A question as it arrived."""

    platform: str
    event_id: str
    """The platform's own id of the event."""
    conversation_id: str
    """The channel, direct message or terminal session."""
    thread_id: str
    """The thread within it; history never crosses threads."""
    user_id: str
    text: str
    is_direct: bool = True
    principals: frozenset[str] = frozenset()
    """Who will see the reply; see `knowledge.access`."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is being done now, shown while nothing has been written yet."""

    stage: Literal["waiting", "searching", "reading", "writing"]
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer, checked and ready to be shown. The pieces joined are the answer, in Markdown."""

    content: str


@dataclass(frozen=True, slots=True)
class Final:
    """The end of every answer: what adapters show below it."""

    turn_id: str
    mode: Mode
    answer: str
    sources: tuple[SourceRecord, ...]
    model_id: str
    retrieve_ms: int
    first_text_ms: int | None
    total_ms: int
    note: str = field(default="")
    """Why the answer is not the usual one (the model is down, …); one sentence, or empty."""


Event = Progress | Text | Final
