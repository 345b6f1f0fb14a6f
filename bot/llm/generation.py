"""One request to the engine: how to choose, what comes back, and the bridge from its thread to asyncio."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How an answer is chosen; temperature 0 takes the likeliest token each time."""

    max_tokens: int | None = None
    """None writes until the context is full."""
    temperature: float = 0.0
    top_p: float = 1.0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    seed: int | None = None
    stop: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    prompt_tokens: int
    cached_tokens: int
    """Those of the prompt that did not have to be read."""
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer; the last one has the reason it ended and what it cost."""

    text: str
    finish_reason: Literal["stop", "length"] | None = None
    usage: Usage | None = None


class Generation:
    """Iterate over its pieces, once; `close` cancels it within one token and may be called at any time."""

    def __init__(
        self, tokens: Sequence[int], sampling: Sampling, *, withdraw: Callable[["Generation"], None]
    ) -> None:
        self.tokens = tokens
        self.sampling = sampling
        self.cancelled = threading.Event()
        self._withdraw = withdraw
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[Piece | ModelError | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[Piece]:
        while (item := await self._pieces.get()) is not None:
            if isinstance(item, ModelError):
                raise item
            yield item

    def close(self) -> None:
        self.cancelled.set()
        self._withdraw(self)

    def post(self, item: Piece | ModelError | None) -> None:
        """Hand something to the consumer (None: the end); called on the engine's thread."""
        try:
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, item)
        except RuntimeError:  # the consumer's event loop is gone
            self.cancelled.set()
