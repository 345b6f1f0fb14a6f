"""The HTTP face over real sockets' worth of ASGI, on a real app."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from adapters.web import WebAdapter, _QueueReply
from bot.app import App
from bot.errors import SettingsError
from bot.notices import Action
from tests.adapters.conftest import OpenApp

QUESTION = {"question": "How much may a hotel room in Vienna cost per night?"}


@asynccontextmanager
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(WebAdapter(app).application())
    async with httpx.AsyncClient(transport=transport, base_url="http://parley") as http:
        yield http


async def test_a_question_a_vote_and_health(opened: OpenApp) -> None:
    async with opened() as app, client(app) as http:
        assert (await http.get("/health")).status_code == 503
        answer = (await http.post("/ask", json=QUESTION)).json()
        assert "148 EUR" in answer["answer"]
        assert (await http.get("/health")).json()["ready"] is True
        assert 'parley_questions{state="waiting"} 0.0' in (await http.get("/metrics")).text
        vote = {"turn_id": answer["turn_id"], "score": 1}
        assert (await http.post("/vote", json=vote)).json() == {"kept": True}
        assert app.feedback.counts().up == 1
        lost = await http.post("/vote", json={"turn_id": "nope", "score": 1})
        assert (lost.status_code, "no longer stored" in lost.json()["error"]) == (404, True)


async def test_pieces_come_as_events(opened: OpenApp) -> None:
    async with opened() as app, client(app) as http:
        response = await http.post("/ask", json=QUESTION, headers={"Accept": "text/event-stream"})
        events = [block.split("\n") for block in response.text.strip().split("\n\n")]
        assert events[0][0] == "event: progress"
        assert events[-1][0] == "event: final"
        assert "148 EUR" in json.loads(events[-1][1].removeprefix("data: "))["answer"]


async def test_what_a_command_tells_comes_with_what_can_be_done_next() -> None:
    reply = _QueueReply()
    await reply.report("50%")
    await reply.say("This is much.", actions=[Action("Go on", "reindex go handbook")])
    reply.events.put_nowait(None)
    assert [event async for event in reply] == [
        ("report", {"text": "50%"}),
        (
            "said",
            {
                "text": "This is much.",
                "actions": [{"label": "Go on", "command": "reindex go handbook", "is_dangerous": False}],
            },
        ),
    ]


@pytest.mark.parametrize(
    "body", [{}, {"question": "  "}, {"question": "x", "colour": "red"}, {"question": 3}]
)
async def test_bad_input_is_named(opened: OpenApp, body: dict[str, object]) -> None:
    async with opened() as app, client(app) as http:
        response = await http.post("/ask", json=body)
        assert response.status_code == 400
        assert response.json()["error"].startswith(("question", "colour"))


async def test_the_token_is_asked_for(opened: OpenApp) -> None:
    async with opened(web="[web]\nport = 8099", PARLEY_WEB_TOKEN="s3cret") as app, client(app) as http:
        assert (await http.post("/ask", json=QUESTION)).status_code == 401
        headers = {"Authorization": "Bearer s3cret"}
        assert (await http.post("/ask", json=QUESTION, headers=headers)).status_code == 200
        assert (await http.get("/health")).status_code == 200


async def test_other_machines_need_a_token(opened: OpenApp) -> None:
    async with opened(web='[web]\nhost = "0.0.0.0"\nport = 8099') as app:
        with pytest.raises(SettingsError, match="PARLEY_WEB_TOKEN"):
            WebAdapter(app)


async def test_it_serves_on_a_socket_until_cancelled(opened: OpenApp, unused_tcp_port: int) -> None:
    async with opened(web=f"[web]\nport = {unused_tcp_port}") as app:
        task = asyncio.create_task(WebAdapter(app).run())
        async with httpx.AsyncClient() as http, asyncio.timeout(10):
            while True:
                try:
                    response = await http.get(f"http://127.0.0.1:{unused_tcp_port}/health")
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
                    continue
                break
        assert response.status_code == 503
        task.cancel()
        await asyncio.wait([task])
