"""The routes over an engine that a test holds back."""

import asyncio
from typing import Any, cast

import httpx

from bot.llm.endpoints import ModelServer
from bot.llm.engine import Engine
from bot.llm.generation import EngineStats, Generation, Piece, Sampling, Usage
from tests.llm.serving import MESSAGES


class HeldBack:
    """An engine that takes requests in when it is told to, and ends them when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Sampling] = []
        self.generations: list[Generation] = []
        self.take_in = asyncio.Event()
        self.stats = EngineStats(parallel=2)
        self.context_window = 4096
        self.warnings: list[str] = []

    async def submit(self, _prompt: object, sampling: Sampling, **_: Any) -> Generation:
        self.asked.append(sampling)
        await self.take_in.wait()
        generation = Generation(withdraw=lambda _: None, place=lambda _: 0)
        self.generations.append(generation)
        return generation


def _over(engine: HeldBack) -> httpx.AsyncClient:
    server = ModelServer(cast("Engine", engine), model_id="m")
    server.ready = True
    transport = httpx.ASGITransport(app=server.app())
    return httpx.AsyncClient(transport=transport, base_url="http://model")


async def _until_asked(engine: HeldBack, count: int) -> None:
    while len(engine.asked) < count:  # noqa: ASYNC110 - it happens on this very loop
        await asyncio.sleep(0)


async def test_of_two_requests_with_one_name_that_come_together_one_is_refused() -> None:
    engine = HeldBack()
    async with _over(engine) as http:
        asked = [
            asyncio.create_task(
                http.post(
                    "/v1/chat/completions", json={"messages": MESSAGES}, headers={"X-Request-Id": "one"}
                )
            )
            for _ in range(2)
        ]
        await _until_asked(engine, 2)
        engine.take_in.set()
        done, [running] = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        [refused] = [task.result() for task in done]
        assert refused.status_code == 400
        assert "choose another" in refused.json()["error"]["message"]
        assert (await http.get("/v1/queue/one")).json()["position"] == 0  # it is still known
        [served] = [generation for generation in engine.generations if not generation.cancelled]
        served.post(Piece("140", "stop", Usage(prompt_tokens=1, cached_tokens=0, completion_tokens=1)))
        served.post(None)
        assert (await running).status_code == 200
        assert (await http.get("/v1/queue/one")).status_code == 404


async def test_an_answer_without_a_limit_does_not_take_a_whole_context() -> None:
    engine = HeldBack()
    async with _over(engine) as http:
        for body in ({}, {"max_tokens": 3000}):
            task = asyncio.create_task(http.post("/v1/chat/completions", json={"messages": MESSAGES, **body}))
            await _until_asked(engine, len(engine.asked) + 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert [sampling.max_tokens for sampling in engine.asked] == [1024, 3000]
