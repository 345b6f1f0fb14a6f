"""Headings and tables that a text only shows by its layout, written as Markdown.

PDF and plain text have no marks for them: a heading is a line in larger or bold print, or a short line above a
paragraph, and a table is lines with wide gaps in the same places. Passages are cut along headings and table rows
are read with their header, so it pays to find them. What is not clear stays as it is; only marks are added.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

_LONGEST_HEADING = 80
_NARROWEST_TEXT = 60
"""A text whose lines are all shorter than this is taken to be broken at this width."""
_LARGER = 1.1
"""Times the size of the body text, from which on a line is a heading."""
_FEWEST_ROWS = 3
"""Of a table, its header included: two lines with a gap are a coincidence more often than a table."""
_GAP = re.compile(r"(?<=\S)[ \t]{2,}(?=\S)")
_MARKED = re.compile(r"(?m)^(?:#{1,6}[ \t]|=+[ \t]*$|-{3,}[ \t]*$)")
_NO_HEADING = re.compile(r"^(?:[-*+•>|#`~]|\d{1,3}[.)]\s*$)|[.,;:!?…]$|://|@|\|")
_LIST_ITEM = re.compile(r"^(?:[-*+•]|\d{1,3}[.)])\s")


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """A line of a page with how it is printed."""

    text: str
    size: float
    bold: bool
    page: int
    alone: bool
    """Whether it is a block of its own."""


def printed_headings(lines: Sequence[PrintedLine]) -> dict[str, int]:
    """The lines that are headings by their print, white space normalised, with their level from 1 to 6.

    Level 1 is kept for a largest line that comes once, on the first page: the title.
    """
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    if not sizes:
        return {}
    body = max(sizes, key=lambda size: sizes[size])
    bold_is_rare = 2 * sum(len(line.text) for line in lines if line.bold) < sum(sizes.values())

    def stands_out(line: PrintedLine) -> bool:
        return line.size >= body * _LARGER or (
            bold_is_rare
            and line.bold
            and line.alone
            and line.size >= body
            and not _NO_HEADING.search(line.text)
        )

    found = [
        line
        for line in lines
        if stands_out(line) and len(line.text) <= _LONGEST_HEADING and re.search(r"[^\W\d_]", line.text)
    ]
    ranks = sorted({line.size for line in found}, reverse=True)
    largest = [line for line in found if line.size == ranks[0]]
    has_title = len(ranks) > 1 and len(largest) == 1 and largest[0].page == 1
    return {
        " ".join(line.text.split()): min(6, ranks.index(line.size) + (1 if has_title else 2))
        for line in found
    }


def with_headings(text: str, headings: Mapping[str, int]) -> str:
    """The text with those lines as Markdown headings; lines of one heading that follow each other are joined."""
    lines: list[str] = []
    above = 0
    for line in text.split("\n"):
        bare = line.lstrip("\f")
        level = headings.get(" ".join(bare.split()), 0)
        if level and level == above and bare == line:
            lines[-1] += f" {bare.strip()}"
        else:
            breaks = line[: len(line) - len(bare)]
            lines.append(f"{breaks}{'#' * level} {bare.strip()}" if level else line)
        above = level
    return "\n".join(lines)


def plain_headings(text: str) -> str:
    """A plain text with its headings marked: first lines of a paragraph that end before they had to.

    A text that has Markdown headings already is left as it is.
    """
    if _MARKED.search(text):
        return text
    lines = text.split("\n")
    width = max(_NARROWEST_TEXT, *(len(line.rstrip()) for line in lines))
    for index, line in enumerate(lines):
        opens = index == 0 or not lines[index - 1].strip()
        follows = lines[index + 1] if index + 1 < len(lines) else ""
        if opens and _is_plain_heading(line, follows, width=width):
            lines[index] = f"{'##' if index else '#'} {line}"
    return "\n".join(lines)


def _is_plain_heading(line: str, follows: str, *, width: int) -> bool:
    text = line.strip()
    if not text or text != line.rstrip() or len(text) > _LONGEST_HEADING or _NO_HEADING.search(text):
        return False
    if not text[0].isalnum() or text[0].islower() or _GAP.search(text):
        return False
    if not follows.strip():  # alone between blank lines: only capitals are clear enough
        return text.isupper()
    if _GAP.search(follows.strip()):
        return False
    # A wrapped line ends where the next word had no room.
    room = width - len(text) - 1
    return len(follows.split(maxsplit=1)[0]) < room and (
        bool(_LIST_ITEM.match(follows)) or len(follows) > len(text)
    )


def with_tables(text: str, headers: AbstractSet[str]) -> str:
    """The text with lines of aligned columns below one of `headers` (white space normalised) as Markdown tables.

    Blank lines between the rows do not count. Where a header is unclear nothing is changed: a row that is read with
    the wrong header says something else.
    """
    found: list[str] = []
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        end, table = index + 1, [lines[index]]
        if " ".join(lines[index].split()) in headers and _GAP.search(lines[index]):
            end, table = _table(lines, index)
        found += table
        index = end
    return "\n".join(found)


def _table(lines: Sequence[str], start: int) -> tuple[int, list[str]]:
    """The table that starts in that line as Markdown, with the first line behind it; the line itself if it is none."""
    columns = [0, *(gap.end() for gap in _GAP.finditer(lines[start]))]
    rows = [_GAP.split(lines[start].strip())]
    end = start + 1
    for index in range(start + 1, len(lines)):
        if not lines[index].strip():
            continue
        cells = _cells(lines[index], columns)
        if cells is None:
            break
        rows.append(cells)
        end = index + 1
    if len(rows) < _FEWEST_ROWS:
        return start + 1, [lines[start]]
    written = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return end, ["", written[0], "|" + " --- |" * len(columns), *written[1:], ""]


def _cells(line: str, columns: Sequence[int]) -> list[str] | None:
    """What stands in each column; None when something of the line begins elsewhere, or there is only one cell."""
    starts = [len(line) - len(line.lstrip()), *(gap.end() for gap in _GAP.finditer(line))]
    if len(starts) == 1 or not set(starts) <= set(columns):
        return None
    parts = dict(zip(starts, _GAP.split(line.strip()), strict=True))
    return [parts.get(column, "") for column in columns]
