"""Passages to units: the sentences, list items, table rows and code blocks that are quoted and checked."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import dedent
from typing import Literal

from markdown_it.token import Token

from knowledge.markdown import parse, plain_text

UnitKind = Literal["sentence", "item", "row", "code"]

_PROTECTED = re.compile(
    r"(?<!`)(`++)[^`\n](?:.*?[^`])?\1(?!`)|`[^`\n]*$|https?://[^\s<>)\]]*[^\s<>)\].,;:!?'\"]", re.MULTILINE
)
_LINE_BREAK = re.compile(r"\n[ \t]*\n\s*|\n(?=[ \t]*(?:[-*+•]|\d{1,3}[.)]|#{1,6}|>|```)[ \t])|\n(?=[ \t]*\|)")
_INCOMPLETE = re.compile(r"\s*(?:\d{1,3}[.)]\s*)?")
_INTRODUCES = re.compile(r"\b(?:following|below|these)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest part of a passage that says something by itself."""

    text: str
    """Word for word as in the passage; of a row the Markdown line, of an item the text without its bullet."""
    kind: UnitKind
    lead_in: str = ""
    """The line that introduces the list, table or code; for a nested item the items above it too."""
    header: tuple[str, ...] = ()
    """Of a row: the header's cells, plain."""
    heading: str = ""
    """The nearest heading inside the passage, plain; headings above the passage are the chunk's."""
    cells: tuple[str, ...] = ()
    """Of a row: its cells as written."""

    @property
    def contextual_text(self) -> str:
        """What is embedded and compared: plain text that makes sense without its neighbours."""
        if self.kind == "row":
            pairs = zip(
                [*self.header, *[""] * (len(self.cells) - len(self.header))], self.cells, strict=False
            )
            return "; ".join(
                f"{name}: {plain}" if name else plain for name, cell in pairs if (plain := plain_text(cell))
            )
        if self.kind == "code":
            code = "\n".join(
                line for line in self.text.splitlines() if not line.lstrip().startswith(("```", "~~~"))
            )
            return f"{plain_text(self.lead_in)} {code}".strip()
        return f"{plain_text(self.lead_in)} {plain_text(self.text)}".strip()

    @property
    def display(self) -> str:
        """Markdown that can be shown alone: a row comes with its header."""
        if self.kind != "row" or not any(self.header):
            return self.text
        return "\n".join(["| " + " | ".join(self.header) + " |", "|" + "---|" * len(self.header), self.text])


def units(passage: str) -> list[Unit]:
    """The units of a passage in order. Headings are none; neither is a line that only introduces a list."""
    return list(_Walk(passage).run())


def split_sentences(text: str, *, language: str = "en") -> list[str]:
    """Cut text into sentences whose concatenation is the text.

    Never cuts inside code or a URL; paragraphs, list items and table rows end a sentence too. All but the
    last are complete, so that a growing text can be cut again and again.
    """
    from sentencex import segment

    masked = _PROTECTED.sub(lambda match: "x" * len(match[0]), text)
    sentences: list[str] = []
    start = 0
    breaks = [match.end() for match in _LINE_BREAK.finditer(masked)]
    for end in [*breaks, len(text)]:
        for piece in segment(language, masked[start:end]):
            verbatim = text[start : start + len(piece)]
            start += len(piece)
            # A bare list number is no sentence, and white space belongs to the sentence before it.
            if sentences and (not verbatim.strip() or _INCOMPLETE.fullmatch(sentences[-1])):
                sentences[-1] += verbatim
            elif verbatim:
                sentences.append(verbatim)
    return sentences


