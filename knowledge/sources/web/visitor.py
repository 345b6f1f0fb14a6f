"""Visiting the pages of a website one after the other, and what becomes of each."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from yarl import URL

from knowledge.sources.patterns import Patterns
from knowledge.sources.web.crawl import Visit
from knowledge.sources.web.fetching import Answer, Fetcher, TroubleError, UnreachableError
from knowledge.sources.web.pages import Page, PageStore
from knowledge.sources.web.reading import Reader, UnreadableError
from knowledge.sources.web.scope import Scope, document_path
from knowledge.sources.web.sitemaps import Rules

_TYPES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/plain": ".txt",
    "application/pdf": ".pdf",
}
_PLAIN = frozenset({".md", ".markdown", ".rst", ".csv", ".txt"})
"""Suffixes that say more than "text/plain"."""
_UNTOLD = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""Types of servers that do not know."""
_NO_PAGES = frozenset(
    ".png .jpg .jpeg .gif .svg .webp .ico .css .js .json .xml .zip .gz .tgz .bz2 .xz .7z .tar .exe .dmg .deb .rpm .jar "
    ".whl .mp3 .mp4 .webm .avi .mov .woff .woff2 .ttf".split()
)
"""Suffixes of what is not even asked for."""
_GIVE_UP = 5
"""Failures in a row after which the website counts as unreachable."""
_DAY = 86_400.0
"""Seconds after which a page is asked for although the sitemap says that it has not changed."""


class Visitor:
    """Goes through a website once."""

    def __init__(
        self,
        scope: Scope,
        patterns: Patterns,
        rules: Rules,
        fetcher: Fetcher,
        reader: Reader,
        store: PageStore,
        changed: Mapping[URL, str],
    ) -> None:
        """`changed`: by page what the sitemap says of its last change."""
        self._scope = scope
        self._patterns = patterns
        self._rules = rules
        self._fetcher = fetcher
        self._reader = reader
        self._store = store
        self._changed = changed
        self._in_a_row = 0
        self.documents: dict[str, Page] = {}
        """By path, in the order in which they were found."""
        self.reached = 0
        """Pages that are there."""
        self.refusal = "there is no page; correct `url`"
        """Why the last one is not."""

    def includes(self, url: URL) -> bool:
        """Whether a page is a document of the source."""
        return self._patterns.want(PurePosixPath(self._scope.path(url)))

    async def visit(self, url: URL) -> Visit:
        """Take a page among the documents, if it is there and wanted, and tell where it leads.

        A page that fails is taken as it was. Raises UnreachableError, also when too many fail in a row.
        """
        if self._is_left_out(url):
            return Visit()
        kept = self._store.find(str(url))
        if kept and self._is_fresh(kept, url):
            return self._take(kept)
        try:
            page = await self._ask(url, kept)
        except TroubleError as error:
            self._fail(url, f"{error}; try again later, or exclude it")
            return self._take(kept) if kept else Visit()
        if isinstance(page, Visit):
            return page
        self._in_a_row = 0
        return self._take(page)

    async def _ask(self, url: URL, kept: Page | None) -> Page | Visit:
        """The page as it is now, or the visit to what is none; raises TroubleError and UnreachableError."""
        answer = await self._fetcher.get(
            url,
            etag=kept.etag if kept else "",
            modified=kept.modified if kept else "",
            wants=lambda kind: suffix_of(kind, url) is not None,
        )
        if answer.moved:
            return self._follow(url, answer.moved)
        match answer.status:
            case 304 if kept:
                page = replace(kept, checked=time.time(), changed=self._changed.get(url, ""))
                self._store.put(page)
                return page
            case 200:
                if suffix := suffix_of(answer.type, url):
                    return await self._keep(answer, suffix)
                self.refusal = "it is neither HTML nor text nor PDF; correct `url`"
            case 404 | 410:
                self.refusal = f"it answers with status {answer.status}; correct `url`"
            case _:
                self._fail(url, f"it answers with status {answer.status}; let it be read, or exclude it")
        return Visit()

    def _is_left_out(self, url: URL) -> bool:
        path = PurePosixPath(self._scope.path(url))
        if path.suffix.lower() in _NO_PAGES or self._patterns.leave_out(path):
            return True
        if not self._rules.allow(url):
            self.refusal = "its robots.txt does not let programs read it; ask who runs it"
            return True
        return False

    def _is_fresh(self, kept: Page, url: URL) -> bool:
        changed = self._changed.get(url, "")
        return bool(changed) and changed == kept.changed and time.time() - kept.checked < _DAY

    def _take(self, page: Page) -> Visit:
        self.reached += 1
        url = URL(page.url)
        if self.includes(url):
            self.documents.setdefault(document_path(self._scope, url, page.suffix), page)
        return Visit([link for one in page.links if (link := self._scope.resolve(one, url))])

    def _follow(self, url: URL, moved: str) -> Visit:
        target = self._scope.resolve(moved, url)
        if target is None:
            self.refusal = (
                f"it leads to {_shown(url, moved)}, which is no part of it; give that as `url` if it is meant"
            )
        return Visit(moved=target)

    def _fail(self, url: URL, reason: str) -> None:
        self._in_a_row += 1
        self.refusal = reason
        if self._in_a_row >= _GIVE_UP:
            raise UnreachableError(f"{_GIVE_UP} pages in a row failed, the last {url.path}: {reason}")

    async def _keep(self, answer: Answer, suffix: str) -> Page:
        body, etag, modified = answer.body, answer.etag, answer.modified
        links: tuple[str, ...] = ()
        if suffix == ".html":
            try:
                content = await self._reader.read(body, charset=answer.charset, url=str(answer.url))
                body, links = content.html, self._own(content.links, answer.url)
            except UnreadableError:
                # Its own loader finds the same and reports the file by name. The next time it is asked for in full, or
                # where it leads would never be known; where a sitemap knows it, once a day.
                etag = modified = ""
        elif suffix in _PLAIN and answer.charset:
            body = _in_utf8(body, answer.charset)
        page = Page(
            url=str(answer.url),
            suffix=suffix,
            etag=etag,
            modified=modified,
            changed=self._changed.get(answer.url, ""),
            checked=time.time(),
            links=links,
        )
        self._store.put(page, body)
        return page

    def _own(self, links: tuple[str, ...], base: URL) -> tuple[str, ...]:
        found = (self._scope.resolve(link, base) for link in links)
        return tuple(dict.fromkeys(str(url) for url in found if url))


def suffix_of(kind: str, url: URL) -> str | None:
    """By the type of a page, and by its address, the suffix of a file like it; None when it is not read."""
    named = PurePosixPath(url.path).suffix.lower()
    if kind == "text/plain" and named in _PLAIN:
        return named
    if kind in _UNTOLD and named in {*_PLAIN, ".html", ".htm", ".pdf"}:
        return named
    return _TYPES.get(kind)


def _in_utf8(data: bytes, charset: str) -> bytes:
    try:
        return data.decode(charset).encode("utf-8", "replace")
    except (LookupError, UnicodeDecodeError):
        return data  # the loader guesses


def _shown(url: URL, moved: str) -> str:
    """Without what may be a secret: login and query."""
    try:
        return str(url.join(URL(moved)).with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return "another address"
