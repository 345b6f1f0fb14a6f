"""How the local Slack reaches the bot: Socket Mode connections, or signed HTTP requests, with retries.

Events are delivered at least once: an attempt that is not acknowledged in time is repeated with the same
event_id, up to three times, to whichever connection is open then; while nothing is connected, events wait.
Interactions and slash commands are tried once, as in Slack: the person sees an error and may press again.
Delivery order is not guaranteed, and several events are under way at the same time.
"""

import asyncio
import hashlib
import hmac
import json
import random
import time
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import WSMsgType, web

from tests.platforms.slack_state import Channel, Json, State, Workspace

EVENTS = frozenset(
    """app_mention message.channels message.groups message.im message.mpim app_home_opened app_context_changed
    agent_session_stopped reaction_added reaction_removed member_joined_channel member_left_channel file_shared
    app_uninstalled tokens_revoked""".split()
)


@dataclass(eq=False)
class Receipt:
    """What became of one thing that was sent to the bot."""

    kind: str
    """"events_api", "interactive" or "slash_commands"."""
    payload: Json
    attempts: int = 0
    acked: bool = False
    response: Json | None = None
    """What the bot answered in its acknowledgement."""
    error: str = ""
    """Why it was given up: "no connection", "closed", "timeout", "http 500"…; empty when it was acknowledged."""


@dataclass(eq=False)
class Connection:
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    deaf: bool = False
    answers_pings: bool = True
    waiting: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    closing: bool = False

    @property
    def usable(self) -> bool:
        return not (self.deaf or self.closing or self.socket.closed)


