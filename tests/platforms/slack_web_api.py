"""The Web API's front door: tokens, scopes, arguments, rate limits, and the faults a test asks for.

A call answers HTTP 200 with ``ok`` true or false, or 429 with Retry-After, as Slack does. Every call is logged.
What a method does is in `slack_chat` and `slack_methods`.
"""

import asyncio
import json
import math
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.platforms import slack_blocks
from tests.platforms.slack_delivery import Delivery
from tests.platforms.slack_state import Channel, Json, Message, State, View, Workspace, with_ids

RATE_LIMITS: dict[str, tuple[int, float]] = {
    "chat.startStream": (20, 60.0),
    "chat.stopStream": (20, 60.0),
    "chat.appendStream": (100, 60.0),
    "chat.update": (50, 60.0),
    "chat.delete": (50, 60.0),
    "chat.postMessage": (1, 1.0),
    "chat.postEphemeral": (100, 60.0),
    "conversations.replies": (50, 60.0),
    "conversations.history": (50, 60.0),
    "users.info": (100, 60.0),
}
"""Calls and seconds, for a workspace; chat.postMessage for a channel. Slack promises at least these."""


class ApiError(Exception):
    """An answer with ``ok: false``; further fields of the answer are keywords."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.answer: Json = {"ok": False, "error": error} | more


class Arguments(dict[str, Any]):
    """The arguments of a call, whether they came as JSON, as a form or in the address."""

    def need(self, name: str) -> str:
        if not self.get(name):
            detail = {"messages": [f"[ERROR] missing required field: {name}"]}
            raise ApiError("invalid_arguments", response_metadata=detail)
        return str(self[name])

    def parsed(self, name: str, error: str = "invalid_arguments") -> Any:
        """A list or an object, which a form sends as a JSON string; None when absent."""
        value = self.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ApiError(error) from None

    def flag(self, name: str) -> bool | None:
        value = self.get(name)
        return None if value is None else str(value).lower() in {"1", "true"}

    def number(self, name: str, default: int) -> int:
        return int(self.get(name) or default)


@dataclass(frozen=True)
class Call:
    """One call of the Web API: what was asked, when (time.monotonic) and the error it was answered with."""

    method: str
    arguments: Json
    at: float
    error: str
    team: str = ""


@dataclass
class Fault:
    """What happens to the next calls of a method instead of, before or after the work."""

    times: int
    error: str = ""
    status: int = 0
    seconds: float = 0.0
    reset: str = ""
    """"before" cuts the connection unanswered and undone, "after" when the work is done and kept."""


Method = Callable[["WebApi", Workspace, Arguments], Json | Awaitable[Json]]
METHODS: dict[str, tuple[Method, tuple[str, ...]]] = {}


def method(name: str, *scopes: str) -> Callable[[Method], Method]:
    """Register a method of the Web API and the scopes it needs."""

    def register(work: Method) -> Method:
        METHODS[name] = (work, scopes)
        return work

    return register


class WebApi:
    """Answers calls; the settings are public and may be changed while it runs."""

    def __init__(self, state: State, delivery: Delivery) -> None:
        self.state = state
        self.delivery = delivery
        self.base_url = ""
        self.calls: list[Call] = []
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.missing: set[str] = set()
        self.limits: dict[str, tuple[int, float]] = {}
        self.stream_seconds: float | None = 300.0
        self.stream_appends: int | None = None
        self.stream_characters = 12_000
        self.agent_view = True
        self.views: list[View] = []
        self.statuses: list[Json] = []
        self.prompts: dict[str, list[Json]] = {}
        self.titles: dict[tuple[str, str], str] = {}
        self.used_codes: set[str] = set()
        self.triggers: dict[str, tuple[str, float]] = {}
        self.trigger_seconds = 3.0
        self._windows: dict[tuple[str, ...], deque[float]] = defaultdict(deque)

    # One call

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        arguments = await _arguments(request)
        workspace: Workspace | None = None
        fault = self._fault(name)
        try:
            self._fail(fault, request, "before")
            if fault and fault.seconds:
                await asyncio.sleep(fault.seconds)
            workspace = self._authorize(name, request, arguments)
            if wait := self._limited(name, workspace, arguments):
                self._log(name, arguments, "ratelimited", workspace)
                headers = {"Retry-After": str(wait)}
                return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
            answer = METHODS[name][0](self, workspace, arguments)
            answer = {"ok": True} | (answer if isinstance(answer, dict) else await answer)
            self._fail(fault, request, "after")
        except ApiError as error:
            answer = error.answer
        except ConnectionResetError:
            answer = {"ok": False, "error": "(connection reset)"}
        self._log(name, arguments, str(answer.get("error", "")), workspace)
        status = fault.status if fault and fault.status else 200
        return web.json_response(answer, status=status, headers=self._headers(name, workspace))

    def _fault(self, name: str) -> Fault | None:
        for key in (name, "*"):
            for fault in self.faults[key]:
                if fault.times:
                    fault.times -= 1
                    return fault
        return None

    def _fail(self, fault: Fault | None, request: web.Request, when: str) -> None:
        if fault and when == "before" and (fault.error or fault.status):
            raise ApiError(fault.error or "internal_error")
        if fault and fault.reset == when and request.transport:
            request.transport.abort()
            raise ConnectionResetError

    def _log(self, name: str, arguments: Arguments, error: str, workspace: Workspace | None) -> None:
        kept = {key: value for key, value in arguments.items() if key != "token"}
        self.calls.append(Call(name, kept, time.monotonic(), error, workspace.id if workspace else ""))

    def _headers(self, name: str, workspace: Workspace | None) -> dict[str, str]:
        if workspace is None or name not in METHODS:
            return {}
        accepted = ",".join(METHODS[name][1])
        return {"x-oauth-scopes": ",".join(sorted(workspace.scopes)), "x-accepted-oauth-scopes": accepted}

    # Tokens, scopes and limits

    def _authorize(self, name: str, request: web.Request, arguments: Arguments) -> Workspace:
        if name not in METHODS or name in self.missing:
            raise ApiError("unknown_method", req_method=name)
        first = next(iter(self.state.workspaces.values()))
        if name == "oauth.v2.access":
            return first
        token = arguments.pop("token", None) or request.headers.get("Authorization", "").removeprefix(
            "Bearer "
        )
        if not token:
            raise ApiError("not_authed")
        if name == "apps.connections.open":
            if token != self.state.app_token:
                raise ApiError("invalid_auth" if token.startswith("xapp-") else "not_allowed_token_type")
            return first
        workspace = self.by_token(token)
        for scope in METHODS[name][1]:
            self.scope(workspace, scope)
        return workspace

    def by_token(self, token: str) -> Workspace:
        workspace = next((w for w in self.state.workspaces.values() if w.token == token), None)
        if workspace is None:
            raise ApiError("not_allowed_token_type" if token == self.state.app_token else "invalid_auth")
        if workspace.revoked:
            raise ApiError("token_revoked")
        return workspace

    def scope(self, workspace: Workspace, needed: str) -> None:
        if needed not in workspace.scopes:
            raise ApiError("missing_scope", needed=needed, provided=",".join(sorted(workspace.scopes)))

    def _limited(self, name: str, workspace: Workspace, arguments: Arguments) -> int:
        if name not in self.limits:
            return 0
        calls, seconds = self.limits[name]
        key = (workspace.id, name, str(arguments.get("channel")) if name == "chat.postMessage" else "")
        window, now = self._windows[key], time.monotonic()
        while window and window[0] <= now - seconds:
            window.popleft()
        if len(window) >= calls:
            return max(1, math.ceil(window[0] + seconds - now))
        window.append(now)
        return 0

    # What the methods share

    def channel(self, workspace: Workspace, target: str, *, member: bool = True) -> Channel:
        """The channel with this id, or the direct conversation with the user of this id."""
        if target in workspace.users:
            return self.state.direct(workspace, target)
        channel = workspace.channels.get(target)
        if channel is None or (channel.kind != "channel" and workspace.bot.id not in channel.members):
            raise ApiError("channel_not_found")
        if member and workspace.bot.id not in channel.members:
            raise ApiError("not_in_channel")
        return channel

    def message(self, workspace: Workspace, channel: str, ts: str) -> Message:
        found = self.state.find(self.channel(workspace, channel).id, ts)
        if found is None:
            raise ApiError("message_not_found")
        return found

    def refuse(self, where: str, complaints: Iterable[str], error: str) -> None:
        """Record complaints as violations and answer with an error, when there are any."""
        found = list(complaints)
        if found:
            self.state.violations += [f"{where}: {complaint}" for complaint in found]
            raise ApiError(error, errors=found, response_metadata={"messages": found})

    def metadata(self, where: str, arguments: Arguments) -> Json | None:
        value: Json | None = arguments.parsed("metadata", "invalid_metadata_format")
        if value:
            self.refuse(where, slack_blocks.metadata(value), "invalid_metadata_schema")
        return value

    def wire(self, message: Message, *, metadata: bool = False) -> Json:
        team = self.state.user(message.user).team_id
        return message.wire(app_id=self.state.app_id, team=team, base=self.base_url, metadata=metadata)

    def show(self, workspace: Workspace, view: View, answer: Json) -> None:
        """Take the view with which the bot acknowledged a submission: in place of the old one, or above it."""
        payload: Json = answer["view"]
        self.refuse("response_action", slack_blocks.view(payload), "invalid_arguments")
        payload = payload | {"blocks": with_ids(payload["blocks"])}
        if answer.get("response_action") == "push":
            self.views.append(View(self.state.id("V"), view.user, workspace.id, payload, view))
        else:
            view.payload, view.updates = payload, view.updates + 1

    def trigger(self, user: str) -> str:
        """A trigger_id, good for opening one view for three seconds."""
        trigger = f"{self.state.number()}.{self.state.number()}.{self.state.id('t').lower()}"
        self.triggers[trigger] = (user, time.monotonic() + self.trigger_seconds)
        return trigger


async def _arguments(request: web.Request) -> Arguments:
    arguments = Arguments(request.query)
    if request.content_type == "application/json":
        sent = await request.json() if await request.read() else {}
        arguments.update({k: v for k, v in sent.items() if v is not None})
    elif request.can_read_body:
        arguments.update({k: v for k, v in (await request.post()).items() if isinstance(v, str)})
    return arguments
