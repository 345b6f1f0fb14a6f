"""Another model takes over while answers go on, and the one before is closed when nobody needs it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from bot.errors import ModelFileError
from bot.llm.protocol import LLM, ChatMessage, Delta
from bot.llm.switch import SwitchableLLM

QUESTION = [ChatMessage("user", "Who are you?")]


class Named:
    """Says its name; `error` keeps it from becoming ready."""

    context_window = 100

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.model_id = name
        self.error = error
        self.is_open = False

    async def ready(self) -> None:
        if self.error:
            raise self.error

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        return len(messages)

    @asynccontextmanager
    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> AsyncIterator[AsyncIterator[Delta]]:
        async def deltas() -> AsyncIterator[Delta]:
            for letter in self.model_id:
                assert self.is_open
                yield Delta(letter)

        yield deltas()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[LLM]:
        self.is_open = True
        try:
            yield self
        finally:
            self.is_open = False


async def said(llm: LLM) -> str:
    async with llm.stream(QUESTION, max_tokens=9) as deltas:
        return "".join([delta.content async for delta in deltas])


async def test_it_is_the_model_that_is_in_use() -> None:
    small, large = Named("small"), Named("large")
    async with SwitchableLLM.open(small.opened()) as llm:
        await llm.ready()
        assert (llm.model_id, await said(llm), await llm.count_tokens(QUESTION)) == ("small", "small", 1)
        await llm.switch(large.opened())
        assert (llm.model_id, await said(llm)) == ("large", "large")
        assert not small.is_open
    assert not large.is_open


async def test_an_answer_that_has_begun_ends_with_the_model_it_began_with() -> None:
    small, large = Named("small"), Named("large")
    async with SwitchableLLM.open(small.opened()) as llm:
        async with llm.stream(QUESTION, max_tokens=9) as deltas:
            pieces = [(await anext(deltas)).content]
            await llm.switch(large.opened())
            assert small.is_open
            assert await said(llm) == "large"
            pieces += [delta.content async for delta in deltas]
        assert "".join(pieces) == "small"
        assert not small.is_open


async def test_one_that_does_not_become_ready_changes_nothing() -> None:
    small, broken = Named("small"), Named("broken", ModelFileError("It is cut off."))
    async with SwitchableLLM.open(small.opened()) as llm:
        with pytest.raises(ModelFileError, match="cut off"):
            await llm.switch(broken.opened())
        assert not broken.is_open
        assert await said(llm) == "small"
