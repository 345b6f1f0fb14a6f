"""Narrowing a search down to some sources, tags and days.

What a filter leaves out is left out before anything is ranked. It only ever takes away: who may see a source is decided
before, in `knowledge.access`.
"""

from dataclasses import dataclass
from datetime import date

from knowledge.documents import Chunk


@dataclass(frozen=True, slots=True)
class Filter:
    """What a chunk must be like; the empty filter lets everything through."""

    sources: frozenset[str] = frozenset()
    """Names; empty: any."""
    tags: frozenset[str] = frozenset()
    """All of which the document must have, in lower case."""
    after: date | None = None
    """The first day that counts. A document without a date is left out by either bound."""
    before: date | None = None
    """The first day that does not count any more."""

    def admits(self, chunk: Chunk) -> bool:
        """Whether the chunk is searched."""
        if self.sources and chunk.source not in self.sources:
            return False
        if self.tags and not self.tags <= tags_of(chunk):
            return False
        if self.after is None and self.before is None:
            return True
        day = date_of(chunk)
        return (
            day is not None
            and (self.after is None or day >= self.after)
            and (self.before is None or day < self.before)
        )


def tags_of(chunk: Chunk) -> frozenset[str]:
    """Of its document, in lower case."""
    tags = (tag.strip().casefold() for tag in chunk.metadata.get("tags", "").split(","))
    return frozenset(tag for tag in tags if tag)


def date_of(chunk: Chunk) -> date | None:
    """The day of its document's last change; None when that is not known."""
    try:
        return date.fromisoformat(chunk.metadata.get("date", "")[:10])
    except ValueError:
        return None
