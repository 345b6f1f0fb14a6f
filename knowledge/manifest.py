"""What is indexed, in SQL: documents, their chunks, and which of them are live.

A version of a document is its content under one generation (embedding model, chunking, loaders). Versions are
written dead and become live together, in the one transaction of `publish`. The revision counts these
transactions.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from knowledge.chunking import Passage
from knowledge.documents import Chunk, Document
from knowledge.errors import IndexDamagedError
from knowledge.schema import chunks, documents, failures, index_state

_STATE_ID = 1
_IDS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class State:
    """The index as a whole."""

    revision: int = 0
    generation: str = ""
    """'' before the first sync has ended."""
    embedder: str = ""
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a document."""

    version: str
    id: str
    source: str
    path: str
    uri: str
    content_hash: str
    generation: str
    live: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be loaded; it is not tried again before its content or the loaders change."""

    document_id: str
    source: str
    path: str
    content_hash: str
    """'' when the file could not even be read."""
    loader_version: int
    reason: str


@dataclass(slots=True)
class Publication:
    """What becomes visible in one transaction."""

    generation: str
    embedder: str
    live: dict[str, set[str]] = field(default_factory=dict)
    """For each source the versions that are live from now on; a source that is missing here keeps its own."""
    uris: dict[str, str] = field(default_factory=dict)
    """New uri by version, for files that moved with their folder."""
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    """For each source all its failures."""
    removed_sources: set[str] = field(default_factory=set)


def version_id(document_id: str, content_hash: str, generation: str) -> str:
    """The same content under the same generation has the same version, so a crashed run can be continued."""
    return hashlib.sha256(f"{document_id}\0{content_hash}\0{generation}".encode()).hexdigest()[:32]


def chunk_id(version: str, position: int) -> str:
    """Unique over all versions."""
    return f"{version}-{position}"


class Manifest:
    """The queries; every method is one transaction. Raises IndexDamagedError when the database fails."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def state(self) -> State:
        """The current state; that of an empty index before the first sync."""
        with self._transaction() as connection:
            return _state(connection)

    def versions(self) -> list[Version]:
        """Every version there is, live or not."""
        names = ("version", "id", "source", "path", "uri", "content_hash", "generation", "live")
        with self._transaction() as connection:
            rows = connection.execute(select(*(documents.c[name] for name in names))).all()
        return [Version(*row) for row in rows]

    def failures(self) -> dict[str, Failure]:
        """The remembered failures by document id."""
        names = ("document_id", "source", "path", "content_hash", "loader_version", "reason")
        with self._transaction() as connection:
            rows = connection.execute(select(*(failures.c[name] for name in names))).all()
        return {row.document_id: Failure(*row) for row in rows}

    def begin(self) -> None:
        """Note that vectors are about to change."""
        with self._transaction() as connection:
            _set_state(connection, unfinished=True)

    def end(self) -> None:
        """Note that store and manifest agree."""
        with self._transaction() as connection:
            _set_state(connection, unfinished=False)

    def stage(
        self,
        document: Document,
        passages: Sequence[Passage],
        *,
        path: str,
        content_hash: str,
        generation: str,
    ) -> None:
        """Write a version that is not live yet; its vectors must be in the store already."""
        version = version_id(document.id, content_hash, generation)
        row = {
            "version": version,
            "id": document.id,
            "source": document.source,
            "path": path,
            "uri": document.uri,
            "title": document.title,
            "content_hash": content_hash,
            "generation": generation,
            "live": False,
            "metadata": document.metadata,
            "indexed_at": datetime.now(UTC),
        }
        rows = [
            {
                "id": chunk_id(version, passage.position),
                "version": version,
                "position": passage.position,
                "heading": passage.heading,
                "anchor": passage.anchor,
                "text": passage.text,
            }
            for passage in passages
        ]
        with self._transaction() as connection:
            connection.execute(insert(documents), row)
            if rows:
                connection.execute(insert(chunks), rows)

    def publish(self, publication: Publication) -> None:
        """Make a sync visible, all of it or nothing."""
        with self._transaction() as connection:
            rows = connection.execute(select(documents.c.version, documents.c.source).where(documents.c.live))
            current: dict[str, set[str]] = {}
            for row in rows:
                current.setdefault(row.source, set()).add(row.version)
            for source in publication.removed_sources:
                _set_live(connection, current.get(source, set()), live=False)
                connection.execute(delete(failures).where(failures.c.source == source))
            for source, wanted in publication.live.items():
                before = current.get(source, set())
                _set_live(connection, before - wanted, live=False)
                _set_live(connection, wanted - before, live=True)
            for version, uri in publication.uris.items():
                connection.execute(update(documents).where(documents.c.version == version).values(uri=uri))
            for source, failed in publication.failures.items():
                connection.execute(delete(failures).where(failures.c.source == source))
                if failed:
                    connection.execute(insert(failures), [_failure_row(failure) for failure in failed])
            _set_state(
                connection,
                revision=_state(connection).revision + 1,
                generation=publication.generation,
                embedder=publication.embedder,
            )

    def delete_versions(self, versions: Iterable[str]) -> None:
        """Forget versions and their chunks."""
        with self._transaction() as connection:
            for page in _pages(versions):
                connection.execute(delete(chunks).where(chunks.c.version.in_(page)))
                connection.execute(delete(documents).where(documents.c.version.in_(page)))

    def live_chunks(self) -> list[Chunk]:
        """Every live chunk."""
        with self._transaction() as connection:
            rows = connection.execute(_chunk_query().where(documents.c.live).order_by(chunks.c.id)).all()
        return [_chunk(row) for row in rows]

    def find_live(self, ids: Iterable[str]) -> dict[str, Chunk]:
        """Those of the chunks that are live, by id."""
        found: dict[str, Chunk] = {}
        with self._transaction() as connection:
            for page in _pages(ids):
                rows = connection.execute(_chunk_query().where(documents.c.live, chunks.c.id.in_(page)))
                found.update((row.id, _chunk(row)) for row in rows)
        return found

    def chunks_of(self, versions: Iterable[str]) -> list[Chunk]:
        """The chunks of some versions, live or not."""
        with self._transaction() as connection:
            return [
                _chunk(row)
                for page in _pages(versions)
                for row in connection.execute(_chunk_query().where(chunks.c.version.in_(page)))
            ]

    def chunk_ids(self, versions: Iterable[str]) -> dict[str, list[str]]:
        """For each version the ids of its chunks."""
        found: dict[str, list[str]] = {}
        with self._transaction() as connection:
            for page in _pages(versions):
                rows = connection.execute(
                    select(chunks.c.version, chunks.c.id).where(chunks.c.version.in_(page))
                )
                for row in rows:
                    found.setdefault(row.version, []).append(row.id)
        return found

    def live_ids(self, source: str) -> set[str]:
        """The ids of a source's live chunks."""
        joined = chunks.join(documents, documents.c.version == chunks.c.version)
        query = select(chunks.c.id).select_from(joined).where(documents.c.live, documents.c.source == source)
        with self._transaction() as connection:
            return set(connection.execute(query).scalars())

    def live_counts(self) -> dict[str, tuple[int, int]]:
        """For each source the numbers of live documents and chunks."""
        joined = documents.outerjoin(chunks, chunks.c.version == documents.c.version)
        query = (
            select(documents.c.source, func.count(documents.c.version.distinct()), func.count(chunks.c.id))
            .select_from(joined)
            .where(documents.c.live)
            .group_by(documents.c.source)
        )
        with self._transaction() as connection:
            return {source: (files, passages) for source, files, passages in connection.execute(query)}

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise IndexDamagedError(
                "The database with the list of documents cannot be read or written "
                f"({type(error).__name__}). Check its disk and permissions, and run `parley doctor`."
            ) from error


