"""An assistant that says what it was told to and stores its turns as the real one does, and a long command."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bot.commands import Command, Request
from bot.messages import Event, Final, IncomingMessage, Progress, Text
from bot.notices import Action, Notice
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


DEEPER, FILL = "Dig deeper", "Fill it in"
"""What is offered when a hole is dug."""


class Digging:
    """`dig [METRES]`, for admins: says how far it is after each metre, and offers what to do next.

    `metre` is acquired before each metre after the first; with a semaphore of 0 the command waits there.
    """

    def __init__(self) -> None:
        self.metre = asyncio.Semaphore(1000)
        self.deeper: list[str] = []
        """Who dug deeper."""

    def commands(self) -> tuple[Command, ...]:
        return (
            Command(
                name="dig",
                about="dig a hole",
                argument=r"\d",
                placeholder="METRES",
                is_optional=True,
                needs_admin=True,
                run=self._dig,
            ),
            Command(
                name="dig deeper", about="dig on", needs_admin=True, is_listed=False, run=self._dig_deeper
            ),
            Command(name="dig fill", about="fill it in", needs_admin=True, is_listed=False, run=_fill),
        )

    async def _dig(self, request: Request) -> Notice:
        metres = int(request.argument or 2)
        for dug in range(1, metres + 1):
            if dug > 1:
                await self.metre.acquire()
            await request.report(f"{'▓' * dug}{'░' * (metres - dug)} {dug * 100 // (metres + 1)}%")
        await self.metre.acquire()
        offered = Action(DEEPER, "dig deeper"), Action(FILL, "dig fill", is_dangerous=True)
        return Notice(f"The hole is **{metres} metres** deep.", offered)

    async def _dig_deeper(self, request: Request) -> str:
        self.deeper.append(request.message.person)
        return "The hole is deeper now."


async def _fill(_: Request) -> str:
    return "There is no hole any more."
