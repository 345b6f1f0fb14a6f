"""The REST API's front door: routes, tokens, bodies, rate limits, and the faults a test asks for.

Every call is logged by the name of its route, such as `create_message`, which is also the name that faults and
limits go by. What a route does is in `discord_messages`, `discord_channels`, `discord_commands` and
`discord_callbacks`.
"""

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader, web

from tests.platforms.discord_gateway import Gateway
from tests.platforms.discord_limits import Limits
from tests.platforms.discord_model import Channel, File, Json, Message
from tests.platforms.discord_permissions import BITS
from tests.platforms.discord_state import State

if TYPE_CHECKING:
    from tests.platforms.discord_interactions import Interactions

ERRORS = {
    10003: (404, "Unknown Channel"),
    10004: (404, "Unknown Guild"),
    10007: (404, "Unknown Member"),
    10008: (404, "Unknown Message"),
    10013: (404, "Unknown User"),
    10014: (404, "Unknown Emoji"),
    10015: (404, "Unknown Webhook"),
    10062: (404, "Unknown interaction"),
    10063: (404, "Unknown application command"),
    20012: (403, "You are not authorized to perform this action on this application"),
    40060: (400, "Interaction has already been acknowledged."),
    40094: (400, "This interaction has hit the maximum number of follow up messages"),
    50001: (403, "Missing Access"),
    50005: (403, "Cannot edit a message authored by another user"),
    50006: (400, "Cannot send an empty message"),
    50007: (403, "Cannot send messages to this user"),
    50008: (400, "Cannot send messages in a non-text channel"),
    50013: (403, "Missing Permissions"),
    50021: (403, "Cannot execute action on a system message"),
    50024: (400, "Cannot execute action on this channel type"),
    50027: (401, "Invalid Webhook Token"),
    50035: (400, "Invalid Form Body"),
    50083: (400, "Thread is archived"),
    160002: (400, "Cannot reply without permission to read message history"),
    160004: (400, "A thread has already been created for this message"),
    160005: (403, "Thread is locked"),
}


class ApiError(Exception):
    """An answer in Discord's error shape; the status and the words follow from the code."""

    def __init__(self, code: int, *, errors: Json | None = None) -> None:
        self.status, message = ERRORS[code]
        super().__init__(message)
        self.answer: Json = {"code": code, "message": message} | ({"errors": errors} if errors else {})


@dataclass(frozen=True)
class Call:
    """One call: what was asked, when (time.monotonic), and the status and code it was answered with."""

    route: str
    path: str
    body: Json
    at: float
    status: int
    code: int = 0


@dataclass
class Fault:
    """What happens to the next calls of a route instead of, before or after the work."""

    times: int
    code: int = 0
    status: int = 0
    seconds: float = 0.0
    reset: str = ""
    """"before" cuts the connection unanswered and undone, "after" when the work is done and kept."""


@dataclass
class Ask:
    """A request as its route sees it."""

    path: dict[str, str]
    query: dict[str, str]
    body: Any
    files: dict[int, File] = field(default_factory=dict)

    def number(self, name: str, default: int) -> int:
        return int(self.query.get(name) or default)


Answer = Json | list[Json] | None
"""JSON, or None for 204."""
Work = Callable[["Rest", Ask], Answer]


@dataclass(frozen=True)
class Route:
    name: str
    method: str
    pattern: re.Pattern[str]
    work: Work
    open: bool


ROUTES: list[Route] = []


def route(method: str, path: str, *, without_token: bool = False) -> Callable[[Work], Work]:
    """Register a function for a path such as ``/channels/{channel}``, under the function's name."""

    def register(work: Work) -> Work:
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
        ROUTES.append(Route(work.__name__, method, pattern, work, without_token))
        return work

    return register


