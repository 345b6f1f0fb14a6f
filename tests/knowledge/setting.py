"""An index over a folder, with everything in memory but the folder and the lock; and a store that dies when told to."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from knowledge.candidate import Gate
from knowledge.chunking import ChunkSettings
from knowledge.embedding import Vectors
from knowledge.index import Index
from knowledge.lexical import Lexical
from knowledge.manifest import Manifest
from knowledge.planning import SyncReport
from knowledge.retriever import Retriever
from knowledge.rollback import Rollback
from knowledge.schema import metadata
from knowledge.sources import FolderSource, Source
from knowledge.versions import Version, collection_name
from tests.knowledge.fakes import HashingEmbedder, MemoryStore

EVERYONE = frozenset({"everyone"})
SETTINGS = ChunkSettings(capacity=40, minimum=5)


def memory_engine() -> Engine:
    """A SQLite database in memory with the manifest's tables."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    metadata.create_all(engine)
    return engine


class Setting:
    """An index over a folder, with everything in memory but the folder and the lock."""

    def __init__(self, root: Path, *, engine: Engine | None = None, store: MemoryStore | None = None) -> None:
        self.root = root
        self.engine = engine or memory_engine()
        self.store = store or MemoryStore()
        self.embedder = HashingEmbedder()
        self.settings = SETTINGS
        self.sources: list[Source] = [FolderSource("docs", root, EVERYONE)]
        self.paused: frozenset[str] = frozenset()

    @property
    def manifest(self) -> Manifest:
        return Manifest(self.engine)

    @property
    def index(self) -> Index:
        return Index(self.engine, self.store, self.embedder, self.settings, self.root.parent / "index.lock")

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.root / f"{name}.md").write_text(text)

    def sync(self, *, only: str | None = None, dry_run: bool = False, gate: Gate | None = None) -> SyncReport:
        return self.index.sync(self.sources, only=only, paused=self.paused, dry_run=dry_run, gate=gate)

    def rollback(self, *, dry_run: bool = False) -> Rollback:
        return self.index.rollback(dry_run=dry_run)

    def search(self, query: str, *, sources: Sequence[str] = ("docs",)) -> list[tuple[str, str, float]]:
        retriever = Retriever(self.manifest, self.store, self.embedder, Lexical())
        hits = retriever.search(query, sources=frozenset(sources), top_k=8)
        return [(hit.chunk.uri, hit.chunk.contextual_text, round(hit.score, 6)) for hit in hits]

    def texts(self) -> list[str]:
        """What people find, a text for each passage."""
        return sorted(chunk.text for chunk in self.manifest.live_chunks())

    def vectors(self) -> set[tuple[str, str]]:
        """What the store has: collections and keys."""
        return {(name, key) for name, keys in self.store.data.items() for key in keys}

    def kept(self) -> set[tuple[str, str]]:
        """What there should be vectors of: all that is live or that a rollback would bring back."""
        revision = self.manifest.state().revision
        return self.promised(version for version in self.manifest.versions() if version.is_kept(revision))

    def promised(self, versions: Iterable[Version]) -> set[tuple[str, str]]:
        """What these versions need in the store."""
        names = {one.version: collection_name(one.generation, one.source) for one in versions}
        chunks = self.manifest.chunks_of(names)
        return {(names[chunk.id.rpartition("-")[0]], chunk.key) for chunk in chunks}


class CrashError(Exception):
    """The process dies here."""


class CrashingStore(MemoryStore):
    """Dies before or after the n-th write, of its own or of the database that has been given to `crash_on_writes`."""

    def __init__(self) -> None:
        super().__init__()
        self.fuse: int | None = None

    def burn(self) -> None:
        """Called before and after each write."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise CrashError

    def add(self, collection: str, ids: Sequence[str], vectors: Vectors) -> None:
        self.burn()
        super().add(collection, ids, vectors)
        self.burn()

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        self.burn()
        super().delete(collection, ids)
        self.burn()

    def drop(self, collection: str) -> None:
        self.burn()
        super().drop(collection)
        self.burn()


def crash_on_writes(engine: Engine, store: CrashingStore) -> None:
    """Statements that write to the database burn the store's fuse too; the transaction they die in is lost."""

    def burn(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            store.burn()

    event.listen(engine, "before_cursor_execute", burn)
