"""The HTTP face of the engine: OpenAI's chat completions, on a Unix socket for Parley or a port for a team.

    python -m bot.llm.server --model FILE --socket PATH
    python -m bot.llm.server --model FILE --port 8080

Answers 503 until the model is loaded and has passed its self-test. There is no authentication: a socket is
open to its owner only, and a port belongs behind a proxy that asks for a key. Exits when the model cannot
be used (`EXIT_UNUSABLE`, the reason as the last line of stderr) and, with --with-parent, when its parent is
gone.
"""

import argparse
import asyncio
import logging
import os
import select
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bot.errors import ModelError, ModelFileError, ModelUnavailableError, ParleyError
from bot.llm import wire
from bot.llm.cores import default_threads
from bot.llm.engine import Engine
from bot.llm.generation import Generation, Piece

_log = logging.getLogger(__name__)

EXIT_UNUSABLE = 78
"""The model can never be served as asked (EX_CONFIG of sysexits.h): starting again would not help."""


class ModelServer:
    """The routes over one engine. `ready` is set once the self-test has passed."""

    def __init__(self, engine: Engine, *, model_id: str) -> None:
        self._engine = engine
        self._model_id = model_id
        self.ready = False
        self.app = Starlette(
            routes=[
                Route("/health", self._health),
                Route("/v1/models", self._when_ready(self._models)),
                Route("/v1/chat/completions", self._when_ready(self._chat), methods=["POST"]),
                Route("/tokenize", self._when_ready(self._tokenize), methods=["POST"]),
            ],
            exception_handlers={
                ParleyError: _parley_error,
                HTTPException: _http_error,
                ValidationError: _validation_error,
                ClientDisconnect: _nobody_left,
            },
        )

    def _when_ready(
        self, endpoint: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if not self.ready:
                raise ModelUnavailableError("The model is being loaded; try again in a moment.")
            return await endpoint(request)

        return guarded

    async def _health(self, _: Request) -> Response:
        if not self.ready:
            return JSONResponse({"status": "loading", "model": self._model_id}, status_code=503)
        return JSONResponse(
            {
                "status": "ok",
                "model": self._model_id,
                "context_window": self._engine.context_window,
                "queued": self._engine.queued,
                "warnings": self._engine.warnings,
            }
        )

    async def _models(self, _: Request) -> Response:
        model = {
            "id": self._model_id,
            "object": "model",
            "created": 0,
            "owned_by": "parley",
            "max_model_len": self._engine.context_window,
        }
        return JSONResponse({"object": "list", "data": [model]})

    async def _tokenize(self, request: Request) -> Response:
        parsed = wire.TokenizeRequest.model_validate_json(await request.body())
        count = await self._engine.count_tokens([message.parsed() for message in parsed.messages])
        return JSONResponse({"count": count, "max_model_len": self._engine.context_window})

    async def _chat(self, request: Request) -> Response:
        parsed = wire.ChatRequest.model_validate_json(await request.body())
        generation = await self._engine.submit(
            [message.parsed() for message in parsed.messages], parsed.sampling()
        )
        completion = wire.Completion(self._model_id)
        if parsed.stream:
            with_usage = parsed.stream_options is not None and parsed.stream_options.include_usage
            return _EventStream(generation, _events(generation, completion, with_usage=with_usage))
        text, last = await _whole(generation, request)
        return JSONResponse(completion.whole(text, last))


class _EventStream(StreamingResponse):
    """A stream that cancels its generation however it ends."""

    def __init__(self, generation: Generation, content: AsyncIterator[str]) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._generation = generation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._generation.close()


async def _events(
    generation: Generation, completion: wire.Completion, *, with_usage: bool
) -> AsyncIterator[str]:
    yield wire.event(completion.opening())
    usage = None
    try:
        async for piece in generation:
            usage = piece.usage
            yield wire.event(completion.chunk(piece))
    except ModelError as error:  # the status line is gone: OpenAI's clients look for an error in the stream
        yield wire.event(wire.error_of(error)[1])
        return
    if with_usage:
        yield wire.event(completion.usage(usage))
    yield wire.DONE


async def _whole(generation: Generation, request: Request) -> tuple[str, Piece]:
    """Everything at once; a client that hangs up meanwhile cancels it."""

    async def collect() -> tuple[str, Piece]:
        pieces = [piece async for piece in generation]
        return "".join(piece.text for piece in pieces), pieces[-1]

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
        generation.close()
        for task in (collecting, watching):
            task.cancel()
        await asyncio.gather(collecting, watching, return_exceptions=True)


async def _parley_error(_: Request, exc: Exception) -> Response:
    status, body = wire.error_of(exc if isinstance(exc, ParleyError) else ParleyError(str(exc)))
    return JSONResponse(body, status_code=status)


async def _validation_error(_: Request, exc: Exception) -> Response:
    body = (
        wire.validation_error(exc) if isinstance(exc, ValidationError) else wire.error(str(exc), status=400)
    )
    return JSONResponse(body, status_code=400)


async def _nobody_left(_: Request, _exc: Exception) -> Response:
    return Response(status_code=499)


async def _http_error(_: Request, exc: Exception) -> Response:
    status, detail = (exc.status_code, exc.detail) if isinstance(exc, HTTPException) else (500, str(exc))
    return JSONResponse(wire.error(detail, status=status), status_code=status)


async def serve(engine: Engine, *, model_id: str, listener: socket.socket) -> int:
    """Serve until told to stop (SIGTERM, SIGINT); the exit status.

    The socket answers /health with 503 while the model loads, so a watcher can tell "loading" from "dead".
    """
    served = ModelServer(engine, model_id=model_id)
    config = uvicorn.Config(
        served.app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    http = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        loading = asyncio.create_task(engine.start())
        await asyncio.wait({http, loading}, return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            loading.result()
            served.ready = True
        await http
    except ModelError as error:
        _log.error("%s", error)
        return EXIT_UNUSABLE if isinstance(error, ModelFileError) else 1
    return 0


def _listen(socket_path: Path | None, host: str, port: int) -> socket.socket:
    if socket_path is None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    listener = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o177)  # owner only from the first moment; uvicorn's own `uds` is open to everyone
    try:
        listener.bind(str(socket_path))
    finally:
        os.umask(umask)
    listener.listen(128)
    return listener


def _end_with_parent() -> None:
    """End this process when the parent ends, however it ends.

    The parent holds the other end of stdin and never writes: end of file means that it is gone. A process
    that it forked may keep that end open, so the parent's id is looked at, too. Nothing is tidied up: a
    thread may be deep in llama.cpp, and the system frees everything.
    """
    parent = os.getppid()
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], 1.0)
        if readable and not os.read(sys.stdin.fileno(), 1024):
            break
    os._exit(0)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bot.llm.server", description="Serve a GGUF model.")
    parser.add_argument("--model", type=Path, required=True, help="the GGUF file")
    parser.add_argument("--model-id", help="the name it is served under (default: the file's name)")
    parser.add_argument("--socket", type=Path, help="listen on this Unix socket")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--context", type=int, default=0, help="tokens; 0: as trained, at most 8192")
    parser.add_argument("--threads", type=int, default=0, help="0: the physical cores")
    parser.add_argument("--gpu-layers", type=int, default=0, help="-1: all")
    parser.add_argument(
        "--no-extra-bufts", action="store_true", help="do not repack weights for AMX and the like"
    )
    parser.add_argument(
        "--with-parent", action="store_true", help="exit when stdin closes or the parent ends"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    given = _arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if given.with_parent:
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    engine = Engine(
        given.model,
        context=given.context,
        threads=given.threads or default_threads(),
        gpu_layers=given.gpu_layers,
        use_extra_bufts=not given.no_extra_bufts,
    )
    listener = _listen(given.socket, given.host, given.port)
    code = asyncio.run(serve(engine, model_id=given.model_id or given.model.name, listener=listener))
    logging.shutdown()
    os._exit(code)  # the engine's thread may be inside llama.cpp, which must not be unloaded under it


if __name__ == "__main__":
    main()
