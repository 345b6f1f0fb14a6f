"""Documents to passages: along headings first, then along blocks, inside a block only where it is too large.

Deterministic and without side effects. A passage's text is the document's, word for word, without the heading
lines. The exceptions: a table that had to be split repeats its header and a code block its fence; sections
too short to stand alone are joined and keep their heading lines. Nothing but heading lines, comments and
template tags is ever left out.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import PurePosixPath

from tokenizers import Tokenizer

from knowledge.documents import HEADING_SEPARATOR, Document, contextual_text, text_key
from knowledge.language import document_language, passage_language
from knowledge.markdown import Heading, outline
from knowledge.packing import Packer, Piece

CHUNKER_VERSION = 3
"""Part of the index's generation: raise it when the same text gives other chunks."""

_LINES_PER_BREAK = 2
_SLUGGED_TYPES = frozenset({".md", ".markdown"})


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """Sizes in tokens of the embedding model; part of the index's generation."""

    capacity: int = 200
    """Most tokens of a chunk's text. Title and headings come on top; all-MiniLM-L6-v2 reads 256 in all."""
    minimum: int = 25
    """A section with fewer tokens is joined with the next one when both fit."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same document could give other chunks."""
        return f"v{CHUNKER_VERSION}-{self.capacity}-{self.minimum}"


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that does not know its document yet; the fields are those of `Chunk`."""

    position: int
    heading: str
    anchor: str
    """What follows `#` in the link to the passage: a heading's slug, `page=3`, or ''."""
    text: str
    line: int = 0
    """See `Chunk.line`."""
    language: str = ""
    """See `Chunk.language`."""

    def contextual_text(self, title: str) -> str:
        """See `Chunk.contextual_text`; in a document of that title."""
        return contextual_text(title, self.heading, self.text)

    def key(self, title: str) -> str:
        """See `Chunk.key`; in a document of that title."""
        return text_key(self.contextual_text(title), language=self.language)


@dataclass(frozen=True, slots=True)
class _Section:
    """A heading with the blocks up to the next heading, or several such sections joined."""

    path: tuple[str, ...]
    """The headings above, without the one that is the document's title."""
    anchor: str
    heading: Piece | None
    """The heading's lines, needed when the section is joined to another one."""
    pieces: tuple[Piece, ...]
    is_joined: bool = False
    introduced: "_Section | None" = None
    """Whose passages follow, when only the first passage has room for the short section before it."""

    @property
    def tokens(self) -> int:
        return sum(piece.tokens for piece in self.pieces)


