"""The connection to Discord: a discord.py client with everything attached, and how well it is.

discord.py keeps the connection alive, resumes it after a break, and has the missed events sent again. A new session
begins with `on_ready`.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import aiohttp
import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from adapters.discord.buttons import BUTTONS, Presses
from adapters.discord.errors import TRANSPORT_ERRORS, translated
from bot.config import DISCORD_API
from bot.errors import PlatformUnavailableError, SettingsError

log = logging.getLogger(__name__)

LONGEST_WAIT = 60.0
"""Seconds for which discord.py waits by itself when Discord asks it to; beyond that, the answer is tried later."""
FIRST_BACKOFF, MAX_BACKOFF = 1.0, 60.0
SETTLE = 2.0
INTENTS = ("guilds", "guild_messages", "dm_messages", "guild_reactions", "dm_reactions")
WRONG_LOGIN = (
    "Discord does not take the bot's token; set PARLEY_DISCORD_TOKEN to the one on the page of the application, "
    "under Bot."
)

discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # it does not talk aloud


@dataclass(frozen=True, slots=True)
class Health:
    """How the connection is doing."""

    is_ready: bool
    shards: int
    latency: float
    """Seconds between a heartbeat and its answer, averaged over the shards; NaN before the first."""
    sessions: int
    """How many were begun; each beyond the first may have missed events."""
    resumed: int
    rate_limited: int
    """Requests that Discord answered with 429."""


class Gateway(discord.AutoShardedClient):
    """One bot on Discord. `presses` has to be set before it connects."""

    presses: Presses

    def __init__(self, *, message_content: bool, shards: int | None, settle: float = SETTLE) -> None:
        """`settle`: seconds without another server after which all are held to be known."""
        intents = discord.Intents.none()
        for name in INTENTS:
            setattr(intents, name, True)
        intents.message_content = message_content
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._count)
        super().__init__(
            intents=intents,
            shard_count=shards,
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_ratelimit_timeout=LONGEST_WAIT,
            guild_ready_timeout=settle,
            http_trace=trace,
        )
        self.tree: app_commands.CommandTree[Gateway] = app_commands.CommandTree(self)
        self.add_dynamic_items(*BUTTONS)
        self._sessions = 0
        self._resumed = 0
        self._rate_limited = 0

    @property
    def health(self) -> Health:
        return Health(
            is_ready=self.is_ready(),
            shards=len(self.shards),
            latency=self.latency,
            sessions=self._sessions,
            resumed=self._resumed,
            rate_limited=self._rate_limited,
        )

    async def on_shard_ready(self, _: int) -> None:
        self._sessions += 1

    async def on_shard_resumed(self, _: int) -> None:
        self._resumed += 1

    async def _count(self, _: object, __: object, ended: aiohttp.TraceRequestEndParams) -> None:
        self._rate_limited += ended.response.status == 429  # noqa: PLR2004 - too many requests


@dataclass(frozen=True, slots=True)
class Application:
    """The application as its page in the developer portal has it."""

    id: int
    name: str
    has_message_content: bool
    is_public: bool
    """Whether anybody may add it to a server."""


async def introduce(token: str, *, api_url: str = DISCORD_API) -> Application:
    """Log in and ask who we are. Raises `SettingsError` for a token that is not good, else `PlatformError`."""
    await use_api(api_url)
    async with discord.Client(
        intents=discord.Intents(guilds=True), max_ratelimit_timeout=LONGEST_WAIT
    ) as client:
        try:
            await client.login(token)
        except discord.LoginFailure as error:
            raise SettingsError(WRONG_LOGIN) from error
        except TRANSPORT_ERRORS as error:
            raise translated(error, doing="logging in") from error
        info: Any = client.application
        flags = info.flags
        return Application(
            id=info.id,
            name=info.name,
            has_message_content=flags.gateway_message_content or flags.gateway_message_content_limited,
            is_public=info.bot_public,
        )


async def use_api(api_url: str) -> None:
    """Let discord.py talk to that API. It knows one for the whole process, so this holds for all of it."""
    base = api_url.rstrip("/")
    if base == Route.BASE:
        return
    async with aiohttp.ClientSession(trust_env=True) as session:
        try:
            async with session.get(f"{base}/gateway") as response:
                gateway = str((await response.json())["url"])
        except (aiohttp.ClientError, TimeoutError, OSError, KeyError, ValueError) as error:
            raise translated(aiohttp.ClientError(), doing="finding the gateway") from error
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, yarl.URL(gateway)


async def patiently(token: str, *, api_url: str) -> Application:
    """As `introduce`, again and again while Discord cannot be reached."""
    delay = FIRST_BACKOFF
    while True:
        try:
            return await introduce(token, api_url=api_url)
        except PlatformUnavailableError as error:
            log.warning("Discord is tried again in %.0f s: %s", delay, error)
            await asyncio.sleep(delay)
            delay = min(2 * delay, MAX_BACKOFF)
