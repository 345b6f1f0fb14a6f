"""A small HTTP face, for programs and for health checks.

    GET  /metrics  figures of the process for Prometheus
    GET  /health   200 once answering works (a missing model is no fault: answers are then quotes), else 503
    POST /ask      {"question": …, "thread": …?, "user": …?} → what `parley ask --json` prints; with
                   `Accept: text/event-stream` the pieces as they come, then the whole
    POST /vote     {"turn_id": …, "score": 1 | -1, "reason": …?, "user": …?}; one vote for each `user`

Everyone who may connect sees the sources that are visible to `everyone`, no others. Beyond this machine it wants
`Authorization: Bearer` with the token of PARLEY_WEB_TOKEN. It does not do TLS: put a proxy in front.
"""

import asyncio
import hmac
import ipaddress
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from adapters.http import serve
from adapters.protocol import OnTheLine
from bot.app import App
from bot.errors import SettingsError
from bot.messages import Final, IncomingMessage, Progress
from bot.notices import Action
from bot.reports import answer_json
from feedback.errors import FeedbackError, UnknownTurnError
from feedback.records import Score, Vote


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid")
    question: str = Field(min_length=1, max_length=20_000, pattern=r"\S")
    thread: str = Field("", max_length=200)
    user: str = Field("web", min_length=1, max_length=200)


class _Vote(BaseModel):
    model_config = ConfigDict(extra="forbid")
    turn_id: str
    score: Score
    reason: str = Field("", max_length=200)
    user: str = Field("web", max_length=200)


class _QueueReply:
    """An answer as events for one HTTP response: `text`, then `final`, `said` or `error`, then None."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[tuple[str, dict[str, object]] | None] = asyncio.Queue()

    async def progress(self, progress: Progress) -> None:
        await self.events.put(("progress", {"stage": progress.stage, "text": progress.text}))

    async def text(self, content: str) -> None:
        await self.events.put(("text", {"content": content}))

    async def finish(self, final: Final) -> None:
        await self.events.put(("final", answer_json(final)))

    async def fail(self, sentence: str) -> None:
        await self.events.put(("error", {"error": sentence}))

    async def report(self, markdown: str) -> None:
        await self.events.put(("report", {"text": markdown}))

    async def say(self, markdown: str, *, actions: Sequence[Action] = ()) -> None:
        await self.events.put(("said", {"text": markdown, "actions": [asdict(action) for action in actions]}))

    async def stopped(self) -> None:
        await self.fail("Stopped.")

    async def withdraw(self) -> None:
        await self.fail("Withdrawn.")

    async def __aiter__(self) -> AsyncIterator[tuple[str, dict[str, object]]]:
        while (event := await self.events.get()) is not None:
            yield event


class WebAdapter(OnTheLine):
    """Serves while `[web] port` is set."""

    name: ClassVar[str] = "web"
    interactive: ClassVar[bool] = False

    def __init__(self, app: App) -> None:
        """Raises `SettingsError` when others could connect and there is no token."""
        self._app = app
        self._settings = app.settings.web
        if self.configured and not _is_loopback(self._settings.host) and self._settings.token is None:
            raise SettingsError(
                f"web.host is {self._settings.host}, which other machines can reach: set PARLEY_WEB_TOKEN to a "
                'secret of your own, or web.host to "127.0.0.1".'
            )

    @property
    def configured(self) -> bool:
        return self._settings.port is not None

    async def run(self) -> None:
        """Serve until cancelled; raises `SettingsError` when the port cannot be had."""
        if self._settings.port is None:
            raise SettingsError("web.port is not set; add `port = 8080` to the [web] section.")
        await serve(self.application(), host=self._settings.host, port=self._settings.port, keys="web.")

    def application(self) -> Starlette:
        """The routes, for a server or a test client."""
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/metrics", self._metrics),
                Route("/ask", self._ask, methods=["POST"]),
                Route("/vote", self._vote, methods=["POST"]),
            ]
        )

    def reply(self, message: IncomingMessage) -> _QueueReply:  # noqa: ARG002
        """An answer for whoever reads its events."""
        return _QueueReply()

    async def _health(self, _: Request) -> Response:
        ready = self._app.ready
        return JSONResponse(
            {"ready": ready, "model": self._app.llm.model_id}, status_code=200 if ready else 503
        )

    async def _metrics(self, request: Request) -> Response:
        return self._refusal(request) or PlainTextResponse(self._app.telemetry.text())

    async def _ask(self, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        try:
            body = _Question.model_validate_json(await request.body())
        except ValidationError as error:
            return _bad_request(error)
        message = IncomingMessage(
            platform=self.name,
            event_id=uuid.uuid4().hex,
            conversation_id="web",
            thread_id=body.thread or uuid.uuid4().hex,
            user_id=body.user,
            text=body.question.strip(),
        )
        events = self._events(message)
        if "text/event-stream" in request.headers.get("accept", ""):
            return StreamingResponse(_server_sent(events), media_type="text/event-stream")
        async with aclosing(events):
            last = [event async for event in events][-1]
        kind, value = last
        return JSONResponse(value, status_code=200 if kind in {"final", "said"} else 500)

    async def _events(self, message: IncomingMessage) -> AsyncGenerator[tuple[str, dict[str, object]]]:
        """The events of one answer; closing the generator cancels the answer."""
        reply = self.reply(message)
        task = asyncio.create_task(self._app.desk.ask(self, message, reply))
        task.add_done_callback(lambda _: reply.events.put_nowait(None))
        try:
            async for event in reply:
                yield event
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _vote(self, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        try:
            body = _Vote.model_validate_json(await request.body())
        except ValidationError as error:
            return _bad_request(error)
        vote = Vote(turn_id=body.turn_id, user_id=body.user, score=body.score, reason=body.reason)
        try:
            await asyncio.to_thread(self._app.feedback.save_vote, vote)
        except UnknownTurnError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except FeedbackError as error:
            return JSONResponse({"error": str(error)}, status_code=503)
        return JSONResponse({"kept": True})

    def _refusal(self, request: Request) -> Response | None:
        token = self._settings.token
        if token is None:
            return None
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
            return None
        return JSONResponse(
            {"error": "Send `Authorization: Bearer` with the token of PARLEY_WEB_TOKEN."},
            status_code=401,
            headers={"WWW-Authenticate": "Bearer"},
        )


def _bad_request(error: ValidationError) -> Response:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    return JSONResponse({"error": f"{where}: {first['msg']}."}, status_code=400)


async def _server_sent(events: AsyncGenerator[tuple[str, dict[str, object]]]) -> AsyncIterator[str]:
    async with aclosing(events):
        async for kind, value in events:
            yield f"event: {kind}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
