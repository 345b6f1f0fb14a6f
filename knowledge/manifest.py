"""What is indexed, in SQL: documents, their chunks, and which of them are live.

Versions (`knowledge.versions`) are written dead and become live together, in the one transaction of `publish`;
`take_back` is the way back. Every transaction that changes what is live has a revision of its own. One that changes
nothing of that, only where files lie or why some failed, keeps the revision, and with it the way back.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from knowledge.chunking import Passage
from knowledge.documents import Chunk, Document, contextual_text, text_key
from knowledge.errors import IndexDamagedError
from knowledge.schema import chunks, documents, failures, index_state
from knowledge.versions import Failure, Publication, State, Version, chunk_id, version_id

_STATE_ID = 1
_IDS_PER_QUERY = 500
_JOINED = chunks.join(documents, documents.c.version == chunks.c.version)


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
        columns = [documents.c[field.name] for field in fields(Version)]
        with self._transaction() as connection:
            rows = connection.execute(select(*columns)).all()
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
                "key": text_key(contextual_text(document.title, passage.heading, passage.text)),
                "line": passage.line,
                "language": passage.language,
            }
            for passage in passages
        ]
        with self._transaction() as connection:
            connection.execute(insert(documents), row)
            if rows:
                connection.execute(insert(chunks), rows)

    def publish(self, publication: Publication) -> None:
        """Make a sync visible, all of it or nothing."""
        with self._transaction(reads_first=True) as connection:
            state = _state(connection)
            rows = connection.execute(select(documents.c.version, documents.c.source).where(documents.c.live))
            current: dict[str, set[str]] = {}
            for row in rows:
                current.setdefault(row.source, set()).add(row.version)
            going: set[str] = set()
            coming: set[str] = set()
            for source in publication.removed_sources:
                going |= current.get(source, set())
                connection.execute(delete(failures).where(failures.c.source == source))
            for source, wanted in publication.live.items():
                before = current.get(source, set())
                going |= before - wanted
                coming |= wanted - before
            for version, uri in publication.uris.items():
                connection.execute(update(documents).where(documents.c.version == version).values(uri=uri))
            for source, failed in publication.failures.items():
                connection.execute(delete(failures).where(failures.c.source == source))
                if failed:
                    connection.execute(insert(failures), [_failure_row(failure) for failure in failed])
            if going or coming or publication.generation != state.generation:
                _flip(connection, state, going=going, coming=coming)
                _set_state(connection, generation=publication.generation, embedder=publication.embedder)

    def take_back(self) -> None:
        """Undo the last revision as a new one, whose own way back leads to what was live until now."""
        with self._transaction(reads_first=True) as connection:
            state = _state(connection)
            came = select(documents.c.version).where(
                documents.c.live, documents.c.live_since == state.revision
            )
            went = select(documents.c.version).where(
                ~documents.c.live, documents.c.retired_in == state.revision
            )
            going = set(connection.execute(came).scalars())
            coming = set(connection.execute(went).scalars())
            _flip(connection, state, going=going, coming=coming)
            _set_state(connection, generation=state.previous_generation, embedder=state.previous_embedder)

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
        return self._find(ids, _chunk_query().where(documents.c.live))

    def find(self, ids: Iterable[str]) -> dict[str, Chunk]:
        """Those of the chunks that there are, live or not, by id."""
        return self._find(ids, _chunk_query())

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

    def ids(self, source: str, generation: str) -> set[str]:
        """The ids of a source's chunks in a generation, live or not: those that have vectors."""
        query = (
            select(chunks.c.id)
            .select_from(_JOINED)
            .where(documents.c.source == source, documents.c.generation == generation)
        )
        with self._transaction() as connection:
            return set(connection.execute(query).scalars())

    def counts(self) -> dict[tuple[str, str], int]:
        """For each source and generation the number of chunks, live or not; only where there are any."""
        query = (
            select(documents.c.source, documents.c.generation, func.count())
            .select_from(_JOINED)
            .group_by(documents.c.source, documents.c.generation)
        )
        with self._transaction() as connection:
            return {(source, generation): n for source, generation, n in connection.execute(query)}

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

    def _find(self, ids: Iterable[str], query: Select[Any]) -> dict[str, Chunk]:
        found: dict[str, Chunk] = {}
        with self._transaction() as connection:
            for page in _pages(ids):
                rows = connection.execute(query.where(chunks.c.id.in_(page)))
                found.update((row.id, _chunk(row)) for row in rows)
        return found

    @contextmanager
    def _transaction(self, *, reads_first: bool = False) -> Iterator[Connection]:
        """`reads_first`: it writes after reading; SQLite would refuse that when somebody else wrote in between."""
        engine = self._engine.execution_options(sqlite_begin="IMMEDIATE") if reads_first else self._engine
        try:
            with engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise IndexDamagedError(
                "The database with the list of documents cannot be read or written "
                f"({type(error).__name__}). Check its disk and permissions, and run `parley doctor`."
            ) from error


def _state(connection: Connection) -> State:
    columns = [index_state.c[field.name] for field in fields(State)]
    row = connection.execute(select(*columns)).one_or_none()
    return State(*row) if row else State()


def _set_state(connection: Connection, **values: object) -> None:
    if not connection.execute(update(index_state).values(**values)).rowcount:
        connection.execute(insert(index_state), {"id": _STATE_ID, **asdict(State()), **values})


def _flip(connection: Connection, state: State, *, going: AbstractSet[str], coming: AbstractSet[str]) -> None:
    """Begin a revision in which some versions are live no more, and others are."""
    revision = state.revision + 1
    for versions, values in (
        (going, {"live": False, "retired_in": revision}),
        (coming, {"live": True, "live_since": revision, "retired_in": None}),
    ):
        for page in _pages(sorted(versions)):
            connection.execute(update(documents).where(documents.c.version.in_(page)).values(**values))
    _set_state(
        connection,
        revision=revision,
        previous_generation=state.generation,
        previous_embedder=state.embedder,
    )


def _failure_row(failure: Failure) -> Mapping[str, object]:
    return {**asdict(failure), "failed_at": datetime.now(UTC)}


def _chunk_query() -> Select[Any]:
    return select(
        chunks,
        documents.c.id.label("document_id"),
        documents.c.source,
        documents.c.title,
        documents.c.uri,
        documents.c.metadata,
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
        line=row.line,
        language=row.language,
        metadata=row.metadata,
    )


def _pages(values: Iterable[str]) -> Iterator[list[str]]:
    """SQLite allows a limited number of parameters in one statement."""
    rest = list(values)
    for start in range(0, len(rest), _IDS_PER_QUERY):
        yield rest[start : start + _IDS_PER_QUERY]
