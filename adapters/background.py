"""Work beside what a platform waits for: Slack and Discord wait three seconds for an acknowledgement at most."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bot.errors import EXPLAINED

log = logging.getLogger(__name__)

ACK_SECONDS = 2.0
"""How long a platform is kept waiting for what may take longer."""


class Background:
    """Keeps the tasks, and logs what becomes of them."""

    def __init__(self, platform: str, *, expected: tuple[type[Exception], ...] = ()) -> None:
        """`expected` errors are logged as trouble of the platform, all others as faults of the program."""
        self._platform = platform
        self._expected: tuple[type[Exception], ...] = (*EXPLAINED, *expected)
        self._tasks: set[asyncio.Task[Any]] = set()

    def later(self, work: Coroutine[Any, Any, Any]) -> None:
        """Work that the platform need not wait for; its failure is logged and changes nothing."""
        self._keep(asyncio.create_task(work))

    async def in_time(self, work: Coroutine[Any, Any, Any]) -> None:
        """Work whose early errors are raised; what takes longer goes on by itself after the acknowledgement."""
        task = asyncio.create_task(work)
        await asyncio.wait({task}, timeout=ACK_SECONDS)
        if task.done():
            task.result()
        else:
            self._keep(task)

    async def close(self) -> None:
        """Let it come to its end, for a moment."""
        left = list(self._tasks)
        if left:
            await asyncio.wait(left, timeout=ACK_SECONDS)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        level = logging.WARNING if isinstance(error, self._expected) else logging.ERROR
        log.log(level, "not done on %s: %s", self._platform, error, exc_info=error)
