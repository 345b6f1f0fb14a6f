"""A language model that can be exchanged for another while answers go on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from bot.llm.protocol import LLM, ChatMessage, Delta

log = logging.getLogger(__name__)


class _Held:
    """A model, and who is still using it."""

    def __init__(self, llm: LLM, stack: AsyncExitStack) -> None:
        self.llm = llm
        self._stack = stack
        self._users = 0
        self._is_retired = False

    @asynccontextmanager
    async def used(self) -> AsyncIterator[LLM]:
        self._users += 1
        try:
            yield self.llm
        finally:
            self._users -= 1
            if self._is_retired and not self._users:
                await self._stack.aclose()

    async def retire(self) -> None:
        """Close it as soon as nobody uses it."""
        self._is_retired = True
        if not self._users:
            await self._stack.aclose()

    async def close(self) -> None:
        await self._stack.aclose()


class SwitchableLLM:
    """Satisfies `bot.llm.protocol.LLM` with the model that is in use now; see there for errors."""

    def __init__(self, held: _Held) -> None:
        self._held = held

    @classmethod
    @asynccontextmanager
    async def open(cls, first: AbstractAsyncContextManager[LLM]) -> AsyncIterator["SwitchableLLM"]:
        """With that model to begin with; closes the one that is in use at the end."""
        switchable = cls(await _hold(first))
        try:
            yield switchable
        finally:
            await switchable._held.close()

    @property
    def model_id(self) -> str:
        return self._held.llm.model_id

    @property
    def context_window(self) -> int:
        return self._held.llm.context_window

    async def ready(self) -> None:
        async with self._held.used() as llm:
            await llm.ready()

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        async with self._held.used() as llm:
            return await llm.count_tokens(messages)

    @asynccontextmanager
    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> AsyncIterator[AsyncIterator[Delta]]:
        async with (
            self._held.used() as llm,
            llm.stream(messages, max_tokens=max_tokens, temperature=temperature, stop=stop) as deltas,
        ):
            yield deltas

    async def switch(self, other: AbstractAsyncContextManager[LLM]) -> None:
        """Let another model take over when it is ready; answers that have begun end with the one before.

        Raises `ModelError` when it does not become ready; then nothing has changed.
        """
        held = await _hold(other)
        try:
            await held.llm.ready()
        except BaseException:
            await held.close()
            raise
        before, self._held = self._held, held
        log.info("the model is now %s", held.llm.model_id)
        await asyncio.shield(before.retire())


async def _hold(opened: AbstractAsyncContextManager[LLM]) -> _Held:
    stack = AsyncExitStack()
    return _Held(await stack.enter_async_context(opened), stack)
