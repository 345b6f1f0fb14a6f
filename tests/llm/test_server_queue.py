"""Waiting for the model over HTTP: a full queue, a place in it, a stream that waits."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx

from bot.llm.supervisor import Load
from tests.llm.serving import MESSAGES, ask, served, until

ONE_AT_A_TIME = Load(threads=1, parallel=1)
LONG: dict[str, Any] = {"messages": MESSAGES, "max_tokens": 4000, "temperature": 0}


async def test_a_full_queue_says_so_and_the_rest_is_served(tiny: Path) -> None:
    async with served(tiny, Load(threads=1, parallel=1, queue_size=2)) as http:
        answers = await asyncio.gather(*(ask(http, max_tokens=200) for _ in range(12)))
        figures = (await http.get("/metrics")).text
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) >= 2
    full = next(answer for answer in answers if answer.status_code == 429)
    error = full.json()["error"]
    assert error["code"] == "queue_full"
    assert 0 <= error["queued"] <= 3  # as it is when the refusal is written; one may be about to be served
    assert re.search(r"full \([23] are waiting\)", error["message"])
    assert 1 <= int(full.headers["Retry-After"]) <= 60
    assert f'parley_model_requests_total{{outcome="refused"}} {statuses.count(429)}.0' in figures


async def test_the_place_in_the_queue_can_be_asked_for(tiny: Path) -> None:
    async with served(tiny, ONE_AT_A_TIME) as http:

        async def place(name: str) -> Any:
            return (await http.get(f"/v1/queue/{name}")).json()

        async def is_at(name: str, position: int | None) -> bool:
            return bool((await place(name)).get("position") == position)

        async def send(name: str) -> httpx.Response:
            return await http.post("/v1/chat/completions", json=LONG, headers={"X-Request-Id": name})

        tasks = {}
        for position, name in enumerate(("one", "two", "three")):
            tasks[name] = asyncio.create_task(send(name))
            await until(lambda name=name, position=position: is_at(name, position))  # type: ignore[misc]
        assert await place("three") == {"id": "three", "position": 2, "queued": 2}
        again = await send("two")
        assert (again.status_code, "choose another" in again.json()["error"]["message"]) == (400, True)
        tasks["one"].cancel()
        await until(lambda: is_at("two", 0))
        await until(lambda: is_at("three", 1))
        tasks["three"].cancel()
        await until(lambda: is_at("three", None))
        tasks["two"].cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        assert (await ask(http)).is_success


async def test_a_stream_that_waits_says_where_it_stands(tiny: Path) -> None:
    async with served(tiny, ONE_AT_A_TIME) as http:

        async def runs() -> bool:
            return bool((await http.get("/health")).json()["running"])

        body = {**LONG, "stream": True}
        running = asyncio.create_task(http.post("/v1/chat/completions", json=body))
        await until(runs)
        async with http.stream("POST", "/v1/chat/completions", json=body) as response:
            name = response.headers["X-Request-Id"]
            comment = await anext(line async for line in response.aiter_lines() if line.startswith(":"))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert comment == ": position 1"
    assert name.startswith("chatcmpl-")


async def test_who_hangs_up_while_waiting_leaves_the_queue(tiny: Path) -> None:
    async with served(tiny, ONE_AT_A_TIME) as http:

        async def waiting(count: int) -> bool:
            return bool((await http.get("/health")).json()["queued"] == count)

        tasks = [
            asyncio.create_task(http.post("/v1/chat/completions", json={**LONG, "stream": stream}))
            for stream in (False, True, False)
        ]
        await until(lambda: waiting(2))
        for task in tasks[1:]:
            task.cancel()
        await until(lambda: waiting(0))
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
