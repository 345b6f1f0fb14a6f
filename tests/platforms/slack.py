"""A local Slack for tests: the Web API, Socket Mode and signed HTTP on one port of 127.0.0.1.

The real slack-sdk and slack-bolt talk to it over sockets, so the bot may run in the test's process or in another.
It refuses what Slack refuses, and it keeps a list of violations: blocks over Slack's limits, mentions that would
notify people, posts that would unfurl links, and events that were not acknowledged in three seconds. Leaving the
context manager raises AssertionError when the list is not empty; a test that breaks a rule on purpose clears it.

It does not show how Slack draws a message, does not search, and knows no Enterprise Grid, no user tokens, no
attachments, no scheduled messages and no canvases. State is in memory and ends with the context.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.platforms import slack_methods, slack_views  # noqa: F401  importing them registers the methods
from tests.platforms.slack_delivery import Connection, Delivery, Receipt
from tests.platforms.slack_people import People
from tests.platforms.slack_responses import Responses
from tests.platforms.slack_state import Channel, File, Json, Message, State, User, View, Workspace
from tests.platforms.slack_web_api import RATE_LIMITS, ApiError, Call, Fault, WebApi

__all__ = ["Call", "Channel", "File", "LocalSlack", "Message", "Receipt", "User", "View", "Workspace"]

T = TypeVar("T")


class LocalSlack(People):
    """A Slack with one workspace (`workspace`) and its bot, empty but for them; see the module's header.

    Settings of `delivery` (ack_timeout, retry_delays, duplicates, subscriptions) and of `api` (stream_seconds,
    stream_appends, stream_characters, trigger_seconds) may be changed at any time. `seed` decides which events
    are delivered twice and which connection gets an event.
    """

    def __init__(self, *, seed: int = 0, duplicates: float = 0.0, port: int = 0) -> None:
        self.state = State()
        self.state.add_workspace("acme")
        self.delivery = Delivery(self.state, seed=seed)
        self.delivery.duplicates = duplicates
        self.api = WebApi(self.state, self.delivery)
        self.responses = Responses(self.api)
        self._port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 2**20, middlewares=[self._watch])
        app.router.add_route("*", "/api/{method}", self.api.handle)
        app.router.add_get("/link/", self.delivery.websocket)
        app.router.add_post("/response/{key:.+}", self.responses.handle)
        app.router.add_get("/files-pri/{file}/{name}", self._download)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.api.base_url = f"http://127.0.0.1:{self._port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.delivery.close()
        if self._runner:
            await self._runner.cleanup()
        if self.violations and kind is None:
            shown = [*self.violations[:20], f"{len(self.violations)} in all"]
            raise AssertionError("Slack's rules were broken:\n" + "\n".join(shown))

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note failures of this server itself, which would otherwise look like Slack's."""
        try:
            return await handler(request)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:
            self.violations.append(f"the local Slack failed at {request.path}: {error!r}")
            raise

    async def _download(self, request: web.Request) -> web.Response:
        file = self.state.files.get(request.match_info["file"])
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            self.api.scope(self.api.by_token(token), "files:read")
        except ApiError:
            return web.Response(text="<html>Sign in to Slack</html>", content_type="text/html")
        if file is None:
            return web.Response(status=404)
        return web.Response(body=file.content, content_type=file.mimetype)

    # Addresses and secrets

    @property
    def api_url(self) -> str:
        """What `base_url` of a slack-sdk client has to be."""
        return f"{self.api.base_url}/api/"

    @property
    def bot_token(self) -> str:
        return self.workspace.token

    @property
    def app_token(self) -> str:
        return self.state.app_token

    @property
    def signing_secret(self) -> str:
        return self.state.signing_secret

    @property
    def bot(self) -> User:
        return self.workspace.bot

    # Setting up

    def add_workspace(self, name: str) -> Workspace:
        """Another workspace with its own bot token; code `code-` and its id gets the token by OAuth."""
        return self.state.add_workspace(name)

    def add_user(
        self,
        name: str,
        *,
        admin: bool = False,
        owner: bool = False,
        bot: bool = False,
        guest: bool = False,
        restricted: bool = False,
        team: str | None = None,
        workspace: Workspace | None = None,
    ) -> User:
        """A person or another bot. `guest` sees one channel, `restricted` several; `team` is a stranger's own."""
        home = workspace or self.workspace
        user = User(
            self.state.id("U"),
            name,
            team or home.id,
            is_admin=admin or owner,
            is_owner=owner,
            is_bot=bot,
            is_restricted=restricted or guest,
            is_ultra_restricted=guest,
            is_stranger=team is not None,
            bot_id=self.state.id("B") if bot else "",
        )
        home.users[user.id] = user
        return user

    def add_channel(
        self,
        name: str,
        *,
        members: Sequence[User] = (),
        private: bool = False,
        shared: bool = False,
        with_bot: bool = True,
        workspace: Workspace | None = None,
    ) -> Channel:
        """A channel with these members, and the bot unless told otherwise; `shared` means Slack Connect."""
        home = workspace or self.workspace
        people = [home.bot.id] * with_bot + [m.id for m in members]
        kind = "group" if private else "channel"
        channel = Channel(self.state.id("C"), name, home.id, kind, people, is_ext_shared=shared)
        home.channels[channel.id] = channel
        return channel

    def direct_channel(self, user: User) -> Channel:
        """The direct conversation of this person with the bot."""
        return self.state.direct(self._home(user), user.id)

    def add_file(self, name: str, user: User, content: bytes, *, mimetype: str = "text/plain") -> File:
        file = File(self.state.id("F"), name, user.id, content, mimetype)
        self.state.files[file.id] = file
        return file

    # Faults

    def fail(self, method: str, error: str, *, times: int = 1) -> None:
        """Answer the next calls of a method ("*": of any) with this error, undone."""
        self.api.faults[method].append(Fault(times, error=error))

    def http_error(self, method: str, status: int = 503, *, times: int = 1) -> None:
        self.api.faults[method].append(Fault(times, status=status))

    def slow(self, method: str, seconds: float, *, times: int = 1) -> None:
        self.api.faults[method].append(Fault(times, seconds=seconds))

    def lose_answer(self, method: str, *, times: int = 1) -> None:
        """Do the work, keep it, and cut the connection instead of answering."""
        self.api.faults[method].append(Fault(times, reset="after"))

    def lose_call(self, method: str, *, times: int = 1) -> None:
        """Cut the connection before anything is done."""
        self.api.faults[method].append(Fault(times, reset="before"))

    def without(self, *methods: str) -> None:
        """Answer `unknown_method` to these from now on."""
        self.api.missing.update(methods)

    def limit(self, method: str, calls: int, seconds: float) -> None:
        """Answer 429 with Retry-After (whole seconds, at least one) to calls beyond `calls` in `seconds`."""
        self.api.limits[method] = (calls, seconds)

    def limit_as_slack(self, *, faster: float = 1.0) -> None:
        """Slack's own rate limits, with all windows shorter by a factor."""
        self.api.limits |= {name: (calls, seconds / faster) for name, (calls, seconds) in RATE_LIMITS.items()}

    def revoke(self, workspace: Workspace | None = None) -> None:
        """Revoke the bot token, as uninstalling the app does; no event is sent."""
        (workspace or self.workspace).revoked = True

    async def disconnect(self, reason: str = "refresh_requested", *, grace: float = 0.0) -> None:
        """Ask all Socket Mode connections to reconnect and close them `grace` seconds later."""
        await self.delivery.disconnect(reason, grace=grace)

    def drop_connections(self) -> None:
        """Cut all Socket Mode connections without a word."""
        self.delivery.drop()

    def go_deaf(self, *, answer_pings: bool = True) -> None:
        """Keep the connections that are open now, but send nothing over them any more."""
        for connection in self.delivery.connections:
            connection.deaf, connection.answers_pings = True, answer_pings

    async def deliver_again(self, receipt: Receipt) -> None:
        """Send an event a second time, as Slack does when it missed the acknowledgement."""
        await self.delivery._again(receipt)

    def use_http(self, url: str | None) -> None:
        """Send everything as signed HTTP requests to this address; None goes back to Socket Mode."""
        self.delivery.http_url = url

    async def verify_url(self) -> bool:
        """Send the url_verification request that Slack sends when an address is entered."""
        challenge = self.state.id("challenge")
        body = f'{{"token": "verification-token", "type": "url_verification", "challenge": "{challenge}"}}'
        status, text, _ = await self.delivery.post_signed(body, "application/json")
        return status == 200 and challenge in text

    # Looking

    @property
    def violations(self) -> list[str]:
        return self.state.violations

    @property
    def calls(self) -> list[Call]:
        return self.api.calls

    def called(self, method: str) -> list[Call]:
        return [call for call in self.api.calls if call.method == method]

    @property
    def connections(self) -> list[Connection]:
        return self.delivery.connections

    @property
    def receipts(self) -> list[Receipt]:
        """Everything that was sent to the bot, and what became of it."""
        return self.delivery.receipts

    @property
    def statuses(self) -> list[Json]:
        """Every assistant.threads.setStatus, in order: channel, thread_ts, status, loading_messages, at."""
        return self.api.statuses

    def status(self, channel: Channel | str, thread_ts: str) -> str:
        """The status line on show now; a message of the bot in the thread, or two minutes, clear it."""
        key = (channel if isinstance(channel, str) else channel.id, thread_ts)
        entry = self.state.shown_status.get(key)
        fresh = entry and time.monotonic() - entry["at"] < slack_methods.STATUS_SECONDS
        return str(entry["status"]) if entry and fresh else ""

    @property
    def prompts(self) -> dict[str, list[Json]]:
        """The suggested prompts on show, for each direct channel."""
        return self.api.prompts

    @property
    def views(self) -> list[View]:
        return self.api.views

    def modal(self, user: User) -> View | None:
        """The modal this person has in front of them."""
        opened = [v for v in self.views if v.open and v.user == user.id and v.payload["type"] == "modal"]
        return opened[-1] if opened else None

    def messages(
        self, channel: Channel | str, thread_ts: str | None = None, *, deleted: bool = False
    ) -> list[Message]:
        """The messages of a channel, or of a thread with its root, with ephemeral ones, oldest first."""
        where = channel if isinstance(channel, str) else channel.id
        return [m for m in self.state.everything(where, thread_ts) if deleted or not m.deleted]

    def answers(self, channel: Channel | str, thread_ts: str | None = None) -> list[Message]:
        """The messages of the bot that everybody in the channel sees."""
        bots = {workspace.bot.id for workspace in self.state.workspaces.values()}
        return [m for m in self.messages(channel, thread_ts) if m.user in bots and not m.ephemeral_to]

    async def wait_for(self, look: Callable[[], T | None], timeout: float = 10.0) -> T:  # noqa: ASYNC109
        """What `look` gives as soon as it is true; TimeoutError with the last calls when it never is."""
        until = asyncio.get_running_loop().time() + timeout
        while not (found := look()):
            if asyncio.get_running_loop().time() > until:
                recent = [f"{call.method} {call.error}" for call in self.calls[-5:]]
                raise TimeoutError(f"nothing after {timeout} s; last calls: {recent}; {self.violations[:5]}")
            await asyncio.sleep(0.01)
        return found
