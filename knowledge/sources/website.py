"""A website: the pages of its sitemap, or those that can be reached by links, kept in the data folder.

It stays on the website's host and below the path of the address, keeps to robots.txt and the pace, and asks only for
what has changed. Scripts are not run, so pages that are filled by one hold nothing. "noindex" is not obeyed: it is
meant for public search engines, and internal websites have it everywhere.

A page that fails is left as it was. When too many fail in a row, the website counts as unreachable, and all stays as it
was.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from yarl import URL

from knowledge.errors import SourceError
from knowledge.sources.patterns import Patterns
from knowledge.sources.protocol import SourceFile
from knowledge.sources.storage import fetching
from knowledge.sources.web.crawl import crawl
from knowledge.sources.web.fetching import Fetcher, Limits, TroubleError, UnreachableError
from knowledge.sources.web.pages import Page, PageStore
from knowledge.sources.web.reading import Reader
from knowledge.sources.web.scope import Scope
from knowledge.sources.web.sitemaps import Rules, read_rules, read_sitemaps
from knowledge.sources.web.visitor import Visitor

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

log = logging.getLogger(__name__)

_LONGEST_DELAY = 60.0
"""Seconds between two pages that a robots.txt may want."""


@dataclass(frozen=True)
class WebsiteSource:
    """Pages below `url` whose path there matches `include` and not `exclude`."""

    name: str
    url: str
    visible_to: frozenset[str]
    data_dir: Path
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    sitemap: bool = True
    """Whether a sitemap, where there is one, says which pages there are; else links do."""
    depth: int = 5
    """Links from `url` to the furthest page."""
    pages: int = 1000
    """The most that are asked for."""
    rate: float = 2.0
    """The most requests in a second; robots.txt may say less."""
    allow_private: bool = False
    """Whether it may be at an address of this machine or of a private network."""
    limits: Limits = field(default_factory=Limits)
    resolver: "AbstractResolver | None" = None
    """Finds the addresses of names; None: as the machine does."""

    def files(self) -> Iterator[SourceFile]:
        """Fetch what has changed, then list all pages, nearest first; blocks for as long as the pace needs.

        Raises SourceError when it is not known which pages there are.
        """
        with fetching(self.data_dir, source=self.name, place=f"website {self.url}") as folder:
            store = PageStore(folder)
            try:
                documents = asyncio.run(self._read(store))
            except (UnreachableError, TroubleError) as error:
                raise SourceError(f"Source '{self.name}': {self.url} cannot be read: {error}.") from error
        for path, page in documents.items():
            day = page.day
            yield SourceFile(path, page.url, store.body(page), {"date": day} if day else {})

    async def _read(self, store: PageStore) -> dict[str, Page]:
        """By path the documents."""
        scope = Scope(URL(self.url))
        patterns = Patterns(self.include, self.exclude)
        with Reader() as reader:
            async with self._fetcher(scope) as fetcher:
                rules = await self._rules(fetcher, scope)
                listed = await read_sitemaps(fetcher, scope, rules.sitemaps) if self.sitemap else {}
                visitor = Visitor(scope, patterns, rules, fetcher, reader, store, listed)
                listed = {url: changed for url, changed in listed.items() if visitor.includes(url)}
                tour = await crawl(
                    listed or [scope.start],
                    visitor.visit,
                    depth=0 if listed else self.depth,
                    limit=self.pages,
                )
        if not visitor.reached:
            raise UnreachableError(visitor.refusal)
        if tour.left:
            log.warning("Source '%s' has more than %d pages; the others are left out.", self.name, self.pages)
        store.keep_only({str(url) for url in tour.visited})
        return visitor.documents

    def _fetcher(self, scope: Scope) -> Fetcher:
        return Fetcher(
            scope,
            rate=self.rate,
            allow_private=self.allow_private,
            limits=self.limits,
            resolver=self.resolver,
        )

    async def _rules(self, fetcher: Fetcher, scope: Scope) -> Rules:
        rules = await read_rules(fetcher, scope)
        if rules.delay > _LONGEST_DELAY:
            raise UnreachableError(
                f"its robots.txt wants {rules.delay:g} s between two pages, which takes too long; ask who runs it "
                "for less"
            )
        if rules.delay > 1 / self.rate:
            fetcher.pace(rules.delay)
        return rules
