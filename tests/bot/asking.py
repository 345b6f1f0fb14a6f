"""An assistant with a scripted model on the library in memory, questions to it, and what comes of them."""

import uuid
from collections.abc import Sequence

from bot.assistant import Assistant
from bot.llm.protocol import LLM
from bot.messages import Attachment, Event, Final, IncomingMessage, Said
from bot.places import PlaceSettings
from feedback.records import Turn
from feedback.store import FeedbackStore
from knowledge.access import EVERYONE
from tests.bot.conftest import FakeSearch
from tests.llm.fakes import ScriptedLLM

QUESTION = "Within how many days must receipts be handed in?"
FACT = "Receipts must be handed in within 30 days."


def assistant(
    search: FakeSearch,
    store: FeedbackStore,
    llm: LLM | None = None,
    *,
    max_tokens: int = 256,
    visible_to: dict[str, frozenset[str]] | None = None,
    rewrite: bool = False,
) -> Assistant:
    return Assistant(
        search=search,
        llm=llm or ScriptedLLM([FACT]),
        store=store,
        visible_to={"handbook": frozenset({"everyone"}), "secret": frozenset({"slack:C1"})}
        | (visible_to or {}),
        max_tokens=max_tokens,
        rewrite=rewrite,
    )


def message(
    text: str = QUESTION,
    *,
    event: str = "",
    thread: str = "t",
    principals: frozenset[str] = frozenset({EVERYONE}),
    context: Sequence[Said] = (),
    attached: Sequence[str] = (),
) -> IncomingMessage:
    return IncomingMessage(
        platform="test",
        event_id=event or uuid.uuid4().hex,
        conversation_id="c",
        thread_id=thread,
        user_id="u",
        text=text,
        principals=principals,
        context=tuple(context),
        attachments=tuple(Attachment(name=name, size=0, url="") for name in attached),
    )


async def events(
    assistant: Assistant,
    asked: str | IncomingMessage = QUESTION,
    *,
    thread: str = "t",
    place: PlaceSettings | None = None,
    files: Sequence[tuple[str, str]] = (),
) -> list[Event]:
    whole = asked if isinstance(asked, IncomingMessage) else message(asked, thread=thread)
    async with assistant.answer(whole, place=place or PlaceSettings(), files=files) as stream:
        return [event async for event in stream]


def last(stream: list[Event]) -> Final:
    final = stream[-1]
    assert isinstance(final, Final)
    return final


def stored(store: FeedbackStore) -> Turn:
    (one,) = store.turns()
    return one.turn
