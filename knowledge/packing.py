"""Blocks to pieces that fit: the arithmetic below chunking.

A piece is kept whole where it fits. Otherwise a list is cut between its items, an item or a quote between the blocks in
it, a table between rows, code between lines, and text where semantic-text-splitter finds the best place: whatever fits
by itself stays whole, however deep it stands. A line that introduces a list, a table or code stays with it.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from semantic_text_splitter import MarkdownSplitter
from tokenizers import Tokenizer

from knowledge.markdown import Block

_INTRODUCED = frozenset({"list", "item", "table", "fence", "code", "quote"})
_CODE_INDENT = 4
_TABLE_HEADER_LINES = 2
_RESERVE_STEP = 25
_COUNTED_AT_ONCE = 1_000
"""Texts: each takes a hundred times its size while it is cut into tokens."""
_INVISIBLE = re.compile(r"\s*+(?>(?:<!--.*?-->|\{%.*?%\}|\{:.*?\})\s*+)++", re.DOTALL)
"""HTML comments, Liquid tags and Kramdown attributes (Jekyll sites); each ends where it first can."""
_BLANK_START = re.compile(r"\A(?:[ \t>]*\n)+")
_MARGIN = " \t>"
"""What lines in a list or a quote begin with."""
_FENCE = re.compile(rf"([{_MARGIN}]*)(`{{3,}}|~{{3,}})")


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive lines of a document, with their number of tokens."""

    text: str
    tokens: int
    line: int
    """The first line's number in the document, counted from 0."""
    kind: str
    seams: int = 0
    """How many parts were counted one by one."""
    inner: tuple[Block, ...] = ()
    """The blocks in it, when it is a list, an item or a quote."""


