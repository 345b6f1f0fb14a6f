"""One request to the engine: how to choose, what comes back, and the bridge from its thread to asyncio."""

import asyncio
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
    top_k: int = 0
    """0 leaves all tokens in."""
    top_p: float = 1.0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    stop: Sequence[str] = ()
    grammar: str | None = None
    """GBNF; the answer matches its rule `root`."""
    json_schema: str | None = None
    """A JSON schema as JSON text; the answer is JSON that fits it. Not together with `grammar`."""
    logprobs: int | None = None
    """How many likeliest alternatives to report with each token; None reports nothing, 0 the token alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    prompt_tokens: int
    cached_tokens: int
    """Those of the prompt that did not have to be read."""
    completion_tokens: int
    draft_tokens: int = 0
    """Tokens that were guessed from the text and verified, rightly or not."""
    accepted_tokens: int = 0
    """Those of them that turned out right."""


Alternative = tuple[str, float, bytes]
"""A token that could have come: its text, the logarithm of its probability, its bytes."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of the answer with the natural logarithm of its probability.

    The probabilities are the model's own: before temperature, penalties and a grammar.
    """

    token: str
    logprob: float
    bytes: bytes
    """The token's bytes; a character may span several tokens, `token` then has replacement characters."""
    top: tuple[Alternative, ...] = ()
    """The likeliest tokens in this place, likeliest first."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer; the last one has the reason it ended and what it cost."""

    text: str
    finish_reason: Literal["stop", "length"] | None = None
    usage: Usage | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of the tokens that this piece became certain with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """What the engine is doing; the counters only grow. All zeros until the model is loaded."""

    parallel: int = 0
    """Answers that may be written at once."""
    running: int = 0
    queued: int = 0
    steps: int = 0
    """Calls of llama_decode that succeeded."""
    batch_tokens: int = 0
    """Tokens in the last step."""
    batch_tokens_total: int = 0
    prompt_tokens: int = 0
    """Prompt tokens of the requests taken up, those found in the cache included."""
    cached_tokens: int = 0
    """Prompt tokens that did not have to be read."""
    completion_tokens: int = 0
    draft_tokens: int = 0
    accepted_tokens: int = 0
    last_step_at: float = 0.0
    """When the last step ended, on the monotonic clock in seconds; also set when work begins after a rest."""
    decode_seconds: float = 0.0
    """Spent in llama_decode."""
    python_seconds: float = 0.0
    """Spent by the engine's thread on everything else while it had work (sampling included)."""
    cells: int = 0
    """Tokens that the key-value cache can hold."""
    cells_used: int = 0
    cached_sequences: int = 0
    """Prefixes kept for requests to come."""


Item = Piece | ModelError | None
"""What a consumer is handed: a piece, what went wrong, or the end."""


class Generation:
    """Iterate over its pieces, once; `close` cancels it within one step and may be called at any time."""

    def __init__(
        self,
        *,
        withdraw: Callable[["Generation"], object],
        place: Callable[["Generation"], int],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """
        Args:
            withdraw: takes it out of the queue, if it waits there.
            place: its place in the queue.
            loop: where it is consumed; by default, the running one.
        """
        self.cancelled = False
        self._withdraw = withdraw
        self._place = place
        self.loop = loop or asyncio.get_running_loop()
        self._pieces: asyncio.Queue[Item] = asyncio.Queue()

    @property
    def position(self) -> int:
        """Place in the queue: 1 for the next, 0 once it is being served."""
        return self._place(self)

    async def __aiter__(self) -> AsyncIterator[Piece]:
        while (item := await self._pieces.get()) is not None:
            if isinstance(item, ModelError):
                raise item
            yield item

    def close(self) -> None:
        self.cancelled = True
        self._withdraw(self)

    def post(self, item: Item) -> None:
        """Hand something to the consumer; only on its event loop."""
        self._pieces.put_nowait(item)


def deliver(items: Sequence[tuple[Generation, Item]]) -> None:
    """Hand things to their consumers from any thread; each event loop is woken once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Generation, Item]]] = {}
    for generation, item in items:
        by_loop.setdefault(generation.loop, []).append((generation, item))
    for loop, its in by_loop.items():
        try:
            loop.call_soon_threadsafe(_post, its)
        except RuntimeError:  # the consumers' event loop is gone
            for generation, _ in its:
                generation.cancelled = True


def _post(items: Sequence[tuple[Generation, Item]]) -> None:
    for generation, item in items:
        generation.post(item)
