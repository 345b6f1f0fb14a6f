"""What every `LLM` does: the fake, the real llama.cpp in its child process, and servers on the network."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from bot.errors import ModelUnavailableError, QuestionTooLongError
from bot.llm.local import Unavailable, connect
from bot.llm.protocol import LLM, ChatMessage, Delta
from bot.llm.supervisor import Load, ModelProcess
from tests.llm.fakes import ScriptedLLM
from tests.llm.serving import free_port, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = [ChatMessage("system", "Be short."), ChatMessage("user", "What is the hotel limit?")]
ANSWER = "The hotel limit is one hundred and forty euros a night for everybody."


LLAMA_SERVER = os.environ.get("PARLEY_TEST_LLAMA_SERVER") or shutil.which("llama-server")
KEY = "the key of the tests"
KINDS = ["scripted", "child", "parley over TCP", "balanced"]


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[
        *KINDS,
        pytest.param(
            "llama-server",
            marks=pytest.mark.skipif(
                LLAMA_SERVER is None, reason="llama.cpp's llama-server is not installed"
            ),
        ),
    ],
)
async def llm(request: pytest.FixtureRequest, tiny: Path) -> AsyncIterator[LLM]:
    async with AsyncExitStack() as stack:
        match request.param:
            case "scripted":
                yield ScriptedLLM([ANSWER])
                return
            case "child":
                real = await stack.enter_async_context(connect(path=tiny, load=Load(threads=1)))
            case "llama-server":
                url = await stack.enter_async_context(_llama_server(tiny))
                real = await stack.enter_async_context(connect(urls=[url], load=Load(context=4096)))
            case kind:
                servers = [_parley(tiny) for _ in range(2 if kind == "balanced" else 1)]
                urls = [await stack.enter_async_context(server) for server in servers]
                real = await stack.enter_async_context(connect(urls=urls, api_key=KEY))
        await real.ready()
        yield real


@asynccontextmanager
async def _parley(path: Path) -> AsyncIterator[str]:
    """What `parley model serve` runs, for those who have `KEY`."""
    port = free_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PARLEY_MODEL_API_KEY", KEY)
        async with ModelProcess(path, load=Load(threads=1), listen=("127.0.0.1", port)) as process:
            await process.ready()
            environment.undo()
            yield f"http://127.0.0.1:{port}/v1"


@asynccontextmanager
async def _llama_server(path: Path) -> AsyncIterator[str]:
    port = free_port()
    options = ("--model", str(path), "--port", str(port), "--ctx-size", "4096", "--parallel", "1", "--jinja")
    process = await asyncio.create_subprocess_exec(
        str(LLAMA_SERVER), *options, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )

    async def is_ready() -> bool:
        with suppress(httpx.HTTPError):
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://127.0.0.1:{port}/health")).is_success
        return False

    try:
        await until(is_ready, seconds=60)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        await process.wait()


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


@pytest.mark.parametrize("key", [None, "another key"])
async def test_a_server_on_the_network_wants_its_key(tiny: Path, key: str | None) -> None:
    async with _parley(tiny) as url, connect(urls=[url], api_key=key) as llm:
        with pytest.raises(ModelUnavailableError, match="refuses the key: set PARLEY_LLM_API_KEY"):
            await llm.ready()
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{url}/models")).status_code == 401
            assert (await client.get(url.replace("/v1", "/metrics"))).status_code == 401
            assert (await client.get(url.replace("/v1", "/health"))).status_code == 200


async def test_without_a_key_nobody_else_is_listened_to(tiny: Path) -> None:
    async with ModelProcess(tiny, listen=("0.0.0.0", free_port())) as process:  # noqa: S104
        assert "set PARLEY_MODEL_API_KEY" in await process.given_up()


async def test_a_port_that_is_taken_is_named(tiny: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with ModelProcess(tiny, listen=("127.0.0.1", port)) as process:
            assert f"127.0.0.1:{port} cannot be listened to" in await process.given_up()
