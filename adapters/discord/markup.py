"""Markdown as Discord draws it: what it does not know is said in what it knows.

Tables become code when they fit the width of a phone, else lists; smaller headings become bold; links show no
preview. Pure. The Markdown has to be clean (`adapters.render.clean`); nothing here makes a link or a mention that was
none.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from markdown_it.token import Token

from adapters.markup import lines_of, parse, prefix

NARROW = 38
"""Characters of a line of code that a phone shows without breaking it."""
TABLE = 1_500
"""Characters of rows in one block of code; each block repeats the header."""
_LARGEST_HEADINGS = 3

_CODE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(
    r"!?\[(?P<label>[^\[\]]*)\]\(\s*<?(?P<url>https?://[^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?:\s+\"[^\"]*\")?\s*\)"
    r"|(?<![<(\w])(?P<bare>https?://[^\s<>`|]*[^\s<>`|.,;:!?'\"*_~)\]])"
)
_ENTITY = re.compile(r"&(amp|lt|gt|quot|nbsp|#39);")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "nbsp": " ", "#39": "'"}
_HARD_BREAK = re.compile(r"(?<!\\)\\$", re.MULTILINE)


def discord_markdown(markdown: str) -> str:
    """The same for Discord's eyes."""
    lines = lines_of(markdown)
    result = list(lines)
    for start, end, new in reversed(_edits(lines)):
        result[start:end] = new
    return "\n".join(result)


def width(text: str) -> int:
    """Columns that it takes in code."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _edits(lines: Sequence[str]) -> list[tuple[int, int, list[str]]]:
    """Lines [start, end) and what takes their place, in order."""
    tokens = parse(lines)
    found: list[tuple[int, int, list[str]]] = []
    table_end = 0
    for number, (before, token) in enumerate(pairwise([Token("", "", 0), *tokens])):
        # A heading's text does not count the line below it.
        start, end = (before.map if before.type == "heading_open" else token.map) or (0, 0)
        if token.type == "table_open":
            table_end = end
            found.append((start, end, _table(_rows(tokens[number:]), first=prefix(lines[start]))))
        elif start >= table_end and (new := _replacement(before, token, lines[start:end])) is not None:
            found.append((start, end, new))
    return found


def _replacement(before: Token, token: Token, lines: Sequence[str]) -> list[str] | None:
    """What takes the place of a block other than a table; None when it can stay."""
    match token.type:
        case "fence" if token.markup != "```":
            return _code(token.content, info=token.info, first=prefix(lines[0]))
        case "code_block":  # its indentation is what made it code
            first = prefix(lines[0]).rstrip()
            return _code(token.content, info="", first=first and f"{first} ")
        case "hr":
            return [re.sub(r"[^>\s].*", "⸻", lines[0])]
        case "inline" if before.type == "heading_open":
            return [_heading(before, token, first=prefix(lines[0]))]
        case "inline":
            return _text("\n".join(lines)).split("\n")
    return None


def _heading(opening: Token, inline: Token, *, first: str) -> str:
    level = int(opening.tag[1])
    text = " ".join(_text(inline.content).split())
    lead = first.removesuffix("# ").rstrip("#")
    if level <= _LARGEST_HEADINGS:
        return f"{lead}{'#' * level} {text}"
    return f"{lead}**{text.replace('**', '')}**"


def _text(text: str) -> str:
    """Text with its inline markup; code in it stays as it is."""
    written: list[str] = []
    position = 0
    for code in [*_CODE.finditer(text), None]:
        start, end = code.span() if code else (len(text), len(text))
        between = _LINK.sub(_quiet_link, _HARD_BREAK.sub("", text[position:start]))
        between = _ENTITY.sub(lambda entity: _ENTITIES[entity[1]], between)
        written += [between.replace("||", "\\|\\|"), text[start:end]]
        position = end
    return "".join(written)


def _quiet_link(link: re.Match[str]) -> str:
    """Without the preview that Discord would show below the message."""
    url = (link["url"] or link["bare"]).replace("|", "%7C")
    label = (link["label"] or "").strip()
    return f"[{label}](<{url}>)" if label else f"<{url}>"


def _code(content: str, *, info: str, first: str = "") -> list[str]:
    rest = re.sub(r"[^>\s]", " ", first)
    language = found[0] if (found := re.match(r"[\w+#.\-]*", info.strip())) else ""
    inside = content.removesuffix("\n").replace("```", "'''").split("\n")
    return [f"{first}```{language}", *(rest + line for line in inside), f"{rest}```"]


def _rows(tokens: Sequence[Token]) -> list[list[Token]]:
    """The cells of a table, row by row, from the tokens that begin with it."""
    rows: list[list[Token]] = []
    for token in tokens:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token)
    return rows


def _table(rows: Sequence[Sequence[Token]], *, first: str) -> list[str]:
    rest = re.sub(r"[^>\s]", " ", first)
    plain = [[_plain(cell) for cell in row] for row in rows]
    widths = [max(width(row[column]) for row in plain if column < len(row)) for column in range(len(rows[0]))]
    is_narrow = sum(widths) + 2 * (len(widths) - 1) <= NARROW and len(rows) > 1
    lines = _aligned(plain, widths) if is_narrow else _listed(rows)
    return [first + lines[0], *(rest + line for line in lines[1:])]


def _aligned(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    written = [
        "  ".join(cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]
    header = [written[0], "  ".join("─" * wide for wide in widths)]
    in_block = max(1, TABLE // (sum(widths) + 2 * len(widths)))
    lines: list[str] = []
    for start in range(1, len(written), in_block):
        lines += [*([""] if lines else []), "```", *header, *written[start : start + in_block], "```"]
    return lines


def _listed(rows: Sequence[Sequence[Token]]) -> list[str]:
    """An item for each row, with what the columns say about it below."""
    header = [_text(cell.content).replace("**", "") for cell in rows[0]]
    lines = [] if len(rows) > 1 else [f"- {', '.join(header)}"]
    for row in rows[1:]:
        cells = [" ".join(_text(cell.content).split()) for cell in row]
        lines.append(f"- **{cells[0].replace('**', '')}**" if cells and cells[0] else "- ⸻")
        for title, cell in zip(header[1:], cells[1:], strict=False):
            if cell:
                lines.append(f"  - {title}: {cell}" if title else f"  - {cell}")
    return lines


def _plain(inline: Token) -> str:
    """Its text without markup, for a place where markup would show."""
    inside = inline.children or []
    text = "".join(token.content for token in inside if token.type in {"text", "code_inline"})
    return " ".join(text.replace("```", "'''").split())