class Delivery:
    """Sends events and interactions to the bot; tests change the public settings as they need."""

    def __init__(self, state: State, *, seed: int) -> None:
        self.state = state
        self.random = random.Random(seed)  # noqa: S311
        self._twice = random.Random(seed)  # noqa: S311
        self.ack_timeout = 3.0
        self.retry_delays: tuple[float, ...] = (0.0, 1.0, 5.0)
        """Slack waits 0, 60 and 300 seconds."""
        self.duplicates = 0.0
        """The share of events that are delivered a second time although the first was acknowledged.

        Which of the people's events these are depends only on the seed and the order of what people do.
        """
        self.duplicate_delay = 0.2
        self.max_connections = 10
        self.subscriptions = set(EVENTS)
        self.http_url: str | None = None
        self.connections: list[Connection] = []
        self.receipts: list[Receipt] = []
        self._responses: dict[str, Json] = {}
        self._opened = asyncio.Event()
        self._tickets: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self.connections):
            await connection.socket.close(code=1001)
        if self._session:
            await self._session.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            self.state.violations.append(f"the local Slack failed: {task.exception()!r}")

    # Events

    def event(self, event: Json, workspace: Workspace, channel: Channel | None = None) -> Receipt | None:
        """Send an event to the bot when it is subscribed to it; None when it is not."""
        name = event["type"]
        if name == "message" and channel:
            name = {"channel": "message.channels", "group": "message.groups"}.get(
                channel.kind, f"message.{channel.kind}"
            )
        if name not in self.subscriptions or workspace.revoked:
            return None
        receipt = Receipt("events_api", self.wrap(event, workspace, channel))
        self.receipts.append(receipt)
        draw = self.random if event.get("bot_id") else self._twice
        self.spawn(self._deliver(receipt))
        if draw.random() < self.duplicates:
            self.spawn(self._again(receipt))
        return receipt

    def wrap(self, event: Json, workspace: Workspace, channel: Channel | None) -> Json:
        authorization = {
            "enterprise_id": None,
            "team_id": workspace.id,
            "user_id": workspace.bot.id,
            "is_bot": True,
            "is_enterprise_install": False,
        }
        return {
            "token": "verification-token",
            "team_id": workspace.id,
            "context_team_id": workspace.id,
            "context_enterprise_id": None,
            "api_app_id": self.state.app_id,
            "event": event,
            "type": "event_callback",
            "event_id": self.state.id("Ev"),
            "event_time": int(time.time()),
            "authorizations": [authorization],
            "is_ext_shared_channel": bool(channel and channel.is_ext_shared),
        }

    async def _deliver(self, receipt: Receipt) -> None:
        for retry, delay in enumerate((0.0, *self.retry_delays)):
            await asyncio.sleep(delay)
            receipt.error = await self._attempt(receipt, retry=retry, reason=receipt.error, wait=True)
            if not receipt.error:
                receipt.acked = True
                return

    async def _again(self, receipt: Receipt) -> None:
        """Deliver once more what was delivered already, as Slack does when an acknowledgement got lost."""
        await asyncio.sleep(self.random.uniform(0, self.duplicate_delay))
        if not await self._attempt(receipt, retry=1, reason="timeout", wait=True):
            receipt.acked = True

    # Interactions

    async def interaction(self, payload: Json, *, kind: str = "interactive") -> Receipt:
        """Send an interaction or a slash command once and wait for the bot to acknowledge it."""
        receipt = Receipt(kind, payload)
        self.receipts.append(receipt)
        receipt.error = await self._attempt(receipt, retry=0, reason="", wait=False)
        receipt.acked = not receipt.error
        return receipt

    # One attempt

    async def _attempt(self, receipt: Receipt, *, retry: int, reason: str, wait: bool) -> str:
        receipt.attempts += 1
        send = self._post if self.http_url else self._push
        error = await send(receipt, retry, reason, wait)
        if error in {"timeout", "http_timeout"}:
            self.state.violations.append(f"{_name(receipt)}: not acknowledged in {self.ack_timeout} s")
        return error

    async def _push(self, receipt: Receipt, retry: int, reason: str, wait: bool) -> str:
        connection = await self._connection(wait=wait)
        if connection is None:
            return "no connection"
        envelope = {
            "envelope_id": str(uuid.uuid4()),
            "type": receipt.kind,
            "payload": receipt.payload,
            "accepts_response_payload": receipt.kind != "events_api",
        }
        if receipt.kind == "events_api":
            envelope |= {"retry_attempt": retry, "retry_reason": reason if retry else ""}
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        key = str(envelope["envelope_id"])
        connection.waiting[key] = answer
        try:
            await connection.socket.send_json(envelope)
            async with asyncio.timeout(self.ack_timeout):
                error = await answer
        except TimeoutError:
            return "timeout"
        except ConnectionError:
            return "closed"
        finally:
            connection.waiting.pop(key, None)
        receipt.response = self._responses.pop(key, None) or receipt.response
        return error

    async def _connection(self, *, wait: bool) -> Connection | None:
        while not (usable := [c for c in self.connections if c.usable]):
            if not wait:
                return None
            self._opened.clear()
            await self._opened.wait()
        return self.random.choice(usable)

    # Socket Mode

    def ticket(self) -> str:
        """A ticket for one connection, for apps.connections.open."""
        ticket = str(uuid.uuid4())
        self._tickets.add(ticket)
        return ticket

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        """One Socket Mode connection, until it closes."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=401, text="invalid ticket")
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(autoping=False, timeout=1.0)
        await socket.prepare(request)
        connection = Connection(socket, request.transport)
        if len(self.connections) >= self.max_connections:
            await self._goodbye(connection, "too_many_websockets")
            await socket.close()
            return socket
        hello = {
            "type": "hello",
            "num_connections": len(self.connections) + 1,
            "debug_info": {"host": "local", "approximate_connection_time": 18060},
            "connection_info": {"app_id": self.state.app_id},
        }
        await socket.send_json(hello)
        self.connections.append(connection)
        self._opened.set()
        try:
            await self._listen(connection)
        finally:
            self.connections.remove(connection)
            for answer in connection.waiting.values():
                if not answer.done():
                    answer.set_result("closed")
        return socket

    async def _listen(self, connection: Connection) -> None:
        async for message in connection.socket:
            if message.type is WSMsgType.PING and connection.answers_pings:
                await connection.socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                acknowledged = json.loads(message.data)
                key = acknowledged.get("envelope_id")
                answer = next((c.waiting[key] for c in self.connections if key in c.waiting), None)
                if answer and not answer.done():
                    self._responses[key] = acknowledged.get("payload") or {}
                    answer.set_result("")

    async def _goodbye(self, connection: Connection, reason: str) -> None:
        connection.closing = True
        await connection.socket.send_json(
            {"type": "disconnect", "reason": reason, "debug_info": {"host": "local"}}
        )

    async def disconnect(self, reason: str = "refresh_requested", *, grace: float = 0.0) -> None:
        """Ask every connection to go, as Slack does every few hours, and close it `grace` seconds later.

        After "warning" Slack goes on sending for about ten seconds; after "refresh_requested" it does not.
        """
        leaving = [c for c in self.connections if not c.socket.closed]
        for connection in leaving:
            await self._goodbye(connection, reason)
            connection.closing = reason != "warning"
        await asyncio.sleep(grace)
        for connection in leaving:
            connection.closing = True
            await connection.socket.close()

    def drop(self) -> None:
        """Cut every connection without a word, as a broken network does."""
        for connection in list(self.connections):
            if connection.transport:
                connection.transport.abort()

    # Signed HTTP

    def signed(self, body: str, *, timestamp: int | None = None, secret: str | None = None) -> dict[str, str]:
        """The signature headers of a request with this body."""
        when = int(time.time()) if timestamp is None else timestamp
        key = (secret or self.state.signing_secret).encode()
        digest = hmac.new(key, f"v0:{when}:{body}".encode(), hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": str(when), "X-Slack-Signature": f"v0={digest}"}

    async def post_signed(self, body: str, content_type: str, **headers: str) -> tuple[int, str, bool]:
        """POST a body to the bot; gives the status, the body of the answer and whether retries are unwanted."""
        self._session = self._session or aiohttp.ClientSession()
        everything = self.signed(body) | {"Content-Type": content_type} | headers
        timeout = aiohttp.ClientTimeout(total=self.ack_timeout)
        url = str(self.http_url)
        async with self._session.post(url, data=body.encode(), headers=everything, timeout=timeout) as answer:
            unwanted = answer.headers.get("X-Slack-No-Retry") == "1"
            return answer.status, await answer.text(), unwanted

    async def _post(self, receipt: Receipt, retry: int, reason: str, wait: bool) -> str:
        headers = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": reason} if retry else {}
        try:
            status, text, unwanted = await self.post_signed(*_body(receipt), **headers)
        except TimeoutError:
            return "http_timeout"
        except aiohttp.ClientError:
            return "connection_failed"
        if status >= 300 and not unwanted:
            return "http_error"
        receipt.response = json.loads(text) if text.startswith("{") else {"text": text} if text else None
        return ""


def _body(receipt: Receipt) -> tuple[str, str]:
    if receipt.kind == "events_api":
        return json.dumps(receipt.payload), "application/json"
    fields = receipt.payload if receipt.kind == "slash_commands" else {"payload": json.dumps(receipt.payload)}
    return urlencode(fields), "application/x-www-form-urlencoded"


def _name(receipt: Receipt) -> str:
    payload = receipt.payload
    return str(payload.get("event", {}).get("type") or payload.get("command") or payload.get("type"))
