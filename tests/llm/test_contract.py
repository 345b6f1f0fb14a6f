"""What every `LLM` does: the fake, and the real llama.cpp in its child process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.errors import ModelUnavailableError, QuestionTooLongError
from bot.llm.local import Unavailable, connect
from bot.llm.protocol import LLM, ChatMessage, Delta
from tests.llm.fakes import ScriptedLLM

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = [ChatMessage("system", "Be short."), ChatMessage("user", "What is the hotel limit?")]
ANSWER = "The hotel limit is one hundred and forty euros a night for everybody."


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["scripted", "real"])
async def llm(request: pytest.FixtureRequest, tiny: Path) -> AsyncIterator[LLM]:
    if request.param == "scripted":
        yield ScriptedLLM([ANSWER])
        return
    async with connect(path=tiny, threads=1) as real:
        await real.ready()
        yield real


async def _answer(llm: LLM, *, max_tokens: int = 12, stop: tuple[str, ...] = ()) -> list[Delta]:
    async with llm.stream(QUESTION, max_tokens=max_tokens, stop=stop) as deltas:
        return [delta async for delta in deltas]


def _text(deltas: list[Delta]) -> str:
    return "".join(delta.content for delta in deltas)


async def test_an_answer_comes_in_pieces_and_ends_with_its_reason(llm: LLM) -> None:
    deltas = await _answer(llm)
    assert len(deltas) > 3
    assert [delta.finish_reason for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert deltas[-1].finish_reason in {"stop", "length"}


async def test_max_tokens_ends_it(llm: LLM) -> None:
    three = await _answer(llm, max_tokens=3)
    assert three[-1].finish_reason == "length"
    assert 0 < len(_text(three)) < len(_text(await _answer(llm, max_tokens=10)))


async def test_a_stop_string_ends_it_and_is_not_shown(llm: LLM) -> None:
    text = _text(await _answer(llm, max_tokens=12))
    stop = text[len(text) // 2 :][:4]
    stopped = await _answer(llm, max_tokens=12, stop=(stop,))
    assert stopped[-1].finish_reason == "stop"
    assert _text(stopped).strip() == text[: text.index(stop)].strip()


async def test_temperature_zero_repeats_itself(llm: LLM) -> None:
    assert _text(await _answer(llm)) == _text(await _answer(llm))


async def test_leaving_early_frees_the_model(llm: LLM) -> None:
    async with llm.stream(QUESTION, max_tokens=4000) as deltas:
        async for _ in deltas:
            break
    async with asyncio.timeout(5):
        assert _text(await _answer(llm))


async def test_leaving_without_reading_frees_the_model(llm: LLM) -> None:
    async with llm.stream(QUESTION, max_tokens=4000):
        pass
    async with asyncio.timeout(5):
        assert _text(await _answer(llm))


async def test_longer_messages_have_more_tokens(llm: LLM) -> None:
    counts = [await llm.count_tokens([ChatMessage("user", "a word or two " * n)]) for n in (1, 5, 25)]
    assert counts == sorted(set(counts))
    assert await llm.count_tokens(QUESTION) > 0


async def test_concurrent_requests_are_all_answered(llm: LLM) -> None:
    answers = await asyncio.gather(*(_answer(llm) for _ in range(6)))
    assert len({_text(answer) for answer in answers}) == 1


async def test_a_prompt_that_does_not_fit_is_refused(llm: LLM) -> None:
    with pytest.raises(QuestionTooLongError):
        async with llm.stream([ChatMessage("user", "hotel limit " * 5000)], max_tokens=5) as deltas:
            [delta async for delta in deltas]


async def test_it_knows_its_name_and_its_context(llm: LLM) -> None:
    assert llm.model_id
    assert llm.context_window == 4096


async def test_a_model_that_is_not_there_says_why() -> None:
    llm: LLM = Unavailable("No model is set.")
    with pytest.raises(ModelUnavailableError, match="No model is set"):
        await llm.ready()
    with pytest.raises(ModelUnavailableError, match="No model is set"):
        await llm.count_tokens(QUESTION)
    with pytest.raises(ModelUnavailableError, match="No model is set"):
        await _answer(llm)
