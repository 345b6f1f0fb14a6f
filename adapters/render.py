"""What answers look like on every platform: Markdown in pieces, made safe, and the sources in a few lines.

`split` cuts Markdown to a platform's length limit, `cleaned` takes out what could notify people or lead them
elsewhere; both are pure. Nothing here knows a platform's own markup.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from adapters.addresses import allowed_links, normalised
from adapters.cleaning import clean
from adapters.pieces import split
from feedback.records import SourceRecord

__all__ = [
    "QUOTED",
    "REASONS",
    "SourceLine",
    "allowed_links",
    "clean",
    "cleaned",
    "plain_source",
    "source_lines",
    "split",
]

REASONS = ("wrong", "incomplete", "outdated", "wrong source", "too slow", "other")
"""What may be wrong with an answer, as people choose it after a 👎."""

QUOTED = "In the documents' own words."
"""Below an answer that the model did not write."""


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One document of those an answer rests on."""

    numbers: tuple[int, ...]
    """By which the answer cites its passages."""
    label: str
    """Title and headings, without markup: `Travel policy › Hotels, Meals`."""
    url: str
    """Where it can be opened; empty when it is not on the web."""
    name: str
    """Of the file, or the last part of the address; empty when there is none."""

    @property
    def marks(self) -> str:
        """The numbers as the answer shows them: `[1][3]`."""
        return "".join(f"[{n}]" for n in self.numbers)


def cleaned(markdown: str, *, question: str, sources: Sequence[SourceRecord] = ()) -> str:
    """An answer that notifies nobody, and leads only where its sources or the question do."""
    return clean(markdown, allowed_links=allowed_links(question, sources)).strip()


def plain_source(source: SourceRecord) -> str:
    """A source in one line without markup: `[1] Travel policy › Hotels · path/travel.md#hotels`."""
    place = f"{source.title} › {source.heading}" if source.heading else source.title
    return f"[{source.n}] {place} · {source.uri}" if source.uri else f"[{source.n}] {place}"


def source_lines(sources: Sequence[SourceRecord]) -> list[SourceLine]:
    """A line for each document, in the order in which the answer cites them first.

    Passages of one document share a line. It leads to the passage when all of them stand at one place, else to
    the document.
    """
    documents: dict[tuple[str, str], list[SourceRecord]] = {}
    for source in sources:
        documents.setdefault((source.title, source.uri.partition("#")[0]), []).append(source)
    return [_line(title, uri, passages) for (title, uri), passages in documents.items()]


def _line(title: str, uri: str, passages: Sequence[SourceRecord]) -> SourceLine:
    places = {passage.uri for passage in passages}
    headings = dict.fromkeys(_one_line(passage.heading) for passage in passages if passage.heading.strip())
    name = PurePosixPath(unquote(uri if "://" not in uri else urlsplit(uri).path)).name
    title = _one_line(title) or name or "a document"
    is_web = re.match(r"https?://", uri, re.IGNORECASE) and normalised(uri) is not None
    return SourceLine(
        numbers=tuple(dict.fromkeys(passage.n for passage in passages)),
        label=f"{title} › {', '.join(headings)}" if headings else title,
        url=(places.pop() if len(places) == 1 else uri) if is_web else "",
        name=_one_line(name),
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
