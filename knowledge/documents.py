"""The nouns of the knowledge layer."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

HEADING_SEPARATOR = " › "


@dataclass(frozen=True, slots=True)
class Document:
    """One file or page, turned into Markdown text."""

    id: str
    """Stable over edits: made from the source's name and the path within the source."""
    source: str
    title: str
    uri: str
    """Where a person opens it: an absolute path or a URL."""
    text: str
    metadata: dict[str, str] = field(default_factory=dict)
    """What is known about it. Keys that are understood: `date` (of the last change; ISO 8601, a day or a moment),
    `author`, `tags` (separated by commas)."""


@dataclass(frozen=True)
class Chunk:
    """A passage of a document, small enough to be embedded whole."""

    id: str
    document_id: str
    source: str
    position: int
    """0-based order within the document."""
    title: str
    """The document's title."""
    heading: str
    """The headings above the passage, outermost first, joined by ' › '; empty when there are none."""
    uri: str
    """The document's uri, with the heading's anchor (`#slug`) where the format has anchors."""
    text: str
    """Markdown, word for word as in the document, without the heading lines."""
    line: int = 0
    """Where it begins in the document's text, counted from 1; 0 when that is not known."""
    language: str = ""
    """ISO 639-1; '' when it is not known."""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The document's, see `Document.metadata`."""
    key: str = ""
    """The same for all chunks that are embedded and searched as the same text in the same language: what the indexes
    know them by. Made of these unless it is given, as for chunks that have been indexed."""

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", text_key(self.contextual_text, language=self.language))

    @property
    def context(self) -> str:
        """Title and headings in one line: what the passage is about when it does not say so itself."""
        return _context(self.title, self.heading)

    @property
    def contextual_text(self) -> str:
        """What is embedded and searched: the passage under its title and headings."""
        return contextual_text(self.title, self.heading, self.text)


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found for a query."""

    chunk: Chunk
    score: float
    """Higher is better, always; comparable within one search only."""
    similarity: float
    """Cosine of query and chunk, -1 to 1; comparable between searches with one embedding model."""
    copies: tuple[Chunk, ...] = ()
    """Other chunks of the searched sources that say the same: the other places where it stands."""


def text_key(contextual_text: str, *, language: str) -> str:
    """See `Chunk.key`; 32 hexadecimal digits. The same letters in two languages are words of other stems."""
    return hashlib.sha256(f"{language}\0{contextual_text}".encode()).hexdigest()[:32]


def contextual_text(title: str, heading: str, text: str) -> str:
    """See `Chunk.contextual_text`; for passages that are not chunks yet."""
    return f"{_context(title, heading)}\n{text}"


def _context(title: str, heading: str) -> str:
    return f"{title}{HEADING_SEPARATOR}{heading}" if heading else title
