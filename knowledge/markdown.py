"""Markdown as blocks with line numbers: the one place that knows markdown-it."""

import re
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

_EXPLICIT_ID = re.compile(r"\s*\{:?\s*#([^\s}]+)[^}]*\}\s*$")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading line (or two, when underlined)."""

    level: int
    text: str
    """Plain, without markup."""
    anchor: str
    """An explicit `{#id}`, or '' when there is none."""
    start: int
    end: int
    """Lines [start, end)."""


@dataclass(frozen=True, slots=True)
class Block:
    """A top-level block: 'paragraph', 'list', 'table', 'fence', 'quote', 'html', 'code' or 'rule'."""

    kind: str
    start: int
    end: int
    """Lines [start, end)."""


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
    """Headings and top-level blocks of a document, each in order."""
    found: list[Heading] = []
    blocks: list[Block] = []
    tokens = parse(text)
    for index, token in enumerate(tokens):
        if token.level or token.map is None or token.nesting < 0:
            continue
        start, end = token.map
        if token.type == "heading_open":
            raw = tokens[index + 1].content
            explicit = _EXPLICIT_ID.search(raw)
            anchor = explicit[1].replace("\\", "") if explicit else ""
            plain = plain_text(_EXPLICIT_ID.sub("", raw))
            found.append(Heading(int(token.tag[1]), plain, anchor, start, end))
        else:
            blocks.append(Block(_KINDS.get(token.type, "paragraph"), start, end))
    return found, blocks


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
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
    "fence": "fence",
    "code_block": "code",
    "blockquote_open": "quote",
    "html_block": "html",
    "hr": "rule",
}