class Packer:
    """Cuts and packs pieces for one tokenizer and capacity."""

    def __init__(self, tokenizer: Tokenizer, *, capacity: int, minimum: int) -> None:
        self._tokenizer = tokenizer
        self._capacity = capacity
        self._minimum = minimum
        self._splitters: dict[int, MarkdownSplitter] = {}

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without the special ones."""
        return [
            len(encoding.ids)
            for start in range(0, len(texts), _COUNTED_AT_ONCE)
            for encoding in self._tokenizer.encode_batch_fast(
                list(texts[start : start + _COUNTED_AT_ONCE]), add_special_tokens=False
            )
        ]

    def heading_pieces(self, lines: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[Piece | None]:
        """The lines [start, end) of each heading; None where there is no text."""
        texts = ["\n".join(lines[start:end]).strip() for start, end in spans]
        counts = self.count(texts)
        return [
            Piece(f"{text}\n\n", tokens, start, "heading") if text else None
            for text, tokens, (start, _) in zip(texts, counts, spans, strict=True)
        ]

    def pieces(
        self, lines: Sequence[str], spans: Sequence[tuple[int, int]], blocks: Sequence[Block]
    ) -> list[list[Piece]]:
        """For each span of lines [start, end) one piece per block.

        Lines that belong to no block (blank ones and link definitions) go to the block before them. Blocks
        that are nothing but comments or template tags are left out: no reader sees them.
        """
        starts = [block.start for block in blocks]
        bare: list[list[Piece]] = []
        for start, end in spans:
            own = blocks[bisect_left(starts, start) : bisect_left(starts, end)]
            bare.append(list(_bare_pieces(lines[start:end], own, first=start)))
        counts = iter(self.count([piece.text for group in bare for piece in group]))
        return [[replace(piece, tokens=next(counts)) for piece in group] for group in bare]

    def pack_all(self, sections: Sequence[Sequence[Piece]]) -> list[list[Piece]]:
        """Within each section merge neighbours and cut what is too large, so that every result fits."""
        packed = [self._pack(pieces) for pieces in sections]
        # Not every tokenizer counts a whole as the sum of its parts; a seam adds a token at most.
        doubtful = [
            group
            for groups in packed
            for group in groups
            if (merged := _merge(group)).seams and merged.tokens + merged.seams > self._capacity
        ]
        # One call for all: calling costs more than counting.
        counts = dict(zip(map(id, doubtful), self.count([_merge(g).text for g in doubtful]), strict=True))
        return [
            [part for group in groups for part in self._fitted(group, counts.get(id(group)))]
            for groups in packed
        ]

    def _fitted(self, group: Sequence[Piece], tokens: int | None) -> list[Piece]:
        """The group as one piece, or cut where its pieces meet when it has more tokens than the sum of them."""
        merged = _merge(group)
        if tokens is None or tokens <= self._capacity:
            return [merged]
        if len(group) == 1:
            return self._cut_text(replace(merged, tokens=tokens), self._capacity)
        parts = (group[:-1], group[-1:])
        counts = self.count([_merge(part).text for part in parts])
        return [piece for part, n in zip(parts, counts, strict=True) for piece in self._fitted(part, n)]

    def _pack(self, pieces: Sequence[Piece]) -> list[list[Piece]]:
        groups: list[list[Piece]] = [[]]
        tokens = 0
        for piece in self._cut_all(pieces):
            group = groups[-1]
            if group and tokens + piece.tokens > self._capacity:
                groups.append(self._take_introduction(group, piece))
                tokens = _tokens(groups[-1])
            groups[-1].append(piece)
            tokens += piece.tokens
        self._fill_last(groups)
        return [group for group in groups if group]

    def _take_introduction(self, group: list[Piece], following: Piece) -> list[Piece]:
        """Move the line that introduces `following` out of the full group before it."""
        last = group[-1]
        if (
            len(group) > 1
            and self._introduces(last, following)
            and last.tokens + following.tokens <= self._capacity
        ):
            return [group.pop()]
        return []

    def _introduces(self, piece: Piece, following: Piece) -> bool:
        """Whether the piece says little without what follows."""
        if piece.kind != "paragraph" or following.kind not in _INTRODUCED:
            return piece.kind == "heading"
        return piece.tokens < self._minimum or piece.text.rstrip().endswith(":")

    def _fill_last(self, groups: list[list[Piece]]) -> None:
        """A remainder too short to stand alone takes pieces from the group before it."""
        if len(groups) == 1:
            return
        before, last = groups[-2:]
        while (
            _tokens(last) < self._minimum
            and len(before) > 1
            and _tokens(before) - before[-1].tokens >= self._minimum
            and _tokens(last) + before[-1].tokens <= self._capacity
        ):
            last.insert(0, before.pop())

    def _cut_all(self, pieces: Sequence[Piece]) -> Iterator[Piece]:
        for index, piece in enumerate(pieces):
            if piece.tokens <= self._capacity:
                yield piece
                continue
            room = self._capacity
            if index and self._introduces(pieces[index - 1], piece):
                # What introduces the piece shall fit with its first part.
                steps = -(-pieces[index - 1].tokens // _RESERVE_STEP)
                room = max(room - steps * _RESERVE_STEP, room // 2)
            yield from self._cut(piece, room)

    def _cut(self, piece: Piece, room: int) -> Iterable[Piece]:
        if piece.inner:
            bare = list(_bare_pieces(piece.text.split("\n")[:-1], piece.inner, first=piece.line))
            counts = self.count([part.text for part in bare])
            return self._cut_all([replace(part, tokens=n) for part, n in zip(bare, counts, strict=True)])
        lines = piece.text.strip("\n").rstrip().split("\n")
        if piece.kind == "table" and len(lines) > _TABLE_HEADER_LINES:
            columns = lines[1].lstrip(_MARGIN)
            margin = lines[1].removesuffix(columns)
            separator = f"{margin}|" + "---|" * columns.strip().strip("|").count("|") + "---|"
            return self._cut_lines(piece, room, lines, [lines[0], separator], "")
        fence = _FENCE.match(lines[0]) if piece.kind == "fence" else None
        if fence:
            closing = f"{fence[1]}{fence[2]}"
            closed = lines if lines[-1].lstrip(_MARGIN).startswith(fence[2]) else [*lines, closing]
            return self._cut_lines(piece, room, closed, [lines[0]], closing)
        return self._cut_text(piece, room)

    def _cut_lines(
        self, piece: Piece, room: int, lines: list[str], repeated: list[str], closing: str
    ) -> Iterator[Piece]:
        """Cut between lines; every part opens with `repeated` and ends with `closing`."""
        opening = lines[: len(repeated)]
        body = lines[len(repeated) : len(lines) - bool(closing)]
        frame = sum(self.count(["\n".join([*opening, closing])]))
        counts = self.count([f"{line}\n" for line in body])
        start = 0
        while start < len(body):
            end, used = start, frame
            while end < len(body) and used + counts[end] <= room:
                used += counts[end]
                end += 1
            if end > start:
                shown = opening if start == 0 else repeated
                text = "\n".join([*shown, *body[start:end], *([closing] if closing else [])])
                line = piece.line + (len(opening) + start if start else 0)
                yield Piece(text + "\n\n", used, line, piece.kind, seams=end - start)
                start, room = end, self._capacity
            elif counts[start] + frame <= self._capacity:
                room = self._capacity  # this line needs the room kept for an introduction
            else:
                if start == 0:
                    head = "\n".join(opening) + "\n\n"
                    yield from self._cut_text(Piece(head, frame, piece.line, "paragraph"), self._capacity)
                line = piece.line + len(opening) + start
                overlong = Piece(body[start] + "\n\n", counts[start], line, "paragraph")
                yield from self._cut_text(overlong, self._capacity)
                start += 1
                room = self._capacity

    def _cut_text(self, piece: Piece, room: int) -> list[Piece]:
        if piece.tokens <= room:
            return [piece]
        splitter = self._splitters.get(room)
        if splitter is None:
            splitter = MarkdownSplitter.from_huggingface_tokenizer(self._tokenizer, room)
            self._splitters[room] = splitter
        found = splitter.chunk_indices(piece.text)
        counts = self.count([text for _, text in found])
        cut: list[Piece] = []
        line, before = piece.line, 0
        for (offset, text), n in zip(found, counts, strict=True):
            line += piece.text.count("\n", before, offset)
            before = offset
            cut.append(Piece(text + "\n\n", n, line, piece.kind))
        return cut


def _bare_pieces(lines: Sequence[str], blocks: Sequence[Block], *, first: int) -> Iterator[Piece]:
    """A piece for each of the blocks in these lines, of which `first` is the first one's number; not counted yet."""
    starts = [first, *(block.start for block in blocks[1:])]
    ends = [*starts[1:], first + len(lines)]
    for start, end, block in zip(starts, ends, blocks or [Block("paragraph", first, ends[-1])], strict=True):
        whole = "\n".join(lines[start - first : end - first]) + "\n"
        text = _without_quoted_end(_BLANK_START.sub("", whole))
        if text.strip() and not (block.kind in {"html", "paragraph"} and _INVISIBLE.fullmatch(text)):
            blank = _BLANK_START.match(whole)
            yield Piece(
                text, 0, start + (blank[0].count("\n") if blank else 0), block.kind, inner=block.inner
            )


