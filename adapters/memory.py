"""What was learned from a platform, remembered for a while."""

from collections.abc import Callable
from typing import Generic, TypeVar

MOST = 10_000
"""Answers above which those that are too old are cleared away."""

K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """A dict that forgets what is older than `seconds`."""

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._now = now
        self._kept: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        until, value = self._kept.get(key, (0.0, None))
        return value if until > self._now() else None

    def put(self, key: K, value: V) -> V:
        if len(self._kept) >= MOST:
            self._kept = {k: kept for k, kept in self._kept.items() if kept[0] > self._now()}
        self._kept[key] = (self._now() + self._seconds, value)
        return value

    def forget(self, key: K) -> None:
        self._kept.pop(key, None)

    def clear(self) -> None:
        self._kept.clear()
