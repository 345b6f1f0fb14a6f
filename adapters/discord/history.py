"""Discord's channels as a source of documents: what `knowledge.sources.history` asks for, read with discord.py.

Kind `discord` of `[[sources]]`. Text and voice channels, forums, and single threads by their ids; of a channel its
public threads, also archived ones. Private threads have people of their own, so they belong to no channel. Left out are
messages of the bot, those that name it, and what reports joins, pins and the like. discord.py keeps to the limits that
Discord tells it.
"""

import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import discord

from adapters.discord.errors import (
    UNKNOWN_CHANNEL,
    DiscordBusyError,
    DiscordRefusedError,
    translating,
)
from adapters.discord.events import SAID, plain
from adapters.discord.gateway import LONGEST_WAIT, introduce
from bot.config import DISCORD_API, find_file, parse_settings
from bot.errors import PlatformError, SettingsError
from knowledge.errors import SourceError
from knowledge.sources.chat.messages import BusyError, Channel, Message, Thread, UnreadableError
from knowledge.sources.chat.transcript import safe
from knowledge.sources.history import ChannelHistory, Wanted

NEEDED = ("view_channel", "read_message_history")
HIDDEN = (
    "Message Content Intent is off, and without it Discord shows no messages; switch it on under Bot at "
    "https://discord.com/developers/applications, then try again."
)
_FIX = "give my role View Channel and Read Message History there, or take it out of `channels`"
_MISSING_ACCESS, _MISSING_PERMISSIONS = 50001, 50013
_MENTION = re.compile(r"<(@[!&]?|#)(\d+)>")
_TIME = re.compile(r"<t:(-?\d+)(?::\w)?>")

Parent = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.ForumChannel


def source(name: str, settings: Mapping[str, Any], folder: Path) -> ChannelHistory:
    """For `parley.sources`: the channels that the settings of a source name."""
    api_url = settings.get("api_url") or DISCORD_API
    return ChannelHistory(name, folder, Wanted.of(settings), partial(connected, name, api_url=api_url))


@asynccontextmanager
async def connected(name: str, *, api_url: str) -> AsyncIterator["DiscordHistory"]:
    """The bot whose token is in the environment; raises SourceError."""
    token = parse_settings("", file=find_file(), environ=os.environ).discord.token
    if token is None:
        raise SourceError(
            f"Source '{name}': PARLEY_DISCORD_TOKEN is not set; set it to the token of the bot, from the page of the "
            "application, under Bot."
        )
    try:
        application = await introduce(token.get_secret_value(), api_url=api_url)
    except (SettingsError, PlatformError) as error:
        raise SourceError(f"Source '{name}': {error}") from error
    if not application.has_message_content:
        raise SourceError(f"Source '{name}': {HIDDEN}")
    async with discord.Client(
        intents=discord.Intents(guilds=True), max_ratelimit_timeout=LONGEST_WAIT
    ) as client:
        history = DiscordHistory(name, client)
        with history.explaining("logging in"):
            await client.login(token.get_secret_value())
        yield history


@dataclass(frozen=True, slots=True)
class Server:
    """A server as the bot sees it."""

    guild: discord.Guild
    me: discord.Member
    channels: Mapping[int, discord.abc.GuildChannel]
    """Without threads."""


