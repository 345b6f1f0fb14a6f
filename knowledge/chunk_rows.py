"""Rows of the manifest's tables as chunks, and what its queries have in common."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from knowledge.documents import Chunk
from knowledge.schema import chunks, documents

_MOST_PARAMETERS = 500
_MOST_PLACES = 50
"""Of one key; people are shown a few of them."""

JOINED = chunks.join(documents, documents.c.version == chunks.c.version)

CHUNKS: Select[Any] = select(
    chunks,
    documents.c.id.label("document_id"),
    documents.c.source,
    documents.c.title,
    documents.c.uri,
    documents.c.metadata,
    documents.c.live,
).select_from(JOINED)
"""What `chunk_of` needs, of chunks that are live or not."""

_HAS_KEY = chunks.c.key.in_(bindparam("keys", expanding=True))

_CHUNKS_BY_KEY = CHUNKS.where(_HAS_KEY)
"""Nothing else is asked for: with a condition on the documents SQLite goes through all of them first, which takes ten
times as long."""

_CROWDED_KEYS = (
    select(chunks.c.key).where(_HAS_KEY).group_by(chunks.c.key).having(func.count() > _MOST_PLACES)
)
"""The keys of many chunks, live or not: a footer of thousands of pages. Read from the index alone."""

_PLACES_BY_KEY: Select[Any] = (
    select(
        documents.c.uri,
        chunks.c.position,
        chunks.c.id,
        chunks.c.key,
        documents.c.source,
        documents.c.metadata,
        chunks.c.version,
        documents.c.live,
    )
    .select_from(JOINED)
    .where(_HAS_KEY)
)
"""What `_some_places` needs, so that rows sort in `place_order`."""


def chunk_of(row: Row[Any]) -> Chunk:
    """The chunk that a row of `CHUNKS` describes."""
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
        key=row.key,
    )


def place_order(row: Row[Any]) -> tuple[str, int, str]:
    """By uri and position."""
    return row.uri, row.position, row.id


def rows_of_keys(
    connection: Connection, keys: Iterable[str], *, is_wanted: Callable[[Row[Any]], bool]
) -> list[Row[Any]]:
    """The rows for `chunk_of` of these keys that are wanted, in any order.

    Of a key that stands in very many places it is the first fifty, and one of each source, day and set of tags beside
    them: whatever filter admits any place admits one of these.
    """
    rows: list[Row[Any]] = []
    for page in pages(keys):
        crowded = set(connection.execute(_CROWDED_KEYS, {"keys": page}).scalars())
        others = [key for key in page if key not in crowded]
        rows += filter(is_wanted, connection.execute(_CHUNKS_BY_KEY, {"keys": others}))
        if crowded:
            places = connection.execute(_PLACES_BY_KEY, {"keys": sorted(crowded)})
            for ids in pages(_some_places(filter(is_wanted, places))):
                rows += connection.execute(CHUNKS.where(chunks.c.id.in_(ids)))
    return rows


def grouped(pairs: Iterable[Sequence[str]]) -> dict[str, set[str]]:
    """The second values by the first."""
    found: dict[str, set[str]] = {}
    for group, member in pairs:
        found.setdefault(group, set()).add(member)
    return found


def pages(values: Iterable[str]) -> Iterator[list[str]]:
    """The values in lists that one statement can have as parameters: SQLite limits them."""
    rest = list(values)
    for start in range(0, len(rest), _MOST_PARAMETERS):
        yield rest[start : start + _MOST_PARAMETERS]


def _some_places(rows: Iterable[Row[Any]]) -> list[str]:
    """Of all places of crowded keys the ids of those that `rows_of_keys` gives."""
    counts: Counter[str] = Counter()
    kinds: set[tuple[str, ...]] = set()
    ids: list[str] = []
    for _, _, id_, key, source, metadata, *_ in sorted(map(tuple, rows)):
        kind = (key, source, metadata.get("date", "")[:10], metadata.get("tags", ""))
        if counts[key] < _MOST_PLACES or kind not in kinds:
            ids.append(id_)
        counts[key] += 1
        kinds.add(kind)
    return ids
