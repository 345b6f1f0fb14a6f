"""Several servers as one model: each request goes to the least busy, and to another when that one fails.

A server that fails rests for a while and is then tried again. A request is repeated elsewhere only while nothing of
its answer has come; a stream that has begun and breaks is an error. What other programs ask of the servers is not
seen. The servers should have the same model: nobody says which of them answered.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from bot.errors import ModelBusyError, ModelUnavailableError
from bot.llm.protocol import LLM, ChatMessage, Delta

REST = 30.0
"""Seconds for which a server that failed is left out."""


@dataclass(slots=True)
class _Server:
    llm: LLM
    running: int = 0
    last_used: int = 0
    rests_until: float = 0.0


class Balanced:
    """An `LLM` over several, which belong to whoever made them."""

    def __init__(
        self, models: Sequence[LLM], *, rest: float = REST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        Args:
            models: at least one.
            rest: see `REST`.
            clock: seconds that only grow.
        """
        self._servers = [_Server(model) for model in models]
        self._rest = rest
        self._clock = clock
        self._uses = 0

    @property
    def model_id(self) -> str:
        return self._in_order()[0].llm.model_id

    @property
    def context_window(self) -> int:
        """The smallest of those in use: a request may come to any of them."""
        return min(server.llm.context_window for server in self._working())

    async def ready(self) -> None:
        """See `LLM.ready`: one of them is enough."""
        asked = self._working()
        outcomes = await asyncio.gather(*(server.llm.ready() for server in asked), return_exceptions=True)
        for server, outcome in zip(asked, outcomes, strict=True):
            self._note(server, outcome)
        failures = [outcome for outcome in outcomes if outcome is not None]
        if len(failures) == len(asked):
            raise failures[0]

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        failure: Exception | None = None
        for server in self._in_order():
            try:
                return await server.llm.count_tokens(messages)
            except (ModelUnavailableError, ModelBusyError) as error:
                self._note(server, error)
                failure = failure or error
        raise failure or ModelUnavailableError("No server is set: set llm.url.")

    @asynccontextmanager
    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> AsyncIterator[AsyncIterator[Delta]]:
        """See `LLM.stream`; the request is sent when the first piece is asked for."""

        async def deltas() -> AsyncGenerator[Delta]:
            failure: Exception | None = None
            for server in self._in_order():
                begun = False
                self._take(server)
                try:
                    async with server.llm.stream(
                        messages, max_tokens=max_tokens, temperature=temperature, stop=stop
                    ) as pieces:
                        async for piece in pieces:
                            begun = True
                            yield piece
                except (ModelUnavailableError, ModelBusyError) as error:
                    self._note(server, error)
                    if begun:
                        raise
                    failure = failure or error
                else:
                    return
                finally:
                    server.running -= 1
            raise failure or ModelUnavailableError("No server is set: set llm.url.")

        async with aclosing(deltas()) as pieces:
            yield pieces

    def _take(self, server: _Server) -> None:
        self._uses += 1
        server.last_used = self._uses
        server.running += 1

    def _note(self, server: _Server, outcome: BaseException | None) -> None:
        """A server that is down rests; one that only has a full queue does not."""
        if isinstance(outcome, ModelUnavailableError):
            server.rests_until = self._clock() + self._rest

    def _working(self) -> list[_Server]:
        """Those that do not rest; all of them when all do."""
        now = self._clock()
        return [server for server in self._servers if server.rests_until <= now] or self._servers

    def _in_order(self) -> list[_Server]:
        """In which order to try them: the least busy first, in turn when equal; those that rest come last."""
        now = self._clock()
        return sorted(
            self._servers,
            key=lambda server: (max(server.rests_until - now, 0.0), server.running, server.last_used),
        )