class DiscordHistory:
    """All servers where the bot is; satisfies `History`."""

    def __init__(self, source_name: str, client: discord.Client) -> None:
        self._source = source_name
        self._client = client
        self._servers: dict[int, Server] = {}
        self._homes: dict[str, tuple[Server, Parent | discord.Thread]] = {}
        """By id the channels of the source."""

    async def channel(self, channel: str) -> Channel:
        """See `History.channel`."""
        with self.explaining("reading a channel"):
            found = await self._client.fetch_channel(int(channel))
            if isinstance(found, discord.abc.PrivateChannel):
                raise UnreadableError(
                    "this is a direct conversation and no channel; take it out of `channels`."
                )
            server = await self._server(found.guild.id)
        home: object = found if isinstance(found, discord.Thread) else server.channels.get(found.id)
        parent = server.channels.get(found.parent_id) if isinstance(found, discord.Thread) else home
        if not isinstance(home, Parent | discord.Thread) or not isinstance(parent, Parent):
            raise UnreadableError("in this there are no messages; name the channels in it instead.")
        given = parent.permissions_for(server.me)
        if not all(getattr(given, name) for name in NEEDED):
            raise UnreadableError(f"I may not read #{home.name}; {_FIX}.")
        self._homes[channel] = server, home
        return Channel(channel, f"#{home.name}")

    async def listed(
        self, channel: str, *, after: datetime, before: datetime
    ) -> AsyncIterator[Message | Thread]:
        """See `History.listed`; threads come with `threads`."""
        server, home = self._homes[channel]
        if isinstance(home, discord.Thread | discord.ForumChannel):
            return
        with self.explaining("reading messages"):
            async for found in home.history(
                limit=None, after=_before(after), before=before, oldest_first=False
            ):
                if not found.flags.has_thread and (message := self._message(server, found)):
                    yield message

    async def threads(self, channel: str, *, since: datetime) -> AsyncIterator[Thread]:
        """See `History.threads`."""
        server, home = self._homes[channel]
        if isinstance(home, discord.Thread):
            yield _thread(home)
            return
        with self.explaining("reading threads"):
            for thread in await server.guild.active_threads():
                if thread.parent_id == home.id and not thread.is_private():
                    yield _thread(thread)
            if isinstance(home, discord.TextChannel | discord.ForumChannel):
                async for thread in home.archived_threads(limit=None):
                    if thread.archive_timestamp < since:
                        break
                    yield _thread(thread)

    async def thread(self, channel: str, thread: str) -> AsyncGenerator[Message, None]:
        """See `History.thread`."""
        server, _ = self._homes[channel]
        place = self._client.get_partial_messageable(int(thread), guild_id=server.guild.id)
        try:
            with self.explaining("reading a thread"):
                async for found in place.history(limit=None, oldest_first=True):
                    if message := self._message(server, _started(found)):
                        yield message
        except UnreadableError:
            return  # it was deleted, or is not for us any more

    async def _server(self, guild_id: int) -> Server:
        if guild_id not in self._servers:
            guild = await self._client.fetch_guild(guild_id, with_counts=False)
            me = await guild.fetch_member(self._me)
            channels = {channel.id: channel for channel in await guild.fetch_channels()}
            self._servers[guild_id] = Server(guild, me, channels)
        return self._servers[guild_id]

    def _message(self, server: Server, found: discord.Message) -> Message | None:
        """None for what is no document: reports, what the bot wrote, and what was said to it."""
        if found.type not in SAID or found.author.id == self._me or self._is_to_me(server, found):
            return None
        text = self._text(server, found)
        files = tuple(file.filename for file in found.attachments)
        if not (text or files):
            return None
        original = found.reference.resolved if found.reference else None
        return Message(
            id=str(found.id),
            at=found.created_at,
            author=found.author.display_name,
            author_id=str(found.author.id),
            text=text,
            link=f"https://discord.com/channels/{server.guild.id}/{found.channel.id}/{found.id}",
            by_bot=found.author.bot or found.webhook_id is not None,
            replying_to=original.author.display_name if isinstance(original, discord.Message) else "",
            attachments=files,
        )

    def _is_to_me(self, server: Server, found: discord.Message) -> bool:
        mine = {role.id for role in server.me.roles if role.is_bot_managed()}
        return f"<@{self._me}>" in found.content or not mine.isdisjoint(found.raw_role_mentions)

    def _text(self, server: Server, found: discord.Message) -> str:
        """As people read it; of an embed, which only bots write, what it says."""
        embeds = ("\n\n".join(filter(None, (one.title, one.description))) for one in found.embeds)
        said = found.content or (*embeds, "")[0]
        people = {user.id: user.display_name for user in found.mentions}

        def named(mention: re.Match[str]) -> str:
            kind, number = mention[1], int(mention[2])
            if kind == "#":
                return f"#{server.channels[number].name}" if number in server.channels else "#…"
            if kind == "@&":
                role = server.guild.get_role(number)
                return f"@{role.name}" if role else "@…"
            return f"@{people.get(number, number)}"

        said = _TIME.sub(lambda time: _spelled(int(time[1])), _MENTION.sub(named, plain(said)))
        return safe(said, languages=True).strip()

    @contextmanager
    def explaining(self, doing: str) -> Iterator[None]:
        """What Discord refuses, as the errors of `History`."""
        try:
            with translating(doing):
                yield
        except DiscordBusyError as error:
            raise BusyError(str(error)) from error
        except DiscordRefusedError as error:
            if error.code == UNKNOWN_CHANNEL:
                raise UnreadableError("Discord has no such channel; take it out of `channels`.") from error
            if error.code in {_MISSING_ACCESS, _MISSING_PERMISSIONS}:
                raise UnreadableError(f"I may not read it; {_FIX}.") from error
            raise SourceError(f"Source '{self._source}': {error}") from error
        except PlatformError as error:
            raise SourceError(f"Source '{self._source}': {error}") from error

    @property
    def _me(self) -> int:
        return self._client.user.id if self._client.user else 0


def _thread(thread: discord.Thread) -> Thread:
    began = discord.utils.snowflake_time(thread.id)
    last = thread.last_message_id
    newest = discord.utils.snowflake_time(last) if last else began
    mark = f"{last} {thread.message_count}"
    return Thread(str(thread.id), begins=began, newest=newest, mark=mark, title=thread.name)


def _started(found: discord.Message) -> discord.Message:
    """The message on which a thread was opened, in place of the sign for it."""
    resolved = found.reference.resolved if found.reference else None
    is_sign = found.type is discord.MessageType.thread_starter_message
    return resolved if is_sign and isinstance(resolved, discord.Message) else found


def _before(moment: datetime) -> discord.Object:
    """Something said in the millisecond before, as Discord gives what came after it."""
    return discord.Object(discord.utils.time_snowflake(moment) - 1)


def _spelled(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%d %H:%M} UTC"