class Chunker:
    """Cuts documents into passages of at most `settings.capacity` tokens of `tokenizer`."""

    def __init__(self, tokenizer: Tokenizer, settings: ChunkSettings) -> None:
        """`tokenizer` must neither truncate nor pad. Building a chunker costs 0.1 s: keep it."""
        self._settings = settings
        self._packer = Packer(tokenizer, capacity=settings.capacity, minimum=settings.minimum)

    def passages(self, document: Document) -> list[Passage]:
        """The document's passages in order. Only a single token may be larger than the capacity."""
        text, page_starts = _without_page_breaks(document.text)
        page_of = partial(bisect_right, page_starts)
        language = document_language(document.text)
        has_slugs = PurePosixPath(document.uri).suffix.lower() in _SLUGGED_TYPES
        sections = list(self._joined(self._sections(text, title=document.title, has_slugs=has_slugs)))
        packed = self._packer.pack_all([section.pieces for section in sections])
        found = [
            (section.introduced if number and section.introduced else section, piece)
            for section, pieces in zip(sections, packed, strict=True)
            for number, piece in enumerate(pieces)
        ]
        return [
            Passage(
                position=position,
                heading=HEADING_SEPARATOR.join(section.path),
                anchor=f"page={page_of(piece.line)}" if len(page_starts) > 1 else _anchor(section, piece),
                text=piece.text.strip("\n"),
                line=piece.line + 1 - _LINES_PER_BREAK * (page_of(piece.line) - 1),
                language=passage_language(piece.text, document=language),
            )
            for position, (section, piece) in enumerate(found)
        ]

    def _sections(self, text: str, *, title: str, has_slugs: bool) -> list[_Section]:
        lines = text.split("\n")
        headings, blocks = outline(text)
        bounds = [Heading(level=0, text="", anchor="", start=0, end=0), *headings]
        ends = [*(heading.start for heading in headings), len(lines)]
        heading_pieces = self._packer.heading_pieces(lines, [(h.start, h.end) for h in bounds])
        bodies = self._packer.pieces(
            lines, [(h.end, end) for h, end in zip(bounds, ends, strict=True)], blocks
        )
        used_slugs: dict[str, int] = {}
        above: list[Heading] = []
        sections: list[_Section] = []
        for index, (heading, line, pieces) in enumerate(zip(bounds, heading_pieces, bodies, strict=True)):
            while above and above[-1].level >= heading.level:
                above.pop()
            above.append(heading)
            anchor = heading.anchor
            if has_slugs and heading.level and not anchor:
                anchor = _unique(slug(heading.text), used_slugs)
            path = tuple(h.text for h in above if h.text and not (h.level == 1 and h.text == title))
            is_leaf = index + 1 == len(bounds) or bounds[index + 1].level <= heading.level
            if pieces:
                sections.append(_Section(path, anchor, line, tuple(pieces)))
            elif line and is_leaf:  # nothing stands below this heading: it is the text itself
                sections.append(_Section(path, anchor, None, (line,)))
        return sections

    def _joined(self, sections: list[_Section]) -> Iterator[_Section]:
        waiting: _Section | None = None
        for section in sections:
            joined = _join(waiting, section) if waiting and waiting.tokens < self._settings.minimum else None
            if joined and joined.tokens <= self._settings.capacity:
                waiting = joined
                continue
            if joined:
                waiting, section = None, _introduce(joined, section)  # noqa: PLW2901 - it takes the section's place
            if waiting:
                yield waiting
            waiting = section
        if waiting:
            yield waiting


def slug(heading: str) -> str:
    """The anchor GitHub gives a heading, see https://github.com/Flet/github-slugger."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _unique(anchor: str, used: dict[str, int]) -> str:
    unique = anchor
    while unique in used:
        used[anchor] += 1
        unique = f"{anchor}-{used[anchor]}"
    used[unique] = 0
    return unique


def _anchor(section: _Section, piece: Piece) -> str:
    """The section's; of the parts that long code is cut into each has its own line."""
    code = section.pieces[0]
    if piece.line > code.line and code.kind == "fence" and re.fullmatch(r"L\d+", section.anchor):
        opening = 1
        return f"L{int(section.anchor[1:]) + piece.line - code.line - opening}"
    return section.anchor


def _join(first: _Section, second: _Section) -> _Section | None:
    """Both as one under the heading they share; None unless they are siblings or parent and child."""
    parent = second.path[:-1]
    if first.path == parent:
        path = first.path
    elif not first.is_joined and first.path and first.path[:-1] == parent:
        path = parent
    else:
        return None
    pieces = [*first.pieces, *second.pieces]
    if second.heading and second.path != path:
        pieces.insert(len(first.pieces), second.heading)
    if first.heading and first.path != path:
        pieces.insert(0, first.heading)
    return _Section(
        path, first.anchor, first.heading if first.path == path else None, tuple(pieces), is_joined=True
    )


def _introduce(joined: _Section, section: _Section) -> _Section:
    """A short section before a large one: its text goes into the large one's first passage."""
    opening = joined.pieces[: len(joined.pieces) - len(section.pieces)]
    text = "".join(piece.text for piece in opening)
    line = Piece(text, sum(piece.tokens for piece in opening), opening[0].line, "heading")
    return replace(joined, pieces=(line, *section.pieces), introduced=section)


def _without_page_breaks(text: str) -> tuple[str, list[int]]:
    """Form feeds become blank lines; the second value holds the line on which each page starts."""
    pages = text.split("\f")
    starts = accumulate((page.count("\n") + _LINES_PER_BREAK for page in pages), initial=0)
    return ("\n" * _LINES_PER_BREAK).join(pages), list(starts)[:-1]
