"""Work beside what somebody waits for."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Background:
    """Keeps the tasks, and logs what becomes of them."""

    def __init__(self, what: str, *, expected: tuple[type[Exception], ...] = ()) -> None:
        """The log says that `what` failed: `expected` errors as trouble, all others as faults of the program."""
        self._what = what
        self._expected = expected
        self._tasks: set[asyncio.Task[Any]] = set()

    def later(self, work: Coroutine[Any, Any, Any]) -> None:
        """Work that nobody waits for; its failure is logged and changes nothing."""
        self.keep(asyncio.create_task(work))

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Let a task that runs already go on by itself."""
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def close(self, *, grace: float = 0.0) -> None:
        """Let it come to its end for so many seconds, then cancel it; nothing of it runs when this returns."""
        left = list(self._tasks)
        if left and grace:
            await asyncio.wait(left, timeout=grace)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        level = logging.WARNING if isinstance(error, self._expected) else logging.ERROR
        log.log(level, "%s: %s", self._what, error, exc_info=error)
