"""The routes of the model server: OpenAI's completions over one engine.

A request whose client hangs up is cancelled, whether it runs or waits. While it waits, its place can be asked for
at `/v1/queue/{id}`; the id is in the header `X-Request-Id`, which a client may also choose itself. A stream that
waits carries a comment with the place every second, which clients of server-sent events pass over.
"""

import time
from collections.abc import Awaitable, Callable, Sequence

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.errors import ModelBusyError, ModelError, ModelUnavailableError, ParleyError
from bot.llm import streams, wire
from bot.llm.access import KeyRequired
from bot.llm.completions import ChatCompletion, TextCompletion
from bot.llm.engine import Engine
from bot.llm.figures import Figures
from bot.llm.generation import EngineStats, Generation, Sampling
from bot.llm.protocol import ChatMessage

REQUEST_ID = "X-Request-Id"
_LONGEST_ID = 128


class ModelServer:
    """The routes over one engine. `ready` is set once the self-test has passed."""

    def __init__(self, engine: Engine, *, model_id: str) -> None:
        self._engine = engine
        self._model_id = model_id
        self._pending: dict[str, Generation] = {}
        self._figures = Figures(self._stats)
        self.ready = False

    def app(self, *, key: str | None = None) -> Starlette:
        """The application; with a key, requests over the network must carry it."""
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/metrics", self._metrics),
                Route("/v1/models", self._when_ready(self._models)),
                Route("/v1/models/{name:path}", self._when_ready(self._model)),
                Route("/v1/chat/completions", self._when_ready(self._chat), methods=["POST"]),
                Route("/v1/completions", self._when_ready(self._text), methods=["POST"]),
                Route("/v1/queue/{id}", self._when_ready(self._place)),
                Route("/tokenize", self._when_ready(self._tokenize), methods=["POST"]),
            ],
            middleware=[Middleware(KeyRequired, key=key)] if key else [],
            exception_handlers={
                ParleyError: self._parley_error,
                HTTPException: streams.http_error,
                ValidationError: streams.validation_error,
                ClientDisconnect: streams.nobody_left,
                Exception: streams.fault,
            },
        )

    def _stats(self) -> EngineStats | None:
        return self._engine.stats if self.ready else None

    def _when_ready(
        self, endpoint: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if not self.ready:
                raise ModelUnavailableError("The model is being loaded; try again in a moment.")
            return await endpoint(request)

        return guarded

    async def _health(self, _: Request) -> Response:
        stats = self._stats()
        if stats is None:
            return JSONResponse({"status": "loading", "model": self._model_id}, status_code=503)
        return JSONResponse(
            {
                "status": "ok",
                "model": self._model_id,
                "context_window": self._engine.context_window,
                "parallel": stats.parallel,
                "running": stats.running,
                "queued": stats.queued,
                "steps": stats.steps,
                "seconds_since_step": round(max(0.0, time.monotonic() - stats.last_step_at), 3),
                "warnings": self._engine.warnings,
            }
        )

    async def _metrics(self, _: Request) -> Response:
        return Response(self._figures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def _entry(self) -> dict[str, object]:
        return {
            "id": self._model_id,
            "object": "model",
            "created": 0,
            "owned_by": "parley",
            "max_model_len": self._engine.context_window,
        }

    async def _models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._entry()]})

    async def _model(self, request: Request) -> Response:
        self._check_name(request.path_params["name"])
        return JSONResponse(self._entry())

    async def _tokenize(self, request: Request) -> Response:
        parsed = wire.TokenizeRequest.model_validate_json(await streams.body_of(request))
        count = await self._engine.count_tokens([message.parsed() for message in parsed.messages])
        return JSONResponse({"count": count, "max_model_len": self._engine.context_window})

    async def _place(self, request: Request) -> Response:
        generation = self._pending.get(request.path_params["id"])
        if generation is None:
            raise wire.RefusedError("No request of this id is running or waiting.", status=404)
        queued = self._engine.stats.queued
        return JSONResponse(
            {
                "id": request.path_params["id"],
                "position": generation.position,
                "queued": queued,
            }
        )

    async def _chat(self, request: Request) -> Response:
        parsed = wire.ChatRequest.model_validate_json(await streams.body_of(request))
        completion = ChatCompletion(self._model_id, with_usage=parsed.with_usage)
        return await self._answer(request, parsed, parsed.prompt_messages(), parsed.sampling(), completion)

    async def _text(self, request: Request) -> Response:
        parsed = wire.TextRequest.model_validate_json(await streams.body_of(request))
        completion = TextCompletion(self._model_id, with_usage=parsed.with_usage)
        return await self._answer(request, parsed, parsed.prompt_text(), parsed.sampling(), completion)

    async def _answer(
        self,
        request: Request,
        options: wire.Options,
        prompt: Sequence[ChatMessage] | str,
        sampling: Sampling,
        completion: ChatCompletion,
    ) -> Response:
        if options.model is not None:
            self._check_name(options.model)
        name = self._request_id(request, completion)
        try:
            generation = await self._engine.submit(prompt, sampling, deadline=options.deadline)
        except ModelError as error:
            if type(error) is not ModelError:
                raise
            raise wire.RefusedError(str(error), status=400) from error  # its grammar, its messages
        if name in self._pending:  # another with this name was taken in meanwhile
            generation.close()
            raise _name_is_taken()
        self._pending[name] = generation

        def end() -> None:
            generation.close()
            if self._pending.get(name) is generation:
                del self._pending[name]

        headers = {REQUEST_ID: name}
        pieces = self._figures.counted(generation)
        if options.stream:
            content = streams.events(generation, pieces, completion, with_usage=options.with_usage)
            return streams.EventStream(content, headers=headers, end=end)
        try:
            return JSONResponse(completion.whole(await streams.whole(pieces, request)), headers=headers)
        finally:
            end()

    def _check_name(self, name: str) -> None:
        if name != self._model_id:
            raise wire.RefusedError(
                f"This server has no model {name!r}; it has {self._model_id!r}.",
                status=404,
                code="model_not_found",
                param="model",
            )

    def _request_id(self, request: Request, completion: ChatCompletion) -> str:
        given = request.headers.get(REQUEST_ID, "")
        if given in self._pending:
            raise _name_is_taken()
        # One that cannot stand in the address of `/v1/queue` is not taken.
        usable = given.isprintable() and "/" not in given and 0 < len(given) <= _LONGEST_ID
        return given if usable else completion.id

    async def _parley_error(self, _: Request, exc: Exception) -> Response:
        status, body = wire.error_of(exc if isinstance(exc, ParleyError) else ParleyError(str(exc)))
        headers = {}
        if isinstance(exc, ModelBusyError):
            self._figures.refused()
            body["error"]["queued"] = self._engine.stats.queued
            headers["Retry-After"] = str(self._figures.seconds_until_a_place())
        return JSONResponse(body, status_code=status, headers=headers)


def _name_is_taken() -> wire.RefusedError:
    return wire.RefusedError(
        f"Another request with this {REQUEST_ID} is pending: choose another.", status=400
    )
