"""The order in which the pages of a website are visited."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from yarl import URL


@dataclass(frozen=True, slots=True)
class Visit:
    """What a visit to a page found."""

    links: Sequence[URL] = ()
    """To pages of the website."""
    moved: URL | None = None
    """The page of the website to which this one leads instead."""


@dataclass(frozen=True, slots=True)
class Tour:
    """Where a crawl has been."""

    visited: list[URL]
    left: int
    """Pages that were known but not visited any more, because of the limit."""


async def crawl(
    seeds: Iterable[URL], visit: Callable[[URL], Awaitable[Visit]], *, depth: int, limit: int
) -> Tour:
    """Visit the pages nearest to the seeds first, each once, at most `limit`; links lead `depth` steps away.

    A page that has moved is no step. The order depends on nothing but what the visits find.
    """
    waiting = deque((url, 0) for url in dict.fromkeys(seeds))
    seen = {url for url, _ in waiting}
    visited: list[URL] = []
    while waiting and len(visited) < limit:
        url, steps = waiting.popleft()
        visited.append(url)
        found = await visit(url)
        if found.moved and found.moved not in seen:
            seen.add(found.moved)
            waiting.appendleft((found.moved, steps))
        for link in found.links if steps < depth else ():
            if link not in seen:
                seen.add(link)
                waiting.append((link, steps + 1))
    return Tour(visited, len(waiting))