class _Walk:
    """One pass over the tokens of a passage."""

    def __init__(self, passage: str) -> None:
        self._lines = passage.split("\n")
        self._tokens = parse(passage)
        self._heading = ""
        self._introduction = ""
        """The last sentence of the paragraph just before, while nothing else has come."""

    def run(self) -> Iterator[Unit]:
        yield from self._blocks(0, len(self._tokens))

    def _blocks(self, start: int, end: int) -> Iterator[Unit]:
        index = start
        while index < end:
            token = self._tokens[index]
            close = self._closing(index)
            if token.type == "heading_open":
                self._heading = plain_text(self._tokens[index + 1].content)
                self._introduction = ""
            elif token.type == "paragraph_open":
                yield from self._paragraph(self._tokens[index + 1].content, next_index=close + 1, end=end)
            elif token.type in {"bullet_list_open", "ordered_list_open"}:
                yield from self._list(index + 1, close, self._introduction)
                self._introduction = ""
            elif token.type == "table_open":
                yield from self._table(index, close)
            elif token.type in {"fence", "code_block"} and token.map:
                yield from self._code(token.content, *token.map)
            elif token.type == "html_block" and plain_text(token.content):
                yield Unit(token.content.strip(), "sentence", heading=self._heading)
            elif token.type == "blockquote_open":
                yield from self._blocks(index + 1, close)
            index = close + 1

    def _paragraph(self, content: str, *, next_index: int, end: int) -> Iterator[Unit]:
        sentences = [sentence.strip() for sentence in split_sentences(content)]
        introduces = next_index < end and self._tokens[next_index].type in _INTRODUCED
        self._introduction = ""
        if introduces and (sentences[-1].endswith(":") or _INTRODUCES.search(sentences[-1])):
            self._introduction = sentences[-1]
            if sentences[-1].endswith(":"):
                sentences.pop()
        for sentence in sentences:
            yield Unit(sentence, "sentence", heading=self._heading)

    def _list(self, start: int, end: int, lead_in: str) -> Iterator[Unit]:
        index = start
        while index < end:
            close = self._closing(index)
            yield from self._item(index + 1, close, lead_in)
            index = close + 1

    def _item(self, start: int, end: int, lead_in: str) -> Iterator[Unit]:
        own = ""
        index = start
        while index < end:
            token = self._tokens[index]
            close = self._closing(index)
            if token.type == "paragraph_open":
                text = self._tokens[index + 1].content
                has_more = close + 1 < end and self._tokens[close + 1].type in _INTRODUCED
                if not (has_more and text.rstrip().endswith(":")):
                    yield Unit(text, "item", lead_in, heading=self._heading)
                own = own or text
            elif token.type in {"bullet_list_open", "ordered_list_open"}:
                yield from self._list(index + 1, close, f"{lead_in} {own}".strip())
            else:
                self._introduction = f"{lead_in} {own}".strip()
                yield from self._blocks(index, close + 1)
            index = close + 1

    def _code(self, content: str, first: int, last: int) -> Iterator[Unit]:
        if content.strip():
            text = dedent("\n".join(self._lines[first:last])).strip("\n")
            yield Unit(text, "code", self._introduction, heading=self._heading)
        self._introduction = ""

    def _table(self, start: int, end: int) -> Iterator[Unit]:
        header: tuple[str, ...] = ()
        for index in range(start, end):
            token = self._tokens[index]
            if token.type != "tr_open" or token.map is None:
                continue
            row_end = self._closing(index)
            cells = tuple(t.content for t in self._tokens[index:row_end] if t.type == "inline")
            if self._tokens[index + 1].type == "th_open":
                header = tuple(plain_text(cell) for cell in cells)
            elif any(cells):
                text = self._lines[token.map[0]].strip()
                yield Unit(text, "row", self._introduction, header, self._heading, cells)
        self._introduction = ""

    def _closing(self, index: int) -> int:
        """The index of the token that closes the one at `index`."""
        token = self._tokens[index]
        if token.nesting != 1:
            return index
        return next(i for i in range(index + 1, len(self._tokens)) if _closes(self._tokens[i], token))


def _closes(candidate: Token, opening: Token) -> bool:
    return candidate.nesting == -1 and candidate.level == opening.level


_INTRODUCED: Sequence[str] = ("bullet_list_open", "ordered_list_open", "table_open", "fence", "code_block")
