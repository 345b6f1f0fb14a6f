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

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from knowledge.chunk_rows import CHUNKS, JOINED, chunk_of, grouped, pages, place_order, rows_of_keys
from knowledge.chunking import Passage
from knowledge.documents import Chunk, Document, contextual_text
from knowledge.errors import IndexDamagedError
from knowledge.schema import chunks, documents, failures, index_state
from knowledge.versions import Failure, Publication, State, Version, chunk_id, version_id

_STATE_ID = 1


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

    def count_restore(self) -> None:
        """Note that vectors were put back which the store had lost."""
        with self._transaction(reads_first=True) as connection:
            _set_state(connection, restores=_state(connection).restores + 1)

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
                "key": passage.key(document.title),
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
            for page in pages(versions):
                connection.execute(delete(chunks).where(chunks.c.version.in_(page)))
                connection.execute(delete(documents).where(documents.c.version.in_(page)))

    def live_chunks(self) -> list[Chunk]:
        """Every live chunk."""
        with self._transaction() as connection:
            rows = connection.execute(CHUNKS.where(documents.c.live).order_by(chunks.c.id)).all()
        return [chunk_of(row) for row in rows]

    def live_keys(self) -> dict[str, set[str]]:
        """For each source the keys of its live chunks."""
        query = select(documents.c.source, chunks.c.key).select_from(JOINED).where(documents.c.live)
        with self._transaction() as connection:
            return grouped(connection.execute(query.distinct()))

    def described(
        self, sources: AbstractSet[str], *, versions: AbstractSet[str] | None = None
    ) -> dict[str, tuple[str, dict[str, str]]]:
        """By live version of those sources its source and metadata; with `versions` those of these, live or not."""
        query = select(documents.c.version, documents.c.source, documents.c.metadata)
        query = query.where(documents.c.source.in_(sources))
        if versions is None:
            query = query.where(documents.c.live)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return {one: (source, about) for one, source, about in rows if versions is None or one in versions}

    def find_keys(
        self, keys: Iterable[str], *, sources: AbstractSet[str], versions: AbstractSet[str] | None = None
    ) -> dict[str, list[Chunk]]:
        """By key the live chunks of those sources in order of uri and position; only keys that have any.

        With `versions` it is the chunks of these instead, live or not. Of a key that stands in very many places it is
        some of the chunks, see `rows_of_keys`.
        """

        def is_wanted(row: Row[Any]) -> bool:
            return row.source in sources and (row.live if versions is None else row.version in versions)

        found: dict[str, list[Chunk]] = {}
        with self._transaction() as connection:
            for row in sorted(rows_of_keys(connection, keys, is_wanted=is_wanted), key=place_order):
                found.setdefault(row.key, []).append(chunk_of(row))
        return found

    def chunks_of(self, versions: Iterable[str]) -> list[Chunk]:
        """The chunks of some versions, live or not."""
        with self._transaction() as connection:
            return [
                chunk_of(row)
                for page in pages(versions)
                for row in connection.execute(CHUNKS.where(chunks.c.version.in_(page)))
            ]

    def version_keys(self, versions: Iterable[str]) -> dict[str, set[str]]:
        """For each version the keys of its chunks; only where there are any."""
        query = select(chunks.c.version, chunks.c.key)
        with self._transaction() as connection:
            return grouped(
                row
                for page in pages(versions)
                for row in connection.execute(query.where(chunks.c.version.in_(page)))
            )

    def keys(self, source: str, generation: str) -> set[str]:
        """The keys of a source's chunks in a generation, live or not: those that have vectors."""
        query = select(chunks.c.key).select_from(JOINED)
        query = query.where(documents.c.source == source, documents.c.generation == generation)
        with self._transaction() as connection:
            return set(connection.execute(query.distinct()).scalars())

    def holders(self, keys: Iterable[str], generation: str) -> dict[str, set[str]]:
        """By key the sources that have a chunk of it in a generation, live or not; only keys that have any."""
        query = select(chunks.c.key, documents.c.source).select_from(JOINED)
        query = query.where(documents.c.generation == generation)
        with self._transaction() as connection:
            return grouped(
                row for page in pages(keys) for row in connection.execute(query.where(chunks.c.key.in_(page)))
            )

    def texts(self, keys: Iterable[str], *, source: str, generation: str) -> dict[str, str]:
        """By key what is embedded for it, of a source's chunks in a generation, live or not."""
        query = CHUNKS.where(documents.c.source == source, documents.c.generation == generation)
        with self._transaction() as connection:
            return {
                row.key: contextual_text(row.title, row.heading, row.text)
                for page in pages(keys)
                for row in connection.execute(query.where(chunks.c.key.in_(page)))
            }

    def key_counts(self) -> dict[tuple[str, str], int]:
        """For each source and generation the number of keys, live or not; only where there are any."""
        query = (
            select(documents.c.source, documents.c.generation, func.count(chunks.c.key.distinct()))
            .select_from(JOINED)
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
        for page in pages(sorted(versions)):
            connection.execute(update(documents).where(documents.c.version.in_(page)).values(**values))
    _set_state(
        connection,
        revision=revision,
        previous_generation=state.generation,
        previous_embedder=state.embedder,
    )


def _failure_row(failure: Failure) -> Mapping[str, object]:
    return {**asdict(failure), "failed_at": datetime.now(UTC)}
