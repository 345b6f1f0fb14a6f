import asyncio

from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from knowledge.sources.web.crawl import Tour, Visit, crawl

pages = st.dictionaries(
    st.integers(0, 9), st.tuples(st.lists(st.integers(0, 9), max_size=4), st.none() | st.integers(0, 9))
)


def address(number: int) -> URL:
    return URL(f"https://h/{number}")


@given(pages, st.integers(0, 4), st.integers(1, 12))
def test_any_website_is_visited_once_and_within_its_limits(
    site: dict[int, tuple[list[int], int | None]], depth: int, limit: int
) -> None:
    asked: list[URL] = []

    async def visit(url: URL) -> Visit:
        asked.append(url)
        links, moved = site.get(int(url.path[1:]), ([], None))
        return Visit([address(link) for link in links], address(moved) if moved is not None else None)

    tour: Tour = asyncio.run(crawl([address(0)], visit, depth=depth, limit=limit))
    assert tour.visited == asked
    assert len(set(asked)) == len(asked) <= limit
    steps = {address(0): 0}
    for _ in range(20):  # as long as ways get shorter
        for number, (links, moved) in site.items():
            if (here := steps.get(address(number))) is not None:
                ways = [(address(link), here + 1) for link in links]
                if moved is not None:
                    ways.append((address(moved), here))
                for url, far in ways:
                    steps[url] = min(far, steps.get(url, far))
    assert all(steps[url] <= depth for url in asked)
