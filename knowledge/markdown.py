"""Markdown as blocks with line numbers: the one place that knows markdown-it."""

import re
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

_EXPLICIT_ID = re.compile(r"(?<!\s)\s*+\{:?\s*+#([^\s{}]++)[^{}]*+\}\s*+$")
_LONGEST_HEADING = 1_000
"""Characters that are parsed of it: its text stands above all passages below it, and parsing takes quadratic time."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading line (or two, when underlined)."""

    level: int
    text: str
    """Plain, without markup; of a very long one the beginning."""
    anchor: str
    """An explicit `{#id}`, or '' when there is none."""
    start: int
    end: int
    """Lines [start, end)."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block: 'paragraph', 'list', 'item', 'table', 'fence', 'quote', 'html', 'code' or 'rule'.

    A heading within a list or a quote is a paragraph.
    """

    kind: str
    start: int
    end: int
    """Lines [start, end)."""
    inner: "tuple[Block, ...]" = ()
    """Of a list its items; of an item or a quote the blocks in it."""


@cache
def _block_parser() -> MarkdownIt:
    # Inline parsing costs three quarters of the time and blocks need none of it.
    return MarkdownIt("commonmark").enable("table").disable("inline")


@cache
def _inline_parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("strikethrough")


def parse(text: str) -> list[Token]:
    """Block tokens with line maps; inline tokens keep their raw `content`."""
    return _block_parser().parse(text)


def first_heading(text: str) -> str:
    """The text of the first level-1 heading, or ''."""
    for heading in headings(text):
        if heading.level == 1 and heading.text:
            return heading.text
    return ""


def headings(text: str) -> list[Heading]:
    """All top-level headings; a `#` inside a code fence, list or quote is none."""
    return outline(text)[0]


def outline(text: str) -> tuple[list[Heading], list[Block]]:
    """Headings and other top-level blocks of a document, each in order."""
    found: list[Heading] = []
    tokens = parse(text)
    # One list of blocks for each container that is open, the document itself first.
    inner: list[list[Block]] = [[]]
    spans: list[tuple[int, int]] = []
    for index, token in enumerate(tokens):
        if token.nesting < 0 and token.type in _CONTAINERS:
            kind, blocks = _CONTAINERS[token.type], tuple(inner.pop())
            inner[-1].append(Block(kind, *spans.pop(), inner=blocks))
        if token.map is None or token.nesting < 0:
            continue
        start, end = token.map
        if token.type == "heading_open" and not token.level:
            raw = tokens[index + 1].content
            explicit = _EXPLICIT_ID.search(raw)
            anchor = explicit[1].replace("\\", "") if explicit else ""
            plain = plain_text(_EXPLICIT_ID.sub("", raw)[:_LONGEST_HEADING])
            found.append(Heading(int(token.tag[1]), plain, anchor, start, end))
        elif f"{token.type.removesuffix('open')}close" in _CONTAINERS:
            inner.append([])
            spans.append((start, end))
        elif token.type in _KINDS:
            inner[-1].append(Block(_KINDS[token.type], start, end))
    return found, inner[0]


def plain_text(markdown: str) -> str:
    """Without emphasis, links, code ticks, HTML tags and entities: for comparing, not for showing."""
    (token,) = _inline_parser().parseInline(markdown)
    return " ".join("".join(map(_shown, token.children or ())).split())


def _shown(token: Token) -> str:
    match token.type:
        case "softbreak" | "hardbreak":
            return " "
        case "html_inline":
            return " " if token.content.startswith("<br") else ""
        case _:  # text, code, and images, whose content is the alternative text
            return token.content


_KINDS = {
    "paragraph_open": "paragraph",
    "heading_open": "paragraph",
    "table_open": "table",
    "fence": "fence",
    "code_block": "code",
    "html_block": "html",
    "hr": "rule",
}
_CONTAINERS = {
    "bullet_list_close": "list",
    "ordered_list_close": "list",
    "list_item_close": "item",
    "blockquote_close": "quote",
}
