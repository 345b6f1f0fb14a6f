import sys

import pytest

from knowledge.errors import SourceError
from knowledge.sources.web.reading import Reader, UnreadableError

PAGE = b"<html><head><title>Hotels</title></head><body><h1>Hotels</h1><p>A night costs 140 EUR.</p></body></html>"
URL = "https://docs.example.com/hotels"


async def test_a_page_is_read_and_its_title_kept() -> None:
    with Reader() as reader:
        content = await reader.read(PAGE, charset="utf-8", url=URL)
    assert b"<title>Hotels</title>" in content.html
    assert b"140 EUR" in content.html


async def test_a_page_that_takes_too_long_costs_that_page() -> None:
    with Reader(seconds=0.0) as reader:
        for _ in range(2):
            with pytest.raises(UnreadableError, match="WorkerTimeoutError"):
                await reader.read(PAGE, charset="utf-8", url=URL)


async def test_a_page_that_takes_too_much_memory_costs_that_page() -> None:
    with Reader(memory=2**30) as reader:
        with pytest.raises(UnreadableError, match="MemoryError"):
            await reader.read(b"<p>" + b"x" * 2**28, charset="utf-8", url=URL)
        content = await reader.read(PAGE, charset="utf-8", url=URL)
    assert b"140 EUR" in content.html


async def test_without_a_process_it_is_no_fault_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with (
        Reader() as reader,
        pytest.raises(SourceError, match=r"No process can be started .* end other programs"),
    ):
        await reader.read(PAGE, charset="utf-8", url=URL)
