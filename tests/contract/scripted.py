"""An assistant that says what it was told to, and stores its turns as the real one does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bot.messages import Event, Final, IncomingMessage, Progress, Text
from bot.places import PlaceSettings
from feedback.records import Mode, Outcome, SourceRecord, Turn, now
from feedback.store import FeedbackStore

SOURCE = SourceRecord(
    1,
    "travel-0",
    "Travel",
    "Travel > Receipts",
    "https://docs.example/travel",
    0.9,
    "Receipts must be handed in within 30 days.",
    source="handbook",
)
ANSWER = "Receipts must be handed in within 30 days. [1]"
UNKNOWN = "I don't know: the documents do not seem to say."


class ScriptedAssistant:
    """Answers every question with `ANSWER`, or what `script` has for it; "unknown" in it is not known.

    `hold` stops every answer after its first piece until the event is set.
    """

    def __init__(self, feedback: FeedbackStore) -> None:
        self._feedback = feedback
        self.script: dict[str, Sequence[str]] = {}
        self.sources: tuple[SourceRecord, ...] = (SOURCE,)
        self.hold: asyncio.Event | None = None
        self.asked: list[IncomingMessage] = []
        self.places: list[PlaceSettings] = []
        self.files: list[Sequence[tuple[str, str]]] = []

    @asynccontextmanager
    async def answer(
        self,
        message: IncomingMessage,
        *,
        place: PlaceSettings | None = None,
        files: Sequence[tuple[str, str]] = (),
    ) -> AsyncIterator[AsyncIterator[Event]]:
        self.asked.append(message)
        self.places.append(place or PlaceSettings())
        self.files.append(files)
        mode: Mode = "unknown" if "unknown" in message.text else "written"
        pieces = self.script.get(message.text, (UNKNOWN,) if mode == "unknown" else (ANSWER,))
        shown: list[str] = []
        outcome: Outcome = "cancelled"

        async def events() -> AsyncIterator[Event]:
            nonlocal outcome
            yield Progress("searching", "Searching the documents")
            for piece in pieces:
                shown.append(piece)
                yield Text(piece)
                if self.hold:
                    await self.hold.wait()
            outcome = "answered"
            await self._store(message, "".join(shown), mode, outcome)
            sources = () if mode == "unknown" else self.sources
            yield Final(message.turn_id, mode, "".join(shown), sources, "scripted", 1, 2, 3)

        try:
            yield events()
        finally:
            if outcome == "cancelled":
                await asyncio.shield(self._store(message, "".join(shown), mode, outcome))

    async def _store(self, message: IncomingMessage, answer: str, mode: Mode, outcome: Outcome) -> None:
        turn = Turn(
            id=message.turn_id,
            platform=message.platform,
            conversation_id=message.conversation_id,
            thread_id=message.thread_id,
            user_id=message.user_id,
            question=message.text,
            answer=answer,
            mode=mode,
            outcome=outcome,
            sources=() if mode == "unknown" else self.sources,
            retrieved=self.sources,
            model_id="scripted",
            prompt_id="none",
            started_at=now(),
            retrieve_ms=1,
            first_text_ms=2,
            total_ms=3,
        )
        await asyncio.to_thread(self._feedback.save_turn, turn)
