"""A local Discord for tests: the REST API, the gateway and the files' address on one port of 127.0.0.1.

The real discord.py talks to it over sockets, so the bot may run in the test's process or in another. It refuses
what Discord refuses, and it keeps a list of violations: messages and forms over Discord's limits, messages that
would notify anybody but the asker, interactions that were not answered in three seconds or answered after their
token's life, calls before a rate limit was over, missing heartbeats. Leaving the context manager raises
AssertionError when the list is not empty; a test that breaks a rule on purpose clears it.

It does not show how Discord draws a message, and knows no voice, stickers, polls, forwards, webhooks but those of
interactions, invites, bans, or group conversations, and of permissions only those in `discord_permissions`. State
is in memory and ends with the context.
"""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.platforms import discord_callbacks, discord_commands  # noqa: F401  importing them registers the routes
from tests.platforms.discord_channels import joins
from tests.platforms.discord_faults import Faults
from tests.platforms.discord_gateway import Gateway
from tests.platforms.discord_interactions import Interaction, Interactions, Modal
from tests.platforms.discord_model import Channel, File, Guild, Json, Message, Role, User
from tests.platforms.discord_people import People
from tests.platforms.discord_rest import Call, Rest
from tests.platforms.discord_sessions import Connection, Event
from tests.platforms.discord_setup import Setup
from tests.platforms.discord_state import GUILD_MEMBERS, MESSAGE_CONTENT, State

__all__ = [
    "Call",
    "Channel",
    "File",
    "Guild",
    "Interaction",
    "LocalDiscord",
    "Message",
    "Modal",
    "Role",
    "User",
]

T = TypeVar("T")
TYPING_SECONDS = 10.0


class LocalDiscord(Setup, People, Faults):
    """A Discord with one server (`guild`) and the bot in it, empty but for them; see the module's header.

    `message_content` and `members` say whether these privileged intents are switched on for the application.
    Settings of `gateway` (heartbeat_interval, shards, resumable), `api` (nonce_seconds, max_file) and
    `interactions` (ack_seconds, token_seconds) may be changed at any time.
    """

    def __init__(self, *, message_content: bool = True, members: bool = False, port: int = 0) -> None:
        self.state = State()
        self.state.privileged = MESSAGE_CONTENT * message_content | GUILD_MEMBERS * members
        self.gateway = Gateway(self.state)
        self.gateway.joins = lambda guild: joins(self.state, guild)
        self.api = Rest(self.state, self.gateway)
        self.interactions = Interactions(self.api)
        self.guild: Guild = self.state.add_guild("acme", with_bot=True)
        self._port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 2**20, middlewares=[self._watch])
        app.router.add_route("*", "/api/v10/{path:.*}", self.api.handle)
        app.router.add_get("/attachments/{file}/{name}", self._download)
        app.router.add_get("/", self.gateway.websocket)
        app.router.add_get("/resume", self.gateway.websocket)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.state.base_url = f"http://127.0.0.1:{self._port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.gateway.close()
        if self._runner:
            await self._runner.cleanup()
        if self.violations and kind is None:
            shown = [*self.violations[:20], f"{len(self.violations)} in all"]
            raise AssertionError("Discord's rules were broken:\n" + "\n".join(shown))

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note failures of this server itself, which would otherwise look like Discord's."""
        try:
            return await handler(request)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:
            self.violations.append(f"the local Discord failed at {request.path}: {error!r}")
            raise

    async def _download(self, request: web.Request) -> web.Response:
        file = self.state.files.get(request.match_info["file"])
        if file is None:
            return web.Response(status=404)
        return web.Response(body=file.content, content_type=file.content_type.partition(";")[0])

    # Addresses and secrets

    @property
    def api_url(self) -> str:
        """The base of the REST API, which discord.py has in `discord.http.Route.BASE`."""
        return f"{self.state.base_url}/api/v10"

    @property
    def gateway_url(self) -> str:
        """What GET /gateway says, and what discord.py has in `DiscordWebSocket.DEFAULT_GATEWAY`."""
        return self.state.base_url.replace("http", "ws", 1)

    @property
    def token(self) -> str:
        return self.state.token

    @property
    def bot(self) -> User:
        """The bot's user, whose id is also the application's."""
        return self.state.bot

    @property
    def mention(self) -> str:
        """How people name the bot."""
        return self.state.bot.mention

    # Looking

    @property
    def violations(self) -> list[str]:
        return self.state.violations

    @property
    def calls(self) -> list[Call]:
        return self.api.calls

    def called(self, route: str) -> list[Call]:
        return [call for call in self.calls if call.route == route]

    @property
    def connections(self) -> list[Connection]:
        """The gateway connections that are open; with a `session` once the bot has identified or resumed."""
        return self.gateway.connections

    @property
    def events(self) -> list[Event]:
        """Everything that was sent over the gateway in the sessions that are alive, with `name` and `data`."""
        return self.gateway.events

    def commands(self, guild: Guild | None = None) -> list[Json]:
        """The commands that are registered: everywhere, or for one server."""
        return self.api.commands.get(guild.id if guild else "", [])

    def typings(self, channel: Channel | str) -> int:
        """How often the bot began to type there."""
        where = self._channel(channel).id
        return len([one for one, _ in self.api.typing if one == where])

    def is_typing(self, channel: Channel | str) -> bool:
        """Whether people see the bot typing there: for ten seconds, or until it posts."""
        where = self._channel(channel).id
        started = max((at for one, at in self.api.typing if one == where), default=-TYPING_SECONDS)
        posted = max((m.posted_at for m in self.answers(where)), default=-TYPING_SECONDS)
        return started > posted and time.monotonic() - started < TYPING_SECONDS

    def messages(self, channel: Channel | str, *, deleted: bool = False) -> list[Message]:
        """The messages of a channel or thread, with those that only one person sees, oldest first."""
        return [m for m in self.state.everything(self._channel(channel).id) if deleted or not m.deleted]

    def answers(self, channel: Channel | str) -> list[Message]:
        """The messages of the bot that everybody in the channel or thread sees."""
        visible = self.state.visible(self._channel(channel).id)
        return [m for m in visible if m.author == self.bot.id and m.type != 21]

    async def wait_for(self, look: Callable[[], T | None], timeout: float = 10.0) -> T:  # noqa: ASYNC109
        """What `look` gives as soon as it is true; TimeoutError with the last calls when it never is."""
        until = asyncio.get_running_loop().time() + timeout
        while not (found := look()):
            if asyncio.get_running_loop().time() > until:
                recent = [f"{call.route} {call.status} {call.code or ''}" for call in self.calls[-5:]]
                raise TimeoutError(f"nothing after {timeout} s; last calls: {recent}; {self.violations[:5]}")
            await asyncio.sleep(0.01)
        return found
