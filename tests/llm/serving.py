"""A model server of one's own for a test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from bot.llm.supervisor import Load, ModelProcess

MESSAGES = [{"role": "user", "content": "What is the hotel limit?"}]


@asynccontextmanager
async def served(path: Path, load: Load | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """The child process with a model, ready, spoken to over its socket."""
    async with ModelProcess(path, load=load or Load(threads=1)) as process:
        await process.ready()
        transport = httpx.AsyncHTTPTransport(uds=str(process.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://model", timeout=60) as client:
            yield client


async def ask(http: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    body = {"messages": MESSAGES, "max_tokens": 6, "temperature": 0, **fields}
    return await http.post("/v1/chat/completions", json=body)


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
