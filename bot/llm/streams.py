"""From a generation to a response: whole or streamed, cancelled when its client hangs up."""

import asyncio
from collections.abc import AsyncIterator, Callable

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from bot.errors import ParleyError
from bot.llm import completions, wire
from bot.llm.completions import ChatCompletion
from bot.llm.generation import Generation, Piece

LARGEST_BODY = 16_000_000
"""Bytes of a request; the text of a context of a million tokens has some 4 MB."""
PLACE_EVERY = 1.0
"""Seconds between two comments of a stream that waits."""


async def body_of(request: Request) -> bytes:
    """The body, if it is not larger than any prompt can be; raises 413."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > LARGEST_BODY:
            raise wire.RefusedError(f"The request is larger than {LARGEST_BODY} bytes.", status=413)
    return b"".join(parts)


class EventStream(StreamingResponse):
    """A stream that does `end` however it ends, begun or not."""

    def __init__(
        self, content: AsyncIterator[str], *, headers: dict[str, str], end: Callable[[], None]
    ) -> None:
        super().__init__(
            content, media_type="text/event-stream", headers={"Cache-Control": "no-store", **headers}
        )
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()


async def events(
    generation: Generation,
    pieces: AsyncIterator[Piece],
    completion: ChatCompletion,
    *,
    with_usage: bool,
) -> AsyncIterator[str]:
    """The chunks of a completion, an error as the last of them if there is one."""
    if opening := completion.opening():
        yield completions.event(opening)
    usage = None
    try:
        first = asyncio.ensure_future(_next(pieces))
        try:
            while not (await asyncio.wait({first}, timeout=PLACE_EVERY))[0]:
                yield completions.comment(f"position {generation.position}")
            piece = first.result()
        finally:
            first.cancel()
        while piece is not None:
            usage = piece.usage
            yield completions.event(completion.chunk(piece))
            piece = await _next(pieces)
    except ParleyError as error:  # the status line is gone: OpenAI's clients look for an error in the stream
        yield completions.event(wire.error_of(error)[1])
        return
    if with_usage:
        yield completions.event(completion.usage(usage))
    yield completions.DONE


async def _next(pieces: AsyncIterator[Piece]) -> Piece | None:
    return await anext(pieces, None)


async def whole(pieces: AsyncIterator[Piece], request: Request) -> list[Piece]:
    """All pieces at once; raises `ClientDisconnect` when the client hangs up meanwhile."""

    async def collect() -> list[Piece]:
        return [piece async for piece in pieces]

    async def hung_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    collecting, watching = asyncio.create_task(collect()), asyncio.create_task(hung_up())
    try:
        await asyncio.wait({collecting, watching}, return_when=asyncio.FIRST_COMPLETED)
        if collecting.done():
            return collecting.result()
        raise ClientDisconnect
    finally:
        for task in (collecting, watching):
            task.cancel()
        await asyncio.gather(collecting, watching, return_exceptions=True)


async def validation_error(_: Request, exc: Exception) -> Response:
    body = (
        wire.validation_error(exc) if isinstance(exc, ValidationError) else wire.error(str(exc), status=400)
    )
    return JSONResponse(body, status_code=400)


async def nobody_left(_: Request, _exc: Exception) -> Response:
    return Response(status_code=499)


async def http_error(_: Request, exc: Exception) -> Response:
    status, detail = (exc.status_code, exc.detail) if isinstance(exc, HTTPException) else (500, str(exc))
    return JSONResponse(wire.error(detail, status=status), status_code=status)


async def fault(_: Request, _exc: Exception) -> Response:
    """A fault of the server: its log has the traceback, the client a sentence."""
    body = wire.error("The server failed on this request; its log says more.", status=500)
    return JSONResponse(body, status_code=500)