def _state(connection: Connection) -> State:
    names = ("revision", "generation", "embedder", "unfinished")
    row = connection.execute(select(*(index_state.c[name] for name in names))).one_or_none()
    return State(*row) if row else State()


def _set_state(connection: Connection, **values: object) -> None:
    if not connection.execute(update(index_state).values(**values)).rowcount:
        initial = {"id": _STATE_ID, "revision": 0, "generation": "", "embedder": "", "unfinished": False}
        connection.execute(insert(index_state), {**initial, **values})


def _set_live(connection: Connection, versions: AbstractSet[str], *, live: bool) -> None:
    for page in _pages(sorted(versions)):
        connection.execute(update(documents).where(documents.c.version.in_(page)).values(live=live))


def _failure_row(failure: Failure) -> Mapping[str, object]:
    return {**asdict(failure), "failed_at": datetime.now(UTC)}


def _chunk_query() -> Select[Any]:
    return select(
        chunks, documents.c.id.label("document_id"), documents.c.source, documents.c.title, documents.c.uri
    ).join(documents, documents.c.version == chunks.c.version)


def _chunk(row: Row[Any]) -> Chunk:
    return Chunk(
        id=row.id,
        document_id=row.document_id,
        source=row.source,
        position=row.position,
        title=row.title,
        heading=row.heading,
        uri=f"{row.uri}#{row.anchor}" if row.anchor else row.uri,
        text=row.text,
    )


def _pages(values: Iterable[str]) -> Iterator[list[str]]:
    """SQLite allows a limited number of parameters in one statement."""
    rest = list(values)
    for start in range(0, len(rest), _IDS_PER_QUERY):
        yield rest[start : start + _IDS_PER_QUERY]
