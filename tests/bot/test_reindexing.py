"""One run at a time, joined by whoever wants the same, and stopped without a loss."""

import asyncio
import threading

import pytest

from bot.errors import UsageError
from bot.reindexing import Reindexing
from knowledge.errors import SourceError
from knowledge.planning import Progress, ProgressCallback, SyncReport


class Library:
    """Reads sources file by file, each when it is let."""

    def __init__(self, files: int = 3) -> None:
        self.files = files
        self.runs: list[tuple[str | None, bool]] = []
        self.gate = threading.Event()
        self.error: Exception | None = None

    def sync(
        self,
        *,
        only: str | None,
        dry_run: bool = False,
        retry_failed: bool = False,
        force: bool = False,
        on_progress: ProgressCallback | None = None,
    ) -> SyncReport:
        if dry_run:
            return SyncReport(dry_run=True)
        self.runs.append((only, force))
        for done in range(self.files):
            if on_progress:
                on_progress(Progress("index", done, self.files, f"{done}.md"))
            if done == 0:
                self.gate.wait()
        if self.error:
            raise self.error
        return SyncReport(embedded=self.files)


@pytest.fixture
def library() -> Library:
    return Library()


async def test_who_asks_for_the_same_joins(library: Library) -> None:
    reindexing = Reindexing(library.sync)
    everything = await reindexing.begin()
    assert await reindexing.begin("wiki") is everything
    assert await reindexing.begin() is everything
    library.gate.set()
    assert (await everything.report()).embedded == library.files
    assert library.runs == [(None, False)]
    assert reindexing.running is None


@pytest.mark.parametrize(("only", "force"), [("wiki", False), (None, False), ("handbook", True)])
async def test_who_asks_for_something_else_waits(library: Library, only: str | None, force: bool) -> None:
    reindexing = Reindexing(library.sync)
    first = await reindexing.begin("handbook")
    waiting = asyncio.create_task(reindexing.begin(only, force=force))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    library.gate.set()
    second = await waiting
    assert first.task.done()
    await second.report()
    assert library.runs == [("handbook", False), (only, force)]


async def test_it_says_how_far_it_is(library: Library) -> None:
    reindexing = Reindexing(library.sync)
    run = await reindexing.begin()
    while run.progress is None:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert (run.progress.done, run.progress.total) == (0, 3)
    assert not await run.wait(0.001)
    library.gate.set()
    assert await run.wait(10)


async def test_cancelled_it_stops_at_the_next_file_and_says_so(library: Library) -> None:
    reindexing = Reindexing(library.sync)
    assert not reindexing.cancel()
    run = await reindexing.begin()
    assert reindexing.cancel()
    library.gate.set()
    with pytest.raises(UsageError, match="the next run goes on"):
        await run.report()
    assert reindexing.running is None


async def test_when_the_only_one_who_waits_is_gone_so_is_the_run(library: Library) -> None:
    reindexing = Reindexing(library.sync)
    waiting = asyncio.create_task(reindexing.run())
    while reindexing.running is None:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    library.gate.set()
    await reindexing.close()
    assert reindexing.running is None


async def test_an_error_reaches_whoever_waits_and_the_next_run_begins_anew(library: Library) -> None:
    library.gate.set()
    library.error = SourceError("The folder is gone.")
    reindexing = Reindexing(library.sync)
    with pytest.raises(SourceError, match="gone"):
        await reindexing.run()
    library.error = None
    assert (await reindexing.run()).embedded == library.files


async def test_a_preview_changes_nothing(library: Library) -> None:
    assert (await Reindexing(library.sync).preview("wiki")).dry_run
    assert library.runs == []
