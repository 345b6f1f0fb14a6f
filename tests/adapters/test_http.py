"""The HTTP server that adapters share."""

import asyncio
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from adapters.http import serve
from bot.errors import SettingsError


async def test_a_request_under_way_comes_to_its_end(unused_tcp_port: int) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Response:
        begun.set()
        await may_end.wait()
        return PlainTextResponse("done")

    application = Starlette(routes=[Route("/slow", slow)])
    task = asyncio.create_task(serve(application, host="127.0.0.1", port=unused_tcp_port, keys="web."))
    await asyncio.sleep(0)  # listens from here on
    async with httpx.AsyncClient() as http:
        asked = asyncio.create_task(http.get(f"http://127.0.0.1:{unused_tcp_port}/slow"))
        await begun.wait()
        task.cancel()
        may_end.set()
        assert (await asked).text == "done"
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_port_that_cannot_be_had_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            SettingsError, match=rf"Port {port} of 127\.0\.0\.1 .* set web\.port to a free one"
        ):
            await serve(Starlette(), host="127.0.0.1", port=port, keys="web.")
