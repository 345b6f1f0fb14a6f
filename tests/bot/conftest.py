"""A small library in memory: three passages, a hashing embedder and the words' own statistics; and a database."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot import tables
from bot.administration.channel import channel_commands
from bot.administration.status import Status, status_command
from bot.administration.stop import stop_command
from bot.attachments import cut
from bot.commands import Commands
from bot.database import migrate, open_database
from bot.messages import IncomingMessage
from bot.places import Places
from feedback.store import FeedbackStore
from knowledge.chunking import Chunker, ChunkSettings
from knowledge.documents import Chunk, Hit
from knowledge.filters import EVERYTHING, Filter
from tests.knowledge.fakes import HashingEmbedder
from tests.postgres import database_url, postgres_url

__all__ = ["database_url", "postgres_url"]

TRAVEL = """\
The company pays for hotels up to a limit.

| City | Limit per night |
|---|---|
| Munich | 160 EUR |
| Vienna | 148 EUR |

Receipts must be handed in within 30 days. Alcohol is not reimbursed."""
LEAVE = "Full-time employees get 28 days of paid leave a year. Part-time employees get leave in proportion."
VPN = "Start the tunnel with `nestctl up`. Ask help@nest.example when it does not connect."


class Words:
    """A vocabulary without stems."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._frequency = Counter(word for text in texts for word in set(self.analyse(text)))
        self.document_count = len(texts)

    def analyse(self, text: str, *, language: str = "") -> list[str]:
        return re.findall(r"\w+", text.casefold())

    def corrected(self, query: str) -> str:
        return query

    def document_frequency(self, terms: Sequence[str]) -> Mapping[str, int]:
        return {term: self._frequency[term] for term in terms}


class FakeSearch:
    """Ranks every passage by the words it shares with the query; satisfies `bot.findings.Search`."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self.chunks = chunks
        self.embedder = HashingEmbedder(dimension=256)
        self.vocabulary = Words([chunk.contextual_text for chunk in chunks])
        self.source_tags: dict[str, frozenset[str]] = {}
        self.queries: list[str] = []
        self._chunker = Chunker(self.embedder.tokenizer, ChunkSettings(capacity=60, minimum=2))

    def search(
        self, query: str, *, sources: frozenset[str], top_k: int, where: Filter = EVERYTHING
    ) -> list[Hit]:
        self.queries.append(query)
        chunks = [chunk for chunk in self.chunks if chunk.source in sources and where.admits(chunk)]
        if not chunks:
            return []
        vectors = self.embedder.embed_queries([query, *(chunk.contextual_text for chunk in chunks)])
        similarities = vectors[1:] @ vectors[0]
        hits = [Hit(chunk, float(s), float(s)) for chunk, s in zip(chunks, similarities, strict=True)]
        return sorted(hits, key=lambda hit: -hit.score)[:top_k]

    def vocabulary_of(self, sources: frozenset[str]) -> Words:
        return Words([chunk.contextual_text for chunk in self.chunks if chunk.source in sources])

    def cut(self, name: str, text: str) -> list[Chunk]:
        return cut(self._chunker, name, text)


def chunk(name: str, text: str, *, source: str = "handbook") -> Chunk:
    return Chunk(f"{name}-0", name, source, 0, name.capitalize(), "", f"{name}.md", text)


@pytest.fixture
def search() -> FakeSearch:
    return FakeSearch([chunk("travel", TRAVEL), chunk("leave", LEAVE), chunk("vpn", VPN)])


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """A database with the tables of the durable core."""
    made = open_database(database_url)
    tables.metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    """Where turns are kept, in a database that was migrated as a real one is."""
    made = open_database(f"sqlite:///{tmp_path / 'parley.db'}")
    migrate(made)
    yield FeedbackStore(made)
    made.dispose()


def make_commands(engine: sa.Engine) -> Commands:
    """The commands, on a desk that has nothing to stop."""

    async def status() -> Status:
        return Status(model="scripted", waiting=0)

    async def stop(_: IncomingMessage) -> bool:
        return False

    channel = channel_commands(Places(engine), source_names=lambda: ["handbook"], visible_to={})
    return Commands([status_command(status, visible_to={}), stop_command(stop), *channel])
