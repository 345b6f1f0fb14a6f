from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from knowledge.sources import website
from knowledge.sources.web.content import Content, read_html
from knowledge.sources.web.fetching import Limits
from knowledge.sources.web.reading import UnreadableError
from knowledge.sources.website import WebsiteSource
from tests.knowledge.sources.web.site import Site, serving


class ReaderAtHand:
    """Takes pages apart in this process, which starts no other."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def read(self, data: bytes, *, charset: str, url: str) -> Content:
        try:
            return read_html(data, charset=charset, url=url)
        except ValueError as error:
            raise UnreadableError from error


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def source(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., WebsiteSource]:
    """A source that reads the site, without its pauses."""
    monkeypatch.setattr(website, "Reader", ReaderAtHand)

    def make(**changes: object) -> WebsiteSource:
        values: dict[str, object] = {
            "name": "docs",
            "url": f"{site.url}/docs/",
            "visible_to": frozenset({"everyone"}),
            "data_dir": tmp_path / "data",
            "rate": 10_000.0,
            "allow_private": True,
            "limits": Limits(pauses=(0.0,)),
        }
        return WebsiteSource(**(values | changes))  # type: ignore[arg-type]

    return make
