"""A slow source can be left, and its error comes when its files are wanted."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowledge.errors import SourceError
from knowledge.listing import Listed
from knowledge.planning import Progress
from knowledge.sources.protocol import SourceFile

FILE = SourceFile("a.md", "/docs/a.md", Path("/docs/a.md"))


class Slow:
    """Lists its files when it is let, or fails."""

    name = "docs"
    visible_to = frozenset({"everyone"})

    def __init__(self, error: SourceError | None = None) -> None:
        self.gate = threading.Event()
        self.error = error

    def files(self) -> Iterator[SourceFile]:
        self.gate.wait()
        if self.error:
            raise self.error
        yield FILE


def test_it_has_what_the_source_had() -> None:
    source = Slow()
    source.gate.set()
    listed = Listed(source, lambda _: None)
    assert (listed.name, listed.visible_to, list(listed.files())) == ("docs", source.visible_to, [FILE])
    assert list(listed.files()) == [FILE]


def test_its_error_comes_when_the_files_are_wanted() -> None:
    source = Slow(SourceError("The site is down."))
    source.gate.set()
    listed = Listed(source, lambda _: None)
    with pytest.raises(SourceError, match="down"):
        list(listed.files())


def test_who_stops_need_not_wait_for_it() -> None:
    source = Slow()

    def stop(progress: Progress) -> None:
        assert progress == Progress("read", 0, 0, "docs")
        raise InterruptedError

    with pytest.raises(InterruptedError):
        Listed(source, stop)
    source.gate.set()
