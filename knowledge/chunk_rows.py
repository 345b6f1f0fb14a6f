"""Rows of the manifest's tables as chunks, and what its queries have in common."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, select

from knowledge.documents import Chunk
from knowledge.schema import chunks, documents

_MOST_PARAMETERS = 500

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

CHUNKS_BY_KEY = CHUNKS.where(chunks.c.key.in_(bindparam("keys", expanding=True)))
"""Nothing else is asked for: with a condition on the documents SQLite goes through all of them first, which takes ten
times as long."""


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
