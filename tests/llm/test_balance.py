"""Several servers as one: who is asked, and what happens when one fails."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from bot.errors import ModelBusyError, ModelError, ModelUnavailableError, QuestionTooLongError
from bot.llm.balance import Balanced
from bot.llm.protocol import ChatMessage, Delta
from tests.llm.fakes import ScriptedLLM

QUESTION = [ChatMessage("user", "What is the limit?")]
DOWN = ModelUnavailableError("It is down.")


class Server(ScriptedLLM):
    """A scripted model that counts who is being answered, and may be down."""

    def __init__(self, name: str, *, context_window: int = 4096) -> None:
        super().__init__([f"{name} says so at some length."], model_id=name, context_window=context_window)
        self.down: ModelError | QuestionTooLongError | None = None
        self.requests = 0
        self.asked_ready = 0

    async def ready(self) -> None:
        self.asked_ready += 1
        self._check()

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        self._check()
        return await super().count_tokens(messages)

    @asynccontextmanager
    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> AsyncIterator[AsyncIterator[Delta]]:
        self.requests += 1
        self._check()
        async with super().stream(messages, max_tokens=max_tokens) as deltas:
            yield deltas

    def _check(self) -> None:
        if self.down:
            raise self.down


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def _ask(llm: Balanced) -> str:
    async with llm.stream(QUESTION, max_tokens=20) as deltas:
        return "".join([delta.content async for delta in deltas])


def _three() -> tuple[Balanced, list[Server], Clock]:
    servers, clock = [Server(name) for name in "ABC"], Clock()
    return Balanced(servers, rest=30.0, clock=clock), servers, clock


async def test_they_take_turns() -> None:
    llm, servers, _ = _three()
    for _ in range(6):
        await _ask(llm)
    assert [server.requests for server in servers] == [2, 2, 2]


async def test_the_least_busy_is_asked() -> None:
    llm, servers, _ = _three()
    async with llm.stream(QUESTION, max_tokens=20) as one, llm.stream(QUESTION, max_tokens=20) as two:
        await anext(one)
        await anext(two)
        for _ in range(3):
            assert (await _ask(llm)).startswith("C")
    assert [server.requests for server in servers] == [1, 1, 3]
    assert servers[0].left_early == 1


async def test_one_that_is_down_is_passed_over_and_tried_again_later() -> None:
    llm, servers, clock = _three()
    servers[0].down = DOWN
    answers = [await _ask(llm) for _ in range(4)]
    assert sorted(answer[0] for answer in answers) == ["B", "B", "C", "C"]
    assert servers[0].requests == 1
    clock.now = 31.0
    servers[0].down = None
    assert any([(await _ask(llm)).startswith("A") for _ in range(3)])


async def test_a_full_queue_sends_to_another_without_a_rest() -> None:
    llm, servers, _ = _three()
    servers[0].down = ModelBusyError("It is full.")
    assert (await _ask(llm))[0] == "B"
    servers[0].down = None
    assert {(await _ask(llm))[0] for _ in range(3)} == {"A", "B", "C"}


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    llm, servers, _ = _three()
    servers[0].error, servers[0].fail_after = DOWN, 2
    with pytest.raises(ModelUnavailableError):
        await _ask(llm)
    assert [server.requests for server in servers] == [1, 0, 0]
    assert (await _ask(llm))[0] == "B"


async def test_one_that_fails_before_its_first_word_is_replaced() -> None:
    llm, servers, _ = _three()
    servers[0].error, servers[0].fail_after = DOWN, 0
    assert (await _ask(llm))[0] == "B"


async def test_what_would_fail_everywhere_is_not_repeated() -> None:
    llm, servers, _ = _three()
    for server in servers:
        server.down = QuestionTooLongError("Too long.")
    with pytest.raises(QuestionTooLongError):
        await _ask(llm)
    assert sum(server.requests for server in servers) == 1


async def test_when_all_are_down_the_first_reason_is_given_and_all_are_tried() -> None:
    llm, servers, _ = _three()
    for server in servers:
        server.down = ModelUnavailableError(f"{server.model_id} is down.")
    with pytest.raises(ModelUnavailableError, match="A is down"):
        await llm.ready()
    with pytest.raises(ModelUnavailableError):
        await llm.count_tokens(QUESTION)
    with pytest.raises(ModelUnavailableError):
        await _ask(llm)
    assert [server.requests for server in servers] == [1, 1, 1]
    servers[1].down = None
    assert (await _ask(llm))[0] == "B"
    assert await llm.count_tokens(QUESTION) == 4


async def test_one_is_enough_to_be_ready_and_those_that_rest_are_not_asked() -> None:
    llm, servers, _ = _three()
    servers[0].down = DOWN
    await llm.ready()
    await llm.ready()
    assert [server.asked_ready for server in servers] == [1, 2, 2]
    assert llm.model_id == "B"


async def test_the_smallest_context_of_those_in_use_counts() -> None:
    small, large = Server("small", context_window=1000), Server("large", context_window=8000)
    llm = Balanced([small, large])
    assert llm.context_window == 1000
    small.down = DOWN
    await llm.ready()
    assert llm.context_window == 8000


async def test_leaving_early_frees_the_server() -> None:
    llm, servers, _ = _three()
    for _ in range(3):
        async with llm.stream(QUESTION, max_tokens=20) as deltas:
            await anext(deltas)
    assert [server.left_early for server in servers] == [1, 1, 1]
    await asyncio.gather(*(_ask(llm) for _ in range(3)))
    assert [server.requests for server in servers] == [2, 2, 2]
