"""Pages that were fetched, kept between readings: what they said, and what the website asks to be told the next time.

Each page is two files, replaced one after the other, so that a crash costs one page at most. What cannot be read is as
good as not there.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import date
from email.utils import parsedate_to_datetime
from pathlib import Path

from knowledge.sources.web.content import CONTENT_VERSION

_AT_REST = 3600.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it was when it was last fetched."""

    url: str
    suffix: str
    """Of what its bytes are: ".html", ".md", ".txt", ".pdf"."""
    etag: str
    modified: str
    """`Last-Modified`."""
    changed: str
    """What the sitemap said of it; empty when it said nothing."""
    checked: float
    """Unix time when the website last said that it is like this."""
    links: tuple[str, ...]
    """To pages of the website."""

    @property
    def day(self) -> str:
        """Of its last change, ISO 8601, as far as the sitemap or else the server knows it; empty when they do not.

        Many servers make each page as they are asked for it, and call that its last change: it is believed only once
        the page has stayed the same for `_AT_REST`.
        """
        said = self.changed.strip()[:10]
        try:
            return date.fromisoformat(said).isoformat()
        except ValueError:
            pass
        try:
            moment = parsedate_to_datetime(self.modified)
            return moment.date().isoformat() if self.checked - moment.timestamp() >= _AT_REST else ""
        except (ValueError, OverflowError, OSError):
            return ""


class PageStore:
    """The pages of one website, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def body(self, page: Page) -> Path:
        """Where its bytes are."""
        return self._folder / f"{_key(page.url)}.body"

    def find(self, url: str) -> Page | None:
        """What is kept of a page."""
        page = self._read(self._folder / f"{_key(url)}.json")
        return page if page and page.url == url else None

    def put(self, page: Page, body: bytes | None = None) -> None:
        """Keep a page; without a body, the one that is there is still right."""
        if body is not None:
            self._write(self.body(page), body)
        note = {"version": CONTENT_VERSION, **asdict(page)}
        self._write(self._folder / f"{_key(page.url)}.json", json.dumps(note).encode())

    def keep_only(self, urls: Collection[str]) -> None:
        """Forget all others."""
        keys = {_key(url) for url in urls}
        for file in list(self._folder.iterdir()):
            if file.stem not in keys:
                file.unlink()

    def _read(self, file: Path) -> Page | None:
        try:
            note = json.loads(file.read_bytes())
            if note.pop("version") != CONTENT_VERSION:  # good enough only if it cannot be fetched anew
                note |= {"etag": "", "modified": "", "changed": ""}
            page = Page(**note | {"links": tuple(note["links"])})
            return page if self.body(page).is_file() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _write(self, file: Path, data: bytes) -> None:
        beside = file.with_suffix(".new")
        beside.write_bytes(data)
        beside.replace(file)


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:32]
