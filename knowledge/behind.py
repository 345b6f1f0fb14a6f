"""One piece of work at a time in a thread of its own, while its caller goes on with something else."""

import threading
from collections.abc import Callable
from concurrent import futures
from types import TracebackType
from typing import Self

_TICK_SECONDS = 0.2
"""Between two looks at whether somebody has had enough."""

GoOn = Callable[[], None]
"""To be called now and then by the work; raises when it shall stop."""


class _StoppedError(Exception):
    """What is done behind is wanted no more."""


class Behind:
    """Runs the work; whoever leaves its block early stops it at its next `GoOn`, and waits for that."""

    def __init__(self) -> None:
        self._pool = futures.ThreadPoolExecutor(1, "behind")
        self._work: futures.Future[None] | None = None
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._pool.shutdown()

    def begin(self, work: Callable[[GoOn], None]) -> None:
        """Start it; what was begun before has been joined."""
        self._work = self._pool.submit(work, self._go_on)

    def check(self) -> None:
        """Raise what it raised, if it has; does not wait."""
        if self._work is not None and self._work.done():
            self._work.result()

    def join(self, tick: Callable[[], None]) -> None:
        """Wait until it is done, calling `tick` meanwhile; raises what it raised."""
        while self._work is not None:
            if futures.wait([self._work], timeout=_TICK_SECONDS).done:
                work, self._work = self._work, None
                work.result()
            else:
                tick()

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise _StoppedError
