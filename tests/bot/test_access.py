"""Nothing of what its readers may not see gets into an answer: not quoted, named, counted, prompted or remembered."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.pool import StaticPool

from bot.administration.jobs import jobs_command
from bot.administration.sources import Sources
from bot.administration.status import Status, status_command
from bot.assistant import Assistant
from bot.attachments import cut
from bot.commands import Call, Commands
from bot.config import SourceSettings
from bot.errors import UsageError
from bot.evidence import Vocabulary
from bot.jobs import JobInfo
from bot.llm.protocol import LLM
from bot.messages import Event, Final, IncomingMessage
from bot.places import PlaceSettings
from feedback.schema import metadata
from feedback.store import FeedbackStore
from knowledge.access import EVERYONE, visible_sources
from knowledge.chunking import Chunker, ChunkSettings
from knowledge.documents import Chunk, Hit
from knowledge.filters import Filter
from tests.knowledge.words.shelves import chunk
from tests.knowledge.worlds import AUDIENCES, TEXTS, Running, World, worlds
from tests.llm.fakes import ScriptedLLM

DEAL = "The merger with Acme closes on 3 May for 140 million EUR."
QUESTIONS = st.lists(
    st.one_of(
        TEXTS.map(lambda words: f"what is the {words}?"),
        st.sampled_from(
            [
                "what is the salray limit?",
                "and the merger?",
                "in:board merger",
                "in:nowhere merger",
                "source:legal 140",
            ]
        ),
    ),
    min_size=1,
    max_size=3,
)


class Knowledge:
    """The knowledge layer of a world; satisfies `bot.findings.Search`."""

    def __init__(self, world: World) -> None:
        self._running = Running(world)
        self.embedder = self._running.embedder
        self._chunker = Chunker(self.embedder.tokenizer, ChunkSettings(capacity=60, minimum=2))
        self.source_tags: Mapping[str, frozenset[str]] = dict.fromkeys(
            world.visible_to, frozenset({"tagged"})
        )

    def search(self, query: str, *, sources: frozenset[str], top_k: int, where: Filter) -> list[Hit]:
        return self._running.retriever.search(query, sources=sources, top_k=top_k, where=where)

    def vocabulary_of(self, sources: frozenset[str]) -> Vocabulary:
        self._running.retriever.prepare(sources)
        return self._running.retriever.lexical.within(sources)

    def cut(self, name: str, text: str) -> list[Chunk]:
        return cut(self._chunker, name, text)


@pytest.fixture(scope="module")
def store() -> Iterator[FeedbackStore]:
    engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    metadata.create_all(engine)
    yield FeedbackStore(engine)
    engine.dispose()


def assistant(world: World, store: FeedbackStore, llm: LLM) -> Assistant:
    return Assistant(search=Knowledge(world), llm=llm, store=store, visible_to=dict(world.visible_to))


def asked(text: str, principals: frozenset[str], *, thread: str, user: str = "U1") -> IncomingMessage:
    return IncomingMessage(
        platform="slack",
        event_id=uuid4().hex,
        conversation_id="C1",
        thread_id=thread,
        user_id=user,
        text=text,
        addressed="mention",
        principals=principals,
    )


async def reply(one: Assistant, message: IncomingMessage, place: PlaceSettings | None = None) -> list[Event]:
    async with one.answer(message, place=place or PlaceSettings()) as events:
        return [timeless(event) async for event in events]


def timeless(event: Event) -> Event:
    if not isinstance(event, Final):
        return event
    return replace(event, turn_id="", retrieve_ms=0, first_text_ms=None, total_ms=0)


async def conversation(
    world: World, store: FeedbackStore, questions: Sequence[str], principals: frozenset[str], *, says: str
) -> tuple[list[object], ScriptedLLM]:
    """What is shown, in one thread; and the model, which keeps what it was given to read."""
    llm, thread = ScriptedLLM([says]), uuid4().hex
    one = assistant(world, store, llm)
    shown = [await reply(one, asked(question, principals, thread=thread)) for question in questions]
    kept = [turn.retrieved for turn in store.history("slack", "C1", thread, limit=9)]
    return [shown, kept, llm.asked], llm


@settings(max_examples=60, deadline=None)
@given(worlds(), AUDIENCES, QUESTIONS, TEXTS)
def test_an_answer_is_the_same_as_if_hidden_sources_did_not_exist(
    store: FeedbackStore, world: World, principals: frozenset[str], questions: list[str], says: str
) -> None:
    """Also what the model reads, what is kept, and what is said about filters that name a hidden source."""
    sources = visible_sources(world.visible_to, principals)
    hidden = world.visible_to.keys() - sources

    async def both() -> None:
        with_hidden, _ = await conversation(world, store, questions, principals, says=says)
        without, _ = await conversation(world.without(hidden), store, questions, principals, says=says)
        assert with_hidden == without

    asyncio.run(both())


BOARD = frozenset({"slack:C2"})
WORLD = World(
    {"handbook": frozenset({EVERYONE}), "board": BOARD},
    (
        chunk("Hotels cost 140 EUR a night at most.", title="Hotels", source="handbook", key="hotel"),
        chunk(DEAL, title="Merger", source="board", key="deal"),
    ),
)
TEAM = frozenset({EVERYONE, "slack:C1"})


def words(llm: ScriptedLLM) -> str:
    return "\n".join(message.content for messages in llm.asked for message in messages)


async def test_what_was_answered_to_one_alone_is_not_built_upon_for_all(store: FeedbackStore) -> None:
    llm = ScriptedLLM([DEAL, "Hotels cost 140 EUR a night at most."])
    one = assistant(WORLD, store, llm)
    private = replace(
        asked("When does the merger with Acme close?", TEAM | BOARD, thread="t1", user="U2"), is_private=True
    )
    told = (await reply(one, private))[-1]
    assert isinstance(told, Final)
    assert "Acme" in told.answer

    llm.asked.clear()
    shown = await reply(one, asked("How much may hotels cost a night at most?", TEAM, thread="t1"))
    assert "Acme" not in f"{shown}{words(llm)}"
    assert "140 EUR a night" in words(llm)

    again = replace(
        asked("How much may hotels cost a night at most?", TEAM | BOARD, thread="t1", user="U2"),
        is_private=True,
    )
    llm.asked.clear()
    await reply(one, again)
    assert "Acme" in words(llm)


async def test_what_may_be_seen_no_more_is_not_remembered_either(store: FeedbackStore) -> None:
    """As when a channel is shared with another company, or a source is taken from it."""
    llm = ScriptedLLM([DEAL, "Hotels cost 140 EUR a night at most."])
    one = assistant(WORLD, store, llm)
    await reply(one, asked("When does the merger with Acme close?", TEAM | BOARD, thread="t2"))
    llm.asked.clear()
    shown = await reply(one, asked("How much may hotels cost a night at most?", TEAM, thread="t2"))
    assert "Acme" not in f"{shown}{words(llm)}"


async def test_a_place_can_only_narrow_what_may_be_seen(store: FeedbackStore) -> None:
    one = assistant(WORLD, store, ScriptedLLM([DEAL]))
    place = PlaceSettings(sources=("board",))
    (*_, final) = await reply(one, asked("When does the merger close?", TEAM, thread="t3"), place)
    assert isinstance(final, Final)
    assert final.answer == "I don't know: there are no documents here that I may use."
    assert final.sources == ()


# What admins are told where others read it too.

NOW = datetime.now(UTC)
OFFICE = Status(
    model="smollm2",
    waiting=0,
    sources={"handbook": (12, 34), "board": (56, 78)},
    index="3 of 9 files read · `board` · in `merger.pdf`",
    jobs=[
        JobInfo(
            name=name,
            schedule="1h",
            next_run=None,
            began_at=NOW,
            ended_at=NOW,
            outcome="done",
            told=told,
            failures=0,
        )
        for name, told in {
            "read board": "56 files",
            "evaluate": "board: 12 of 78 questions find their documents",
        }.items()
    ],
)
SETTINGS = [
    SourceSettings(name="handbook", path=Path("/h")),
    SourceSettings(name="board", path=Path("/b"), visible_to=("slack:C2",)),
]


def admin_commands() -> Commands:
    async def status() -> Status:
        return OFFICE

    async def nothing(*_: object) -> None:
        raise AssertionError

    sources = Sources(
        listed=lambda: SETTINGS,
        counts=lambda: OFFICE.sources,
        addable=(),
        add=nothing,
        pause=nothing,
        remove=nothing,
    )
    return Commands(
        [
            status_command(status, visible_to=WORLD.visible_to),
            jobs_command(lambda: OFFICE.jobs, visible_to=WORLD.visible_to),
            *sources.commands(),
        ]
    )


async def told(text: str, message: IncomingMessage) -> str:
    commands = admin_commands()
    call = commands.parse(text, explicit=True)
    assert isinstance(call, Call)
    try:
        return (await commands.run(call, message, is_admin=True)).markdown
    except UsageError as error:
        return str(error)


@pytest.mark.parametrize("command", ["status", "jobs", "sources", "sources pause nowhere"])
async def test_what_admins_are_told_names_only_what_all_who_read_it_may_see(command: str) -> None:
    in_public = await told(command, asked("", TEAM, thread="t4"))
    assert not {"board", "56", "78", "merger"} & set(re.findall(r"\w+", in_public))
    among_those_concerned = await told(command, asked("", TEAM | BOARD, thread="t4"))
    assert "board" in among_those_concerned
    for alone in (
        replace(asked("", frozenset({EVERYONE}), thread="t4"), is_private=True),
        replace(asked("", frozenset({EVERYONE}), thread="t4"), addressed="direct"),
    ):
        assert "board" in await told(command, alone)


async def test_a_place_with_outsiders_is_told_of_no_source_that_is_only_for_the_team() -> None:
    outside = asked("", frozenset({"slack:C7"}), thread="t5")
    for command in ("status", "jobs", "sources"):
        assert not {"handbook", "board"} & set(re.findall(r"\w+", await told(command, outside)))
