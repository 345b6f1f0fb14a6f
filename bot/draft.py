"""A turn while it is being made, and a stored one that is shown again.

A turn is known by its message, so that a second attempt at the same message is the same turn.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from bot.messages import Event, Final, IncomingMessage, Text
from feedback.records import Mode, Outcome, SourceRecord, Turn, now
from knowledge.documents import Hit


@dataclass
class Draft:
    """What was found, shown and dropped so far, and how long it took."""

    message: IncomingMessage
    prompt_id: str
    started_at: datetime = field(default_factory=now)
    clock: float = field(default_factory=time.monotonic)
    pieces: list[str] = field(default_factory=list)
    mode: Mode = "unknown"
    model_id: str = ""
    """Of the model that wrote some of it."""
    outcome: Outcome = "cancelled"
    hits: Sequence[Hit] = ()
    cited: set[int] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)
    scope: str = ""
    """What was searched, when the question narrowed it down: a sentence."""
    note: str = ""
    """Why the answer is not the usual one."""
    error: str | None = None
    retrieve_ms: int = 0
    first_text_ms: int | None = None
    total_ms: int = 0
    stored: bool = False

    @property
    def id(self) -> str:
        return self.message.turn_id

    def elapsed_ms(self) -> int:
        return round(1000 * (time.monotonic() - self.clock))

    def text(self, content: str) -> Text:
        """A piece that is about to be shown."""
        if self.first_text_ms is None:
            self.first_text_ms = self.elapsed_ms()
        self.pieces.append(content)
        return Text(content)

    @property
    def answer(self) -> str:
        return "".join(self.pieces).strip()

    @property
    def sources(self) -> tuple[SourceRecord, ...]:
        """The passages that are cited."""
        return tuple(record for record in self._retrieved() if record.n in self.cited)

    def turn(self) -> Turn:
        """What is stored."""
        return Turn(
            id=self.id,
            platform=self.message.platform,
            conversation_id=self.message.conversation_id,
            thread_id=self.message.thread_id,
            user_id=self.message.user_id,
            question=self.message.text,
            answer=self.answer,
            mode=self.mode,
            outcome=self.outcome,
            sources=self.sources,
            retrieved=self._retrieved(),
            model_id=self.model_id,
            prompt_id=self.prompt_id,
            started_at=self.started_at,
            retrieve_ms=self.retrieve_ms,
            first_text_ms=self.first_text_ms,
            total_ms=self.total_ms,
            dropped=tuple(self.dropped),
            error=self.error,
            audience=self._audience(),
        )

    def final(self) -> Final:
        """What adapters show below the answer."""
        return _final(self.turn(), note=" ".join(filter(None, (self.scope, self.note))))

    def _audience(self) -> tuple[str, ...]:
        """Those in the conversation, and those who may join it.

        `message.principals` would be wrong: `everyone` is in it also for a channel of two, who both are of the team.
        """
        alone = self.message.is_private or self.message.addressed == "direct"
        return () if alone else (self.message.place, *sorted(self.message.open_to))

    def _retrieved(self) -> tuple[SourceRecord, ...]:
        return tuple(
            SourceRecord(
                n,
                hit.chunk.id,
                hit.chunk.title,
                hit.chunk.heading,
                hit.chunk.uri,
                round(hit.score, 4),
                hit.chunk.text,
                hit.chunk.source,
            )
            for n, hit in enumerate(self.hits, start=1)
        )


class Replay:
    """Gives the answer that was stored; satisfies `bot.delivery.Answers`.

    Nothing is searched, written or stored. The note below the answer is not repeated: it told of that moment.
    """

    def __init__(self, turn: Turn) -> None:
        """`turn` is an answered one."""
        self._turn = turn

    @asynccontextmanager
    async def answer(self, message: IncomingMessage) -> AsyncIterator[AsyncIterator[Event]]:  # noqa: ARG002
        """The whole answer as one text, then the end."""
        async with aclosing(self._events()) as events:
            yield events

    async def _events(self) -> AsyncGenerator[Event]:
        yield Text(self._turn.answer)
        yield _final(self._turn)


def _final(turn: Turn, *, note: str = "") -> Final:
    return Final(
        turn_id=turn.id,
        mode=turn.mode,
        answer=turn.answer,
        sources=turn.sources,
        model_id=turn.model_id,
        retrieve_ms=turn.retrieve_ms,
        first_text_ms=turn.first_text_ms,
        total_ms=turn.total_ms,
        note=note,
    )
