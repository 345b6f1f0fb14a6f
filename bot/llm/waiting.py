"""The requests that wait for the engine: bounded, first come, first served, safe for threads."""

import threading
from collections import deque
from dataclasses import dataclass

from bot.errors import ModelBusyError, ModelUnavailableError
from bot.llm.generation import Generation, Sampling
from bot.llm.sampler import Sampler


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """What the engine needs to know of one request."""

    generation: Generation
    tokens: list[int]
    """The prompt."""
    sampling: Sampling
    sampler: Sampler
    max_tokens: int
    """Of the answer."""
    deadline: float | None
    """On the monotonic clock, in seconds."""

    def late(self, now: float) -> bool:
        return self.deadline is not None and now >= self.deadline


class WaitingLine:
    """Filled by whoever asks, emptied by the engine's thread."""

    def __init__(self, *, size: int) -> None:
        self._size = size
        self._line: deque[Request] = deque()
        self._changed = threading.Condition()
        self.closed = False

    def __len__(self) -> int:
        return len(self._line)

    def add(self, request: Request, *, free: int = 0) -> None:
        """
        Args:
            free: places at the model that nobody has taken; so many more may wait, for a moment.

        Raises:
            ModelBusyError: the line is full.
            ModelUnavailableError: the engine is being stopped.
        """
        with self._changed:
            self.check(free=free)
            self._line.append(request)
            self._changed.notify()

    def check(self, *, free: int = 0) -> None:
        """Raise as `add` would now, before there is any work in a request."""
        with self._changed:
            if self.closed:
                raise ModelUnavailableError("The model is being stopped.")
            if len(self._line) >= self._size + free:
                raise ModelBusyError(
                    f"The model's queue is full ({len(self._line)} are waiting); try again in a moment."
                )

    def first(self) -> Request | None:
        """The one whose turn it is; it stays in the line."""
        with self._changed:
            return self._line[0] if self._line else None

    def take(self, request: Request) -> bool:
        """Take one out, wherever it stands; False when it is not there any more."""
        with self._changed:
            if request not in self._line:
                return False
            self._line.remove(request)
            return True

    def withdraw(self, generation: Generation) -> None:
        """Take out the request behind a generation, if it still waits."""
        with self._changed:
            for request in self._line:
                if request.generation is generation:
                    self._line.remove(request)
                    return

    def position(self, generation: Generation) -> int:
        """1 for the next; 0 for one that does not wait."""
        with self._changed:
            generations = [request.generation for request in self._line]
        return generations.index(generation) + 1 if generation in generations else 0

    def overdue(self, now: float) -> list[Request]:
        """Those whose deadline has passed, taken out of the line."""
        with self._changed:
            late = [request for request in self._line if request.late(now)]
            for request in late:
                self._line.remove(request)
        return late

    def wait(self) -> bool:
        """Block until somebody waits; False when the line was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._line or self.closed)
            return not self.closed

    def close(self) -> list[Request]:
        """Let nobody in any more; those who were waiting."""
        with self._changed:
            self.closed = True
            rest = list(self._line)
            self._line.clear()
            self._changed.notify_all()
        return rest
