"""Real discord.py clients at a local Discord, for the tests of the local Discord itself."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.platforms.discord import LocalDiscord

QUIET = discord.AllowedMentions.none()


@contextmanager
def pointed_at(server: LocalDiscord) -> Iterator[None]:
    """Let every discord.py client of this process talk to the local Discord."""
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = server.api_url, yarl.URL(server.gateway_url)
    try:
        yield
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before


class Bot(discord.AutoShardedClient):
    """A client that remembers what it got; tests add commands to `tree`."""

    def __init__(self, *, members: bool = False, message_content: bool = True, **options: Any) -> None:
        intents = discord.Intents.default()
        intents.message_content, intents.members = message_content, members
        options.setdefault("guild_ready_timeout", 0.05)
        super().__init__(intents=intents, allowed_mentions=QUIET, **options)
        self.tree = app_commands.CommandTree(self)
        self.seen: list[discord.Message] = []
        self.happened: list[str] = []
        self.ready = asyncio.Event()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """No pause of five seconds between shards and after an invalid session."""

    async def on_ready(self) -> None:
        self.ready.set()

    async def on_message(self, message: discord.Message) -> None:
        if message.author != self.user:
            self.seen.append(message)

    async def on_socket_event_type(self, name: str) -> None:
        self.happened.append(name)

    def channel(self, number: str) -> discord.TextChannel:
        found = self.get_channel(int(number))
        assert isinstance(found, discord.TextChannel)
        return found


@asynccontextmanager
async def running(server: LocalDiscord, bot: Bot) -> AsyncIterator[Bot]:
    """The bot, ready, until the end of the block."""
    with pointed_at(server):
        task = asyncio.create_task(bot.start(server.token))
        ready = asyncio.create_task(bot.ready.wait())
        try:
            await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            yield bot
        finally:
            ready.cancel()
            await bot.close()
            await asyncio.gather(task, ready, return_exceptions=True)


class Raw:
    """The REST API and the gateway without a library, which would refuse some mistakes itself."""

    def __init__(self, server: LocalDiscord, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> tuple[int, Any]:
        """Status and JSON."""
        headers = {"Authorization": f"Bot {self.server.token if token is None else token}"}
        url = f"{self.server.api_url}{path}"
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None

    async def refused(self, method: str, path: str, body: Any = None) -> int:
        """The code of an error that must come; what it says of broken rules is forgotten."""
        status, answer = await self.call(method, path, body)
        assert status >= 400, answer
        return int(answer["code"])

    @asynccontextmanager
    async def gateway(self, **identify: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A connection after HELLO and, unless nothing is given, IDENTIFY."""
        async with self.session.ws_connect(f"{self.server.gateway_url}/?v=10&encoding=json") as socket:
            assert (await socket.receive_json())["op"] == 10
            if identify:
                sent = {"token": self.server.token, "intents": 1 << 9, "properties": {}} | identify
                await socket.send_json({"op": 2, "d": sent})
            yield socket


@asynccontextmanager
async def raw(server: LocalDiscord) -> AsyncIterator[Raw]:
    async with aiohttp.ClientSession() as session:
        yield Raw(server, session)
