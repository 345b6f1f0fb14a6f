"""Markdown as blocks with line numbers: the one place that knows markdown-it."""

import re
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

_EXPLICIT_ID = re.compile(r"\s*\{:?\s*#([^\s}]+)[^}]*\}\s*$")
_INLINE_MARKUP = re.compile(
    r"!\[(?P<image>[^\]]*)\]\([^)]*\)|\[(?P<link>[^\]]+)\](?:\([^)]*\)|\[[^\]]*\])|<(?P<url>https?://[^>]+)>"
    r"|</?[a-zA-Z][^>]*>|(?P<ticks>`+)(?P<code>.+?)(?P=ticks)|(?<!\w)(?P<mark>\*{1,3}|_{1,3}|~~)(?=\S)(?P<em>.+?)"
    r"(?<=\S)(?P=mark)(?!\w)",
    re.DOTALL,
)


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
    from html import unescape

    previous = None
    text = markdown
    while previous != text:
        previous = text
        text = _INLINE_MARKUP.sub(_inner, text)
    return " ".join(unescape(re.sub(r"\\([\\`*_{}\[\]()#+\-.!|~])", r"\1", text)).split())


def _inner(match: re.Match[str]) -> str:
    for group in ("image", "link", "url", "code", "em"):
        if match[group] is not None:
            return match[group]
    return ""


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