def _without_quoted_end(text: str) -> str:
    """With one blank line in place of the empty lines of a quote at the end."""
    lines = text.split("\n")
    last = len(lines) - 1
    while last and ">" in lines[last - 1] and not lines[last - 1].strip(_MARGIN):
        last -= 1
    return text if last == len(lines) - 1 else "\n".join([*lines[:last], "", ""])


def _tokens(group: Iterable[Piece]) -> int:
    return sum(piece.tokens for piece in group)


def _merge(group: Sequence[Piece]) -> Piece:
    first = group[0]
    seams = sum(piece.seams for piece in group) + len(group) - 1
    text = _outdented("".join(piece.text for piece in group), first)
    return Piece(text, _tokens(group), first.line, first.kind, seams)


def _outdented(text: str, first: Piece) -> str:
    """Without the indentation that the first piece has from a list that it was cut out of.

    Deeply indented lines at the start would be read as code.
    """
    indent = len(text) - len(text.lstrip(" ")) - (_CODE_INDENT if first.kind == "code" else 0)
    if indent <= 0 or first.kind == "heading":
        return text
    lines = text.split("\n")
    margin = " " * indent
    end = next(
        (n for n, line in enumerate(lines) if line.strip() and not line.startswith(margin)), len(lines)
    )
    return "\n".join([*(line.removeprefix(margin) for line in lines[:end]), *lines[end:]])
