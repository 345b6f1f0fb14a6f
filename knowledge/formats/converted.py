"""What a converter gives, and how it says that it cannot."""

import re
from dataclasses import dataclass, field

MAX_CHARACTERS = 10_000_000
"""Of the text of one file, some 3,000 pages: cutting and embedding them takes minutes."""
_PLAIN_NAME = re.compile(r"[^\W_](?:[\w .,:;/()’'–-]*[^\W_)])?\)?")


class ConversionError(Exception):
    """Why the file has no text; the message continues the sentence '<file>: …' and names the way out."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What a parser made of a file. A form feed in `text` is a page break."""

    text: str
    title: str = ""
    """The title the file's own metadata claims; often empty or wrong."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What the file says about itself, see `Document.metadata`; never an empty value."""


def heading(name: str, *, level: int, anchor: str = "") -> str:
    """A Markdown heading of any name: what Markdown would take for markup is written as code."""
    name = " ".join(name.split())
    if not _PLAIN_NAME.fullmatch(name):
        name = inline_code(name)
    return f"{'#' * min(6, level)} {name}" + (f" {{#{anchor}}}" if anchor else "")


def inline_code(text: str) -> str:
    """Text of one line, shown as it stands."""
    ticks = "`" * (_longest_run(text) + 1)
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{padding}{text}{padding}{ticks}" if text else ""


def fenced(text: str, language: str = "") -> str:
    """Text of several lines, shown as it stands."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
