"""Markdown cut into pieces of limited length, each valid by itself.

Cuts fall between blocks where that is possible; within a block only when it alone is longer than a piece, and then
between list items, rows, lines of code, sentences, words, in this order. No word is lost. What is: the indentation of
the rest of a list item that was cut, and the form of what is nested too deep for its length. A reference link loses
its target when the definition ends up in another piece; emphasis that is cut shows its markers.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from markdown_it.token import Token

from adapters.markup import as_text, lines_of, parse

_DEEPEST = 10
"""Levels of lists and quotes within each other; what is nested deeper and too long becomes one paragraph."""
_NARROWEST = 4
"""Characters of a line of code, the least that is worth a fence."""
SHORTEST = 50
"""Characters; below this a piece has no room for fences and a table's header."""

_MARKER = re.compile(r" {0,3}(?:[-+*]|\d{1,9}[.)])(?: {1,4}(?=\S)| |$)")
_QUOTE = re.compile(r" {0,3}> ?")
_ATOM = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)|!?\[[^\[\]]*\]\([^()\s]*\)|<[^<>\s]+>", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？:;])\s+|(?<=[.!?…][\"')\]*_])\s+|\s*\n\s*")


@dataclass(frozen=True, slots=True)
class _Room:
    """How much a piece may hold: `limit` characters, of which each line gives `pad` to a prefix."""

    limit: int
    pad: int = 0
    depth: int = 0

    def holds(self, text: str) -> bool:
        return len(text) + self.pad * (text.count("\n") + 1) <= self.limit

    def less(self, characters: int) -> "_Room":
        return replace(self, limit=self.limit - characters)

    def indented(self, width: int) -> "_Room | None":
        """Inside a list item or quote; None when it is nested too deep for that."""
        pad = self.pad + width
        fits = pad * 4 < self.limit and self.limit - pad >= SHORTEST // 2 and self.depth < _DEEPEST
        return replace(self, pad=pad, depth=self.depth + 1) if fits else None

    @property
    def line(self) -> int:
        """Characters of a text in one line."""
        return self.limit - self.pad


@dataclass(frozen=True, slots=True)
class _Part:
    """What is not cut any further."""

    text: str
    glue: str
    """What stands before it unless a piece begins here."""
    is_heading: bool = False
    is_prose: bool = False
    """Cut out of a paragraph: must not become a heading or a list where a piece begins with it."""


@dataclass(frozen=True, slots=True)
class _Block:
    lines: list[str]
    kind: str
    gap: int
    """Line ends before it."""
    token: Token | None
    items: list[int]
    """In a list: which of the lines begin an item."""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def split(markdown: str, *, limit: int) -> list[str]:
    """Pieces of at most `limit` characters, none of them blank; a text that fits comes back unchanged.

    Raises ValueError when `limit` is below SHORTEST.
    """
    if limit < SHORTEST:
        raise ValueError(f"limit is {limit}; a piece needs at least {SHORTEST} characters")
    if not markdown.strip():
        return []
    if len(markdown) <= limit:
        return [markdown]
    return _pieces(lines_of(markdown), _Room(limit))


def _pieces(lines: list[str], room: _Room) -> list[str]:
    """As many parts in each piece as it holds; a heading goes with what follows it."""
    pieces: list[str] = []
    current: list[_Part] = []
    for part in _parts(lines, room):
        if not current or room.holds(_joined([*current, part])):
            current.append(part)
            continue
        end = len(current)
        while end and current[end - 1].is_heading and room.holds(_joined([*current[end - 1 :], part])):
            end -= 1
        pieces.append(_joined(current[:end]))
        current = [*current[end:], part]
    return [*pieces, _joined(current)]


def _joined(parts: Sequence[_Part]) -> str:
    if not parts:
        return ""
    first = as_text(parts[0].text) if parts[0].is_prose else parts[0].text
    return "".join([first, *(part.glue + part.text for part in parts[1:])])


def _parts(lines: list[str], room: _Room) -> Iterator[_Part]:
    lead = 0
    was_cut = False
    for block in _blocks(lines):
        glue = "\n" * max(block.gap, 2 if was_cut else 1)
        is_heading = block.kind == "heading_open"
        was_cut = not room.holds(block.text)
        if was_cut:
            cut = _CUTS.get(block.kind, _cut_paragraph)
            inner = room.less(lead) if lead * 2 < room.limit and room.limit - lead >= SHORTEST else room
            for part in cut(block, inner):
                yield replace(part, glue=glue) if glue else part
                glue = ""
        else:
            yield _Part(block.text, glue, is_heading=is_heading)
        lead = len(block.text) + 2 + room.pad * 2 if is_heading else 0


def _blocks(lines: list[str]) -> Iterator[_Block]:
    """The top-level blocks without blank lines around; definitions of links, which have no token, as paragraphs."""
    tokens = [
        (token, token.map[0], token.map[1])
        for token in parse(lines)
        if token.map is not None and token.nesting >= 0
    ]
    spans: list[tuple[Token | None, int, int]] = []
    end = 0
    for token, start, stop in tokens:
        if token.level == 0:
            spans += [(None, end, start), (token, start, stop)]
            end = stop
    spans.append((None, end, len(lines)))
    items = [start for token, start, _ in tokens if token.type == "list_item_open" and token.level == 1]
    end = 0
    for token_or_none, start, stop in spans:
        filled = [number for number in range(start, stop) if lines[number].strip()]
        if filled:
            first, gap, end = filled[0], filled[0] - end + 1, filled[-1] + 1
            inside = [item - first for item in items if first <= item < end]
            kind = "paragraph_open" if token_or_none is None else token_or_none.type
            yield _Block(lines[first:end], kind, gap, token_or_none, inside)