class Rest:
    """Answers calls; the settings are public and may be changed while it runs."""

    interactions: "Interactions"

    def __init__(self, state: State, gateway: Gateway) -> None:
        self.state = state
        self.gateway = gateway
        self.limits = Limits(state.violations)
        self.calls: list[Call] = []
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.nonce_seconds = 300.0
        """For how long Discord knows a message again by its nonce: "a few minutes"."""
        self.nonces: dict[str, tuple[float, Message]] = {}
        self.max_file = 10 * 2**20
        self.typing: list[tuple[str, float]] = []
        """Channel and time (time.monotonic) of every typing indicator."""
        self.commands: dict[str, list[Json]] = {}
        """The application's commands by guild; "" for the global ones."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = f"/{request.match_info['path']}"
        found = next(
            ((r, m) for r in ROUTES if r.method == request.method and (m := r.pattern.fullmatch(path))), None
        )
        if found is None:
            self._log("(no such route)", path, {}, 404)
            self.state.violations.append(f"no such route: {request.method} {path}")
            return _json({"message": "404: Not Found", "code": 0}, status=404, headers={})
        chosen, match = found
        ask = Ask(match.groupdict(""), dict(request.query), {})
        fault = self._fault(chosen.name)
        limit = self.limits.take(chosen.name, ask.path)
        status = 200
        answer: Answer = None
        try:
            ask.body, ask.files = await self._read(request)
            if fault and fault.seconds:
                await asyncio.sleep(fault.seconds)
            if limit.refusal:
                status, answer = 429, limit.refusal
            elif fault and fault.status and not fault.code:
                status, answer = fault.status, {"message": f"{fault.status}: local fault", "code": 0}
            elif not chosen.open and request.headers.get("Authorization") != f"Bot {self.state.token}":
                status, answer = 401, {"message": "401: Unauthorized", "code": 0}
            else:
                self._fail(fault, request, "before")
                answer = chosen.work(self, ask)
                status = 204 if answer is None else 200
                self._fail(fault, request, "after")
        except ApiError as error:
            status, answer = error.status, error.answer
        except ConnectionResetError:
            status, answer = 0, {"code": 0}
        code = answer.get("code", 0) if isinstance(answer, dict) and status != 200 else 0
        self._log(chosen.name, path, ask.body, status, code if isinstance(code, int) else 0)
        if status == 204:
            return web.Response(status=204, headers=limit.headers)
        return _json(answer, status=status or 200, headers=limit.headers)

    def _fault(self, name: str) -> Fault | None:
        for key in (name, "*"):
            for fault in self.faults[key]:
                if fault.times:
                    fault.times -= 1
                    return fault
        return None

    def _fail(self, fault: Fault | None, request: web.Request, moment: str) -> None:
        if fault and fault.code and moment == "before":
            raise ApiError(fault.code)
        if fault and fault.reset == moment and request.transport:
            request.transport.abort()
            raise ConnectionResetError

    def _log(self, name: str, path: str, body: Any, status: int, code: int = 0) -> None:
        self.calls.append(Call(name, path, body, time.monotonic(), status, code))

    async def _read(self, request: web.Request) -> tuple[Any, dict[int, File]]:
        """The JSON of a request and its files by the number they were sent under."""
        files: dict[int, File] = {}
        if not request.can_read_body:
            return {}, files
        if request.content_type == "application/json":
            try:
                return await request.json() if await request.read() else {}, files
            except ValueError:
                raise ApiError(50035) from None
        body: Any = {}
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                continue
            numbered = re.fullmatch(r"files\[(\d+)\]", part.name or "")
            if part.name == "payload_json":
                body = json.loads(await part.text())
            elif numbered:
                kind = part.headers.get("Content-Type", "application/octet-stream")
                content = bytes(await part.read())
                files[int(numbered[1])] = File(self.state.snowflake(), part.filename or "", content, kind)
        return body, files

    # What the routes share

    def refuse(self, where: str, complaints: Iterable[str]) -> None:
        """Record complaints as violations and answer 400 with them, when there are any."""
        found = list(complaints)
        if found:
            self.state.violations += [f"{where}: {complaint}" for complaint in found]
            raise ApiError(50035, errors=_nested(found))

    def channel(self, channel: str, *needed: str) -> Channel:
        """The channel, when the bot may see it and has these permissions there."""
        found = self.state.channel(channel)
        if found is None:
            raise ApiError(10003)
        allowed = self.state.permissions(self.state.bot.id, found)
        if not allowed & BITS["VIEW_CHANNEL"]:
            raise ApiError(50001)
        if any(not allowed & BITS[name] for name in needed):
            raise ApiError(50013)
        return found

    def message(self, channel: str, message: str) -> Message:
        self.channel(channel)
        found = self.state.find(channel, message)
        if found is None:
            raise ApiError(10008)
        return found


def _json(answer: Answer, *, status: int, headers: dict[str, str]) -> web.Response:
    """JSON as Discord sends it: discord.py reads it only when no character set is named."""
    plain = {"Content-Type": "application/json"}
    return web.Response(body=json.dumps(answer).encode(), status=status, headers=headers | plain)


def _nested(complaints: list[str]) -> Json:
    """Complaints such as ``embeds[0].title: too long`` as Discord nests them."""
    errors: Json = {}
    for complaint in complaints:
        path, _, words = complaint.partition(": ")
        place = errors
        for step in re.findall(r"\w+", path):
            place = place.setdefault(step, {})
        place.setdefault("_errors", []).append({"code": "BASE_TYPE_INVALID", "message": words})
    return errors
