"""One run at a time, joined by whoever wants the same, and stopped without a loss."""

import asyncio
import threading

import pytest

from bot.errors import UsageError
from bot.reindexing import Reindexing, ReindexStoppedError
from knowledge.errors import SourceError
from knowledge.planning import Progress, ProgressCallback, SyncReport


class Library:
    """Reads sources file by file, each when it is let."""

    def __init__(self, files: int = 3) -> None:
        self.files = files
        self.names = ["handbook", "wiki"]
        """Those that are not paused."""
        self.runs: list[tuple[str | None, bool]] = []
        self.preview_gate = threading.Event()
        self.preview_gate.set()
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
            self.preview_gate.wait()
            if on_progress:
                on_progress(Progress("read", 0, 0, "wiki"))
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
    reindexing = Reindexing(library.sync, names=lambda: library.names)
    everything = await reindexing.begin()
    assert await reindexing.begin("wiki") is everything
    assert await reindexing.begin() is everything
    library.gate.set()
    assert (await everything.report()).embedded == library.files
    assert library.runs == [(None, False)]
    assert reindexing.running is None


@pytest.mark.parametrize(("only", "force"), [("wiki", False), (None, False), ("handbook", True)])
async def test_who_asks_for_something_else_waits(library: Library, only: str | None, force: bool) -> None:
    reindexing = Reindexing(library.sync, names=lambda: library.names)
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
    reindexing = Reindexing(library.sync, names=lambda: library.names)
    run = await reindexing.begin()
    while run.progress is None:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert (run.progress.done, run.progress.total) == (0, 3)
    assert not await run.wait(0.001)
    library.gate.set()
    assert await run.wait(10)


async def test_cancelled_it_stops_at_the_next_file_and_says_so(library: Library) -> None:
    reindexing = Reindexing(library.sync, names=lambda: library.names)
    assert not reindexing.cancel()
    run = await reindexing.begin()
    assert reindexing.cancel()
    library.gate.set()
    with pytest.raises(UsageError, match="the next run goes on"):
        await run.report()
    assert reindexing.running is None


async def test_when_the_only_one_who_waits_is_gone_so_is_the_run(library: Library) -> None:
    reindexing = Reindexing(library.sync, names=lambda: library.names)
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
    reindexing = Reindexing(library.sync, names=lambda: library.names)
    with pytest.raises(SourceError, match="gone"):
        await reindexing.run()
    library.error = None
    assert (await reindexing.run()).embedded == library.files


async def test_a_preview_changes_nothing(library: Library) -> None:
    assert (await Reindexing(library.sync, names=lambda: library.names).preview("wiki")).dry_run
    assert library.runs == []


async def test_a_preview_can_be_cancelled(library: Library) -> None:
    reindexing = Reindexing(library.sync, names=lambda: library.names)
    library.preview_gate.clear()
    preview = asyncio.create_task(reindexing.preview())
    await asyncio.sleep(0.01)
    assert reindexing.cancel()
    library.preview_gate.set()
    with pytest.raises(ReindexStoppedError):
        await preview
    assert not reindexing.cancel()


async def test_a_run_of_everything_does_not_do_for_a_paused_source_or_one_that_came_later(
    library: Library,
) -> None:
    reindexing = Reindexing(library.sync, names=lambda: library.names)
    everything = await reindexing.begin()
    assert reindexing.joinable("wiki") is everything
    assert reindexing.joinable("paused") is None
    library.names.append("new")
    assert reindexing.joinable(None) is None
    library.gate.set()
    await everything.report()


async def test_nobody_joins_a_run_that_is_being_stopped(library: Library) -> None:
    reindexing = Reindexing(library.sync, names=lambda: library.names)
    first = await reindexing.begin()
    reindexing.cancel()
    assert reindexing.joinable(None) is None
    library.gate.set()
    assert await reindexing.begin() is not first


async def test_one_of_two_who_follow_may_leave(library: Library) -> None:
    reindexing = Reindexing(library.sync, names=lambda: library.names)
    leaves, stays = (asyncio.create_task(reindexing.run()) for _ in range(2))
    while reindexing.running is None:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    leaves.cancel()
    await asyncio.wait([leaves])
    library.gate.set()
    assert (await stays).embedded == library.files


async def test_nothing_else_changes_the_index_meanwhile(library: Library) -> None:
    reindexing = Reindexing(library.sync, names=lambda: library.names)
    async with reindexing.alone:
        run = await reindexing.begin()
        assert not await run.wait(0.05)
        assert library.runs == []
    library.gate.set()
    await run.report()
