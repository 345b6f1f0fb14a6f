"""What a website says about itself to programs: robots.txt and sitemaps."""

import logging
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from yarl import URL

from knowledge.sources.web.fetching import AGENT, Fetcher
from knowledge.sources.web.scope import Scope

log = logging.getLogger(__name__)

_LARGEST = 50_000_000
"""Bytes of a sitemap, unpacked; what the protocol allows."""
_MOST = 50
"""Sitemaps of a website that are read."""


class Rules:
    """A website's robots.txt."""

    def __init__(self, text: str) -> None:
        from protego import Protego

        self._parsed = Protego.parse(text)

    def allow(self, url: URL) -> bool:
        """Whether programs such as this one may fetch the address."""
        return self._parsed.can_fetch(str(url), AGENT)

    @property
    def delay(self) -> float:
        """Seconds that shall pass between two requests."""
        return float(self._parsed.crawl_delay(AGENT) or 0)

    @property
    def sitemaps(self) -> list[str]:
        return list(self._parsed.sitemaps)


async def read_rules(fetcher: Fetcher, scope: Scope) -> Rules:
    """The website's robots.txt; one that is not there forbids nothing. Raises TroubleError and UnreachableError."""
    answer = await fetcher.follow(scope.start.origin() / "robots.txt")
    return Rules(answer.body.decode("utf-8", "replace") if answer else "")


@dataclass(slots=True)
class Sitemap:
    """What one file says."""

    pages: list[tuple[str, str]] = field(default_factory=list)
    """Address, and when it was changed, as it is written there."""
    sitemaps: list[str] = field(default_factory=list)


def parse_sitemap(data: bytes) -> Sitemap:
    """A sitemap or an index of sitemaps, as XML or as lines of text, packed or not; raises ValueError for others."""
    from defusedxml import DefusedXmlException, ElementTree

    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(data)
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        lines = data.decode("utf-8-sig", "replace").split()
        return Sitemap(pages=[(line, "") for line in lines if line.startswith(("http://", "https://"))])
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, DefusedXmlException, LookupError) as error:
        raise ValueError("no valid XML") from error
    found = Sitemap()
    for entry in root:
        parts = {_name(part.tag): (part.text or "").strip() for part in entry}
        if not parts.get("loc"):
            continue
        if _name(root.tag) == "sitemapindex":
            found.sitemaps.append(parts["loc"])
        elif _name(root.tag) == "urlset":
            found.pages.append((parts["loc"], parts.get("lastmod", "")))
    return found


async def read_sitemaps(fetcher: Fetcher, scope: Scope, listed: Sequence[str]) -> dict[URL, str]:
    """Pages of the website in its sitemaps, each with when it was changed: of those `listed` in robots.txt, else of
    the sitemap where one is usually found. Nothing when there is none. Raises TroubleError and UnreachableError.
    """
    found: dict[URL, str] = {}
    usual = [scope.start.with_path(scope.prefix) / "sitemap.xml", scope.start.origin() / "sitemap.xml"]
    waiting = deque(url for link in listed if (url := scope.resolve_on_site(link, scope.start)))
    for url in () if waiting else dict.fromkeys(usual):
        if await _read(fetcher, scope, url, found, waiting):
            break
    seen = set(waiting)
    for _ in range(_MOST):
        if not waiting:
            break
        more: deque[URL] = deque()
        await _read(fetcher, scope, waiting.popleft(), found, more)
        waiting += [url for url in more if url not in seen]
        seen.update(more)
    return found


async def _read(fetcher: Fetcher, scope: Scope, url: URL, found: dict[URL, str], more: "deque[URL]") -> bool:
    """Add what a sitemap says; whether it is there."""
    answer = await fetcher.follow(url)
    if answer is None:
        return False
    try:
        sitemap = parse_sitemap(answer.body)
    except ValueError as error:
        log.info("%s is left out: %s.", url, error)
        return False
    for link, changed in sitemap.pages:
        if page := scope.resolve(link, url):
            found.setdefault(page, changed)
    more += [one for link in sitemap.sitemaps if (one := scope.resolve_on_site(link, url))]
    return True


def _unpacked(data: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacking.decompress(data, _LARGEST)
    except zlib.error as error:
        raise ValueError("it cannot be unpacked") from error
    if unpacking.unconsumed_tail:
        raise ValueError("it is too large")
    return unpacked


def _name(tag: str) -> str:
    return tag.rpartition("}")[2]
