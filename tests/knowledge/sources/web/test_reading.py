import asyncio

import pytest

from knowledge.sources.web.reading import Reader, UnreadableError

PAGE = b"<html><head><title>Hotels</title></head><body><h1>Hotels</h1><p>A night costs 140 EUR.</p></body></html>"
URL = "https://docs.example.com/hotels"


async def test_a_page_is_read_and_its_title_kept() -> None:
    with Reader() as reader:
        content = await reader.read(PAGE, charset="utf-8", url=URL)
    assert b"140 EUR" in content.html


async def test_a_page_that_takes_too_long_costs_that_page() -> None:
    with Reader(seconds=0.0) as reader:
        with pytest.raises(UnreadableError):
            await reader.read(PAGE, charset="utf-8", url=URL)
        with pytest.raises(UnreadableError):
            await reader.read(PAGE, charset="utf-8", url=URL)


async def test_a_page_that_takes_too_much_memory_costs_that_page() -> None:
    with Reader(memory=2**30) as reader:
        with pytest.raises(UnreadableError):
            await reader.read(b"<p>" + b"x" * 2**28, charset="utf-8", url=URL)
        content = await reader.read(PAGE, charset="utf-8", url=URL)
    assert b"140 EUR" in content.html


async def test_a_reader_that_is_left_waits_for_no_page() -> None:
    with Reader() as reader:
        reading = asyncio.create_task(reader.read(b"<p>" * 100_000, charset="utf-8", url=URL))
        await asyncio.sleep(0.5)
        reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
