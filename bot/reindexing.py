"""Reading the sources again, one run at a time, for everybody who wants it: people, schedules, the terminal.

Who asks for what is running already joins it; who asks for something else waits. A run ends early when the last one who
follows it is gone, or when somebody cancels it, and loses nothing by that: the next one goes on where it stopped. Its
methods belong to the event loop.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
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

    def __init__(
        self,
        sync: Sync,
        only: str | None,
        *,
        names: Iterable[str],
        force: bool,
        retry_failed: bool,
        alone: AbstractAsyncContextManager[object],
    ) -> None:
        self.only = only
        """The one source that is read; None: all that are not paused."""
        self.progress: Progress | None = None
        """The newest; written by the thread that works."""
        self._names = frozenset(names)
        self._force = force
        self._retry_failed = retry_failed
        self._alone = alone
        self._stop = threading.Event()
        self._followers = 0
        self._sync = sync
        self.task = asyncio.create_task(self._work(), name=f"reindex {only or 'everything'}")

    def covers(
        self, only: str | None, *, names: Iterable[str], force: bool = False, retry_failed: bool = False
    ) -> bool:
        """Whether it does what is wanted: of `only`, or else of everything, which is `names`."""
        wanted = {only} if only else set(names)
        return (
            not self._stop.is_set()
            and (self.only is None or self.only == only)
            and wanted <= self._names
            and self._force == force
            and self._retry_failed >= retry_failed
        )

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Somebody waits for it in the block; the last one whose waiting is cancelled ends it."""
        self._followers += 1
        try:
            yield
        except asyncio.CancelledError:
            if self._followers == 1:
                self.cancel()
            raise
        finally:
            self._followers -= 1

    def cancel(self) -> None:
        """Stop at the next file."""
        self._stop.set()

    async def wait(self, seconds: float) -> bool:
        """Return when it has ended, or after a while; whether it has ended."""
        done, _ = await asyncio.wait([self.task], timeout=seconds)
        return bool(done)

    async def report(self) -> "SyncReport":
        """What it did; raises `KnowledgeError`, `UsageError`, or `ReindexStoppedError` when it was cancelled."""
        return await asyncio.shield(self.task)

    async def _work(self) -> "SyncReport":
        async with self._alone:
            try:
                return await asyncio.to_thread(
                    self._sync,
                    only=self.only,
                    retry_failed=self._retry_failed,
                    force=self._force,
                    on_progress=self._tick,
                )
            except InterruptedError as error:
                raise ReindexStoppedError(STOPPED) from error

    def _tick(self, progress: "Progress") -> None:
        if self._stop.is_set():
            raise InterruptedError
        self.progress = progress


class Reindexing:
    """The one place where runs begin."""

    def __init__(self, sync: Sync, *, names: Callable[[], Iterable[str]]) -> None:
        """`names` gives the sources that a run of everything reads now."""
        self._sync = sync
        self._names = names
        self._run: Run | None = None
        self._previews: set[threading.Event] = set()
        self._lock = asyncio.Lock()

    @property
    def running(self) -> Run | None:
        """The run on its way."""
        return self._run

    @property
    def alone(self) -> AbstractAsyncContextManager[object]:
        """Nothing else of this process changes the index in the block; waits for what does."""
        return self._lock

    def joinable(self, only: str | None) -> Run | None:
        """The run on its way, if it does what is wanted."""
        run = self._run
        return run if run and run.covers(only, names=self._names()) else None

    async def preview(self, only: str | None = None) -> "SyncReport":
        """What a run would do; reads every file and parses none.

        Raises `KnowledgeError`, `UsageError`, and `ReindexStoppedError` when it was cancelled.
        """
        stop = threading.Event()

        def tick(_: "Progress") -> None:
            if stop.is_set():
                raise InterruptedError

        self._previews.add(stop)
        try:
            return await asyncio.to_thread(self._sync, only=only, dry_run=True, on_progress=tick)
        except InterruptedError as error:
            raise ReindexStoppedError(STOPPED) from error
        finally:
            stop.set()
            self._previews.discard(stop)

    async def begin(self, only: str | None = None, *, force: bool = False, retry_failed: bool = True) -> Run:
        """The run that does what is wanted: a new one, or the one that does it already.

        Waits for one that does something else. `force` makes the new state visible whatever its questions find;
        `retry_failed` reads files again that could not be read before, although they have not changed.
        """
        while self._run is not None and not self._run.covers(
            only, names=self._names(), force=force, retry_failed=retry_failed
        ):
            await asyncio.wait([self._run.task])
        if self._run is None:
            names = {only} if only else set(self._names())
            self._run = run = Run(
                self._sync, only, names=names, force=force, retry_failed=retry_failed, alone=self._lock
            )
            run.task.add_done_callback(self._ended)
        return self._run

    async def run(
        self,
        only: str | None = None,
        *,
        retry_failed: bool = True,
        on_progress: Callable[["Progress"], None] | None = None,
    ) -> "SyncReport":
        """Begin and follow it to its end; see `Run.report` for errors."""
        run = await self.begin(only, retry_failed=retry_failed)
        with run.followed():
            while not await run.wait(0.1):
                if on_progress and run.progress:
                    on_progress(run.progress)
        return await run.report()

    def cancel(self) -> bool:
        """Stop what runs, for everybody who follows it; False when nothing does."""
        for preview in self._previews:
            preview.set()
        if self._run is not None:
            self._run.cancel()
        return bool(self._previews) or self._run is not None

    async def close(self) -> None:
        """Stop what runs, and wait until it has stopped."""
        self.cancel()
        if run := self._run:
            await asyncio.wait([run.task])

    def _ended(self, task: "asyncio.Task[SyncReport]") -> None:
        self._run = None
        if not task.cancelled():
            task.exception()  # who waits hears of it; nobody may be waiting any more
