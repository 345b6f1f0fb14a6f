"""Throttles: what goes to a chat platform keeps to its rate limits, and nothing is lost or held up by that.

`Pace` holds the budgets that all replies of a workspace share. `Coalescer` brings what is growing to the screen as
often as a budget permits, and always in its newest state. `unbroken` keeps a request and the note of it together.

A budget holds for this process; several processes with one token have to share it otherwise.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from aiolimiter import AsyncLimiter

T = TypeVar("T")

MOST_LIMITERS = 1000
"""Of budgets that each channel or message has for itself; those that are full again are forgotten above it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `count` requests in any stretch of `seconds`; a quarter of them may come at once."""

    count: int
    seconds: float = 60.0

    def limiter(self) -> AsyncLimiter:
        """A leaky bucket that keeps to it: what may come at once and what drips out meanwhile stay below `count`."""
        burst = max(1, self.count // 4)
        rate = (self.count - burst + 0.9) / self.seconds
        return AsyncLimiter(burst, burst / rate)


class Pace:
    """Budgets by name, usually of a method; one without a budget waits only while it is paused.

    Those who wait for a budget are served in the order in which they came.
    """

    def __init__(self, budgets: Mapping[str, Budget]) -> None:
        self._budgets = budgets
        self._limiters: dict[tuple[str, str], AsyncLimiter] = {}
        self._paused: dict[str, float] = {}
        """Until when, in the loop's time."""

    async def wait(self, name: str, *, of: str = "") -> None:
        """Take one from the budget, waiting until there is one; `of` names what has a budget for itself."""
        if limiter := self._limiter(name, of):
            await limiter.acquire()
        seconds = self._pause_left(name)
        while seconds > 0:
            await asyncio.sleep(seconds)
            seconds = self._pause_left(name)

    def has_room(self, name: str, *, of: str = "") -> bool:
        """Whether `wait` would return at once."""
        limiter = self._limiter(name, of)
        return self._pause_left(name) <= 0 and (limiter is None or limiter.has_capacity())

    def pause(self, name: str, seconds: float) -> None:
        """Nobody gets any of this budget for so long: the platform asked for it."""
        until = asyncio.get_running_loop().time() + seconds
        self._paused[name] = max(until, self._paused.get(name, 0.0))

    def _pause_left(self, name: str) -> float:
        return self._paused.get(name, 0.0) - asyncio.get_running_loop().time()

    def _limiter(self, name: str, of: str) -> AsyncLimiter | None:
        if name not in self._budgets:
            return None
        if (name, of) not in self._limiters:
            if len(self._limiters) >= MOST_LIMITERS:
                self._limiters = {k: v for k, v in self._limiters.items() if not v.has_capacity(v.max_rate)}
            self._limiters[name, of] = self._budgets[name].limiter()
        return self._limiters[name, of]


class Coalescer:
    """Calls `show` soon after `touch`, one call at a time, and `wait` before each, which waits for its budget.

    Touches that come while it waits are one call, and `show` is to show the newest state. So at most one call waits,
    however fast the state changes, and the replies that share a budget get it in turn. An error ends the showing
    and is raised by `close`.
    """

    def __init__(self, *, wait: Callable[[], Awaitable[None]], show: Callable[[], Awaitable[None]]) -> None:
        self._wait = wait
        self._show = show
        self._is_due = False
        self._task: asyncio.Task[None] | None = None

    def touch(self) -> None:
        """There is something new to show."""
        self._is_due = True
        if self._task is None or (self._task.done() and not self._failed()):
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Show no more; a call that is under way is cancelled, and has ended when this returns."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})
        task, self._task = self._task, None  # only now: who closes it again after a cancellation waits too
        if not task.cancelled() and (error := task.exception()):
            raise error

    async def _run(self) -> None:
        while self._is_due:
            await self._wait()
            self._is_due = False  # before showing: what comes during it is not in it
            await self._show()

    def _failed(self) -> bool:
        return self._task is not None and (self._task.cancelled() or self._task.exception() is not None)


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end even when the caller is cancelled meanwhile; the caller is cancelled after it.

    So a request and the note of its result never come apart, short of the end of the process.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not report it
        raise
