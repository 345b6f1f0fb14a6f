"""How events reach the bot: over a connection that it opens to Slack (Socket Mode), or as requests to a port.

Both hand everything to the Bolt app, which is made so that it acknowledges only what its listeners have taken.

Slack can keep a connection open and send nothing over it. A connection that was silent for `SILENCE` seconds is
therefore replaced, whether or not there was anything to say; Slack sends again what was not acknowledged.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import (
    AsyncSlackRequestHandler,
    to_async_bolt_request,
    to_starlette_response,
)
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.http import serve
from adapters.pacing import unbroken
from adapters.slack.errors import TRANSPORT_ERRORS, SlackRefusedError, translated
from adapters.slack.manifest import EVENTS_PATH, INSTALL_PATH, REDIRECT_PATH
from bot.errors import SettingsError

log = logging.getLogger(__name__)

SILENCE = 300.0
"""Seconds without a word after which a connection is replaced; the last time that Slack sends an event again is five
minutes after the first."""
PING_SECONDS = 5.0
"""Between pings; slack_sdk opens a connection that was cut, or that let four pings unanswered, anew by itself."""


class SocketConnection:
    """Socket Mode, kept alive."""

    def __init__(
        self, bolt: AsyncApp, *, app_token: str, client: AsyncWebClient, silence: float = SILENCE
    ) -> None:
        self._bolt = bolt
        self._app_token = app_token
        self._client = client
        self._silence = silence
        self._heard = 0.0
        self.replaced = 0
        """How many connections were given up because nothing came over them."""

    async def run(self) -> None:
        """Be connected until cancelled; raises `SettingsError` when Slack refuses the app's token."""
        await self._check_token()
        handler = await self._connect()
        try:
            while True:
                await asyncio.sleep(max(0.0, self._heard + self._silence - time.monotonic()))
                if time.monotonic() - self._heard >= self._silence:
                    self.replaced += 1
                    # While Slack answers pings, there was most likely nothing to say.
                    level = logging.DEBUG if await handler.client.is_connected() else logging.INFO
                    log.log(
                        level, "nothing heard from Slack for %.0f s: opening a new connection", self._silence
                    )
                    silent, handler = handler, await self._connect()
                    await unbroken(_close(silent))
        finally:
            await _close(handler)

    async def _connect(self) -> AsyncSocketModeHandler:
        """Everything new, tasks included: whatever made the last one deaf is not in it. Tries until it works."""
        handler = AsyncSocketModeHandler(
            self._bolt, self._app_token, web_client=self._client, ping_interval=PING_SECONDS
        )
        handler.client.message_listeners.append(self._hear)
        try:
            await handler.connect_async()  # type: ignore[no-untyped-call]
        except BaseException:
            await _close(handler)
            raise
        self._heard = time.monotonic()
        return handler

    async def _hear(self, *_: Any) -> None:
        self._heard = time.monotonic()

    async def _check_token(self) -> None:
        """slack_sdk would try a wrong token for ever."""
        try:
            await self._client.apps_connections_open(app_token=self._app_token)
        except TRANSPORT_ERRORS as error:
            trouble = translated(error, method="apps.connections.open")
            if isinstance(trouble, SlackRefusedError):
                raise SettingsError(refused_app_token(trouble.code)) from trouble


def refused_app_token(code: str) -> str:
    """What to do when Slack answers that to apps.connections.open."""
    return (
        f"Slack refuses the app-level token ({code}); set PARLEY_SLACK_APP_TOKEN to one with the scope "
        "connections:write, from the page of the app under Basic Information."
    )


async def _close(handler: AsyncSocketModeHandler) -> None:
    await handler.close_async()  # type: ignore[no-untyped-call]


class HttpServer:
    """Requests from Slack, each checked for its signature by Bolt; a proxy in front has to do the TLS."""

    def __init__(self, bolt: AsyncApp, *, host: str, port: int, flow: AsyncOAuthFlow | None = None) -> None:
        """With a `flow`, `INSTALL_PATH` leads through the installation in another workspace."""
        self._requests = AsyncSlackRequestHandler(bolt)
        self._host = host
        self._port = port
        self._flow = flow

    def application(self) -> Starlette:
        """The routes, for a server or a test client."""
        routes = [Route(EVENTS_PATH, self._requests.handle, methods=["POST"])]
        if self._flow:
            routes.append(Route(INSTALL_PATH, _page(self._flow.handle_installation)))
            routes.append(Route(REDIRECT_PATH, _page(self._flow.handle_callback)))
        return Starlette(routes=routes)

    async def run(self) -> None:
        """Serve until cancelled; raises `SettingsError` when the port cannot be had."""
        await serve(self.application(), host=self._host, port=self._port, keys="slack.http_")


def _page(
    handle: Callable[[AsyncBoltRequest], Awaitable[BoltResponse]],
) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        return to_starlette_response(await handle(to_async_bolt_request(request, b"")))

    return page