def _cut_list(block: _Block, room: _Room) -> Iterator[_Part]:
    was_cut = False
    for start, end in pairwise([*block.items, len(block.lines)]):
        item = block.lines[start:end]
        loose = was_cut or not block.lines[start - 1].strip()
        while not item[-1].strip():
            item.pop()
        glue = "\n\n" if loose else "\n"
        if room.holds("\n".join(item)):
            was_cut = False
            yield _Part("\n".join(item), glue)
            continue
        was_cut = True
        yield from _cut_item(item, glue, room)


def _cut_item(item: list[str], glue: str, room: _Room) -> Iterator[_Part]:
    """The marker stands before the first piece; the others are no longer indented."""
    item = [line.expandtabs(4) for line in item]
    marker = found[0] if (found := _MARKER.match(item[0])) else ""
    indent = " " * len(marker)
    inner = room.indented(len(marker)) if marker else None
    if inner is None:
        yield from _flat(item, room)
        return
    rest = [line.removeprefix(indent) if line.startswith(indent) else line.lstrip() for line in item[1:]]
    first, *others = _pieces([item[0][len(marker) :], *rest], inner)
    yield _Part(marker + first.replace("\n", f"\n{indent}"), glue)
    yield from (_Part(piece, "\n\n") for piece in others)


def _cut_quote(block: _Block, room: _Room) -> Iterator[_Part]:
    inner = room.indented(2)
    if inner is None:
        yield from _flat(block.lines, room)
        return
    for piece in _pieces([_QUOTE.sub("", line, count=1) for line in block.lines], inner):
        yield _Part("> " + piece.replace("\n", "\n> "), "\n\n")


def _cut_code(block: _Block, room: _Room) -> Iterator[_Part]:
    """Between lines, and each piece is fenced again."""
    assert block.token is not None  # noqa: S101 - code has a token
    content = block.token.content.rstrip()
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall(r"`{3,}", content))])
    info = block.token.info.strip()
    inner = room.less(len(fence) * 2 + len(info) + 2 + room.pad * 2)
    if "`" in info or inner.line < _NARROWEST:
        content, inner, info = f"{info}\n{content}", inner.less(-len(info)), ""
    if inner.line < _NARROWEST:
        yield from _flat(block.lines, room)
        return
    taken: list[str] = []
    for line in _slices(content.split("\n"), inner.line):
        if taken and not inner.holds("\n".join([*taken, line])):
            if any(map(str.strip, taken)):
                yield _Part("\n".join([fence + info, *taken, fence]), "\n\n")
            taken = []
        taken.append(line)
    yield _Part("\n".join([fence + info, *taken, fence]), "\n\n")


def _slices(lines: Sequence[str], width: int) -> Iterator[str]:
    for line in lines:
        yield from (line[start : start + width] for start in range(0, max(1, len(line)), width))


def _cut_table(block: _Block, room: _Room) -> Iterator[_Part]:
    """Between rows, and each piece has the header; as text when header and row do not fit together."""
    header, rows = block.lines[:2], block.lines[2:]
    if not rows or not all(room.holds("\n".join([*header, row])) for row in rows):
        yield from _cut_paragraph(block, room)
        return
    taken: list[str] = []
    for row in rows:
        if not room.holds("\n".join([*header, *taken, row])):
            yield _Part("\n".join([*header, *taken]), "\n\n")
            taken = []
        taken.append(row)
    yield _Part("\n".join([*header, *taken]), "\n\n")


def _cut_paragraph(block: _Block, room: _Room) -> Iterator[_Part]:
    # One character is for the backslash of `as_text`.
    return _prose(block.text.strip(), "\n\n", room.less(1), _SEAMS)


def _flat(lines: Sequence[str], room: _Room) -> Iterator[_Part]:
    """The words of a block in one paragraph, when its form cannot be kept."""
    return _prose(" ".join(" ".join(lines).split()), "\n\n", room.less(1), _SEAMS)


def _prose(text: str, glue: str, room: _Room, seams: Sequence[re.Pattern[str]]) -> Iterator[_Part]:
    """Cut at the first kind of seam that makes it fit; never inside code or a link unless that alone is too long."""
    if room.holds(text):
        yield _Part(text, glue, is_prose=True)
        return
    if not seams:
        for piece in _slices([text], room.line):
            yield _Part(piece, glue, is_prose=True)
            glue = ""
        return
    whole = [match.span() for match in _ATOM.finditer(text)] if seams[0] is not _WITHIN else []
    position = 0
    for seam in [*seams[0].finditer(text), None]:
        start, end = seam.span() if seam else (len(text), len(text))
        while whole and whole[0][1] <= start:
            whole.pop(0)
        if seam and whole and whole[0][0] < start:
            continue
        if start > position:
            yield from _prose(text[position:start], glue, room, seams[1:])
        glue, position = text[start:end], end


_WITHIN = re.compile(r"\s+|(?<=[,/;])")
_SEAMS = (_SENTENCE_END, re.compile(r"\s+"), _WITHIN)
_CUTS: dict[str, Callable[[_Block, _Room], Iterator[_Part]]] = {
    "bullet_list_open": _cut_list,
    "ordered_list_open": _cut_list,
    "blockquote_open": _cut_quote,
    "fence": _cut_code,
    "code_block": _cut_code,
    "table_open": _cut_table,
}
