"""Markdown as the adapters read it: tokens, the lines they come from, and what a line's beginning means."""

import re
from collections.abc import Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

_DEEPEST = 50
_PREFIX = re.compile(r"[ \t]*(?:(?:>|(?:[-+*]|\d{1,9}[.)])(?=[ \t]))[ \t]*)*")
_STARTS_BLOCK = re.compile(r"(#{1,6}(?=\s|$)|[-+*](?=\s|$)|>|[=-]+\s*$|`{3}|~{3})|(\d{1,9})(?=[.)](?:\s|$))")


class _Parser(MarkdownIt):
    """CommonMark with tables, where HTML is text and no address is refused or rewritten."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "maxNesting": _DEEPEST})
        self.enable(["table", "strikethrough"])

    def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802
        return link


@cache
def _parser() -> MarkdownIt:
    return _Parser()


def lines_of(markdown: str) -> list[str]:
    """The lines that the tokens' maps count."""
    return markdown.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd").split("\n")


def parse(lines: Sequence[str]) -> list[Token]:
    """Block tokens with line maps, their text as inline tokens in `children`."""
    return _parser().parse("\n".join(lines))


def prefix(line: str) -> str:
    """What stands before the text of a block's first line: indentation, quote signs, list markers."""
    found = _PREFIX.match(line)
    return found[0] if found else ""


def hanging(first: str) -> str:
    """The prefix of the block's further lines, after that of its first."""
    return re.sub(r"[^>\s]", " ", first)


def as_text(line: str) -> str:
    """A line of text that stays text at the start of a paragraph: `# 1` becomes `\\# 1`."""
    found = _STARTS_BLOCK.match(line)
    if found is None:
        return line
    return f"\\{line}" if found[1] else f"{found[2]}\\{line[found.end() :]}"
