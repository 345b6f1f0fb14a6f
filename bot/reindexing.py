"""Reading the sources again, one run at a time, for everybody who wants it: people, schedules, the terminal.

Who asks for what is running already joins it; who asks for something else waits. A run that is cancelled, or ends with
the process, loses nothing: the next one goes on where it stopped. Its methods belong to the event loop.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from bot.errors import UsageError

if TYPE_CHECKING:
    from knowledge.planning import Progress, ProgressCallback, SyncReport

STOPPED = "Stopped; nothing of what people see has changed, and the next run goes on from here."


class ReindexStoppedError(UsageError):
    """Somebody cancelled the run."""


class Sync(Protocol):
    """`bot.library.Library.sync`."""

    def __call__(
        self,
        *,
        only: str | None,
        dry_run: bool = ...,
        retry_failed: bool = ...,
        force: bool = ...,
        on_progress: "ProgressCallback | None" = ...,
    ) -> "SyncReport": ...


class Run:
    """One run on its way."""

    def __init__(self, sync: Sync, only: str | None, *, force: bool) -> None:
        self.only = only
        """The one source that is read; None: all."""
        self.force = force
        """Whether the new state becomes visible even when its questions find less."""
        self.progress: Progress | None = None
        """The newest; written by the thread that works."""
        self._stop = threading.Event()
        self._sync = sync
        self.task = asyncio.create_task(self._work(), name=f"reindex {only or 'everything'}")

    def covers(self, only: str | None, *, force: bool) -> bool:
        """Whether it does what is wanted."""
        return self.only in {None, only} and self.force == force

    def cancel(self) -> None:
        """Stop at the next file."""
        self._stop.set()

    async def wait(self, seconds: float) -> bool:
        """Return when it has ended, or after a while; whether it has ended. Cancelling this leaves it running."""
        done, _ = await asyncio.wait([self.task], timeout=seconds)
        return bool(done)

    async def report(self) -> "SyncReport":
        """What it did; raises `KnowledgeError`, `UsageError`, or `ReindexStoppedError` when it was cancelled."""
        return await asyncio.shield(self.task)

    async def _work(self) -> "SyncReport":
        try:
            return await asyncio.to_thread(
                self._sync, only=self.only, retry_failed=True, force=self.force, on_progress=self._tick
            )
        except InterruptedError as error:
            raise ReindexStoppedError(STOPPED) from error

    def _tick(self, progress: "Progress") -> None:
        if self._stop.is_set():
            raise InterruptedError
        self.progress = progress


class Reindexing:
    """The one place where runs begin."""

    def __init__(self, sync: Sync) -> None:
        self._sync = sync
        self._run: Run | None = None

    @property
    def running(self) -> Run | None:
        """The run on its way."""
        return self._run

    async def preview(self, only: str | None = None) -> "SyncReport":
        """What a run would do; reads every file and parses none. Raises `KnowledgeError` and `UsageError`."""
        return await asyncio.to_thread(self._sync, only=only, dry_run=True)

    async def begin(self, only: str | None = None, *, force: bool = False) -> Run:
        """The run that does what is wanted: a new one, or the one that does it already.

        Waits for one that does something else. `force` makes the new state visible whatever its questions find.
        """
        while self._run is not None and not self._run.covers(only, force=force):
            await asyncio.wait([self._run.task])
        if self._run is None:
            self._run = run = Run(self._sync, only, force=force)
            run.task.add_done_callback(self._ended)
        return self._run

    async def run(
        self, only: str | None = None, *, on_progress: Callable[["Progress"], None] | None = None
    ) -> "SyncReport":
        """Begin and wait; when that is cancelled, so is the run. See `Run.report` for errors."""
        run = await self.begin(only)
        try:
            while not await run.wait(0.1):
                if on_progress and run.progress:
                    on_progress(run.progress)
        except asyncio.CancelledError:
            run.cancel()
            raise
        return await run.report()

    def cancel(self) -> bool:
        """Stop what runs; False when nothing does."""
        if self._run is None:
            return False
        self._run.cancel()
        return True

    async def close(self) -> None:
        """Stop what runs, and wait until it has stopped."""
        if run := self._run:
            run.cancel()
            await asyncio.wait([run.task])

    def _ended(self, task: "asyncio.Task[SyncReport]") -> None:
        self._run = None
        if not task.cancelled():
            task.exception()  # who waits hears of it; nobody may be waiting any more
