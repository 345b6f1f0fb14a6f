"""What was said to the bot while it was away.

Discord keeps events for a session that comes back, but not for a process that ended. So a new session looks through
the channels where something was said since the bot last heard, and through the direct conversations it had: bounded
in time and number, newest channels first. The inbox drops what is known already.

Not found: edits, deletions and reactions of that time, direct messages of people who never wrote before, and what was
said more than `LONGEST_AGO` ago or beyond the bounds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import discord

from adapters.discord.api import call
from adapters.discord.events import PLATFORM, Way
from adapters.pacing import Pace
from bot.errors import EXPLAINED
from bot.inbox import Inbox
from bot.messages import IncomingMessage

log = logging.getLogger(__name__)

LONGEST_AGO = timedelta(hours=24)
DIRECT_AGO = timedelta(days=30)
"""How long ago somebody wrote directly to be looked up."""
MOST_CHANNELS = 100
MOST_MESSAGES = 100
"""Of one channel."""
SECONDS = 120.0
"""For all of it."""
KNOWN = 1_000
"""Messages of the inbox that are looked at to find out where the bot was."""

Hear = Callable[[discord.Message], Awaitable[None]]
"""Hands a message to the desk when it was said to the bot."""


_Readable = discord.TextChannel | discord.VoiceChannel | discord.Thread


class Missed:
    """Looks for messages after a break."""

    def __init__(self, client: discord.Client, pace: Pace, inbox: Inbox, *, hear: Hear) -> None:
        self._client = client
        self._pace = pace
        self._inbox = inbox
        self._hear = hear

    async def look_up(self) -> int:
        """Hand on what was missed; returns how many messages were looked at. Raises `DatabaseError`."""
        now = datetime.now(UTC)
        known = await asyncio.to_thread(self._inbox.latest, PLATFORM, now - DIRECT_AGO, limit=KNOWN)
        if not known:  # the first start: nobody has been waiting
            return 0
        earliest = discord.utils.time_snowflake(now - LONGEST_AGO)
        seen = _last_ids(known)
        last = max(earliest, *seen.values())
        looked_at = 0
        try:
            async with asyncio.timeout(SECONDS):
                for channel_id in islice(self._channels(known, after=last), MOST_CHANNELS):
                    since = max(earliest, seen.get(channel_id, last))
                    looked_at += await self._look_into(channel_id, since)
        except TimeoutError:
            log.warning("looking for what was missed on Discord took too long and was ended")
        return looked_at

    def _channels(self, known: list[IncomingMessage], *, after: int) -> Iterator[int]:
        """Where something was said after that message, and where that cannot be known."""
        direct = [Way.of(message).channel_id for message in known if not message.workspace_id]
        yield from map(int, dict.fromkeys(filter(None, direct)))
        newest: dict[int, int] = {}
        for guild in self._client.guilds:
            channels: Iterable[_Readable] = (*guild.text_channels, *guild.voice_channels, *guild.threads)
            for channel in channels:
                if channel.permissions_for(guild.me).read_message_history:
                    newest[channel.id] = channel.last_message_id or 0
        yield from sorted(
            (one for one in newest if newest[one] > after), key=newest.__getitem__, reverse=True
        )

    async def _look_into(self, channel_id: int, since: int) -> int:
        channel = self._client.get_partial_messageable(channel_id)

        async def read() -> list[discord.Message]:
            history = channel.history(limit=MOST_MESSAGES, after=discord.Object(since), oldest_first=True)
            return [found async for found in history]

        try:
            found = await call(self._pace, "reading", read, of=str(channel_id))
            for one in found:
                one.guild = one.guild or self._guild_of(channel_id)
                one.channel = self._client.get_channel(channel_id) or one.channel  # type: ignore[assignment]
                await self._hear(one)
        except EXPLAINED as error:
            log.warning("what was missed in %s cannot be read: %s", channel_id, error)
            return 0
        return len(found)

    def _guild_of(self, channel_id: int) -> discord.Guild | None:
        channel = self._client.get_channel(channel_id)
        return getattr(channel, "guild", None)


def _last_ids(known: list[IncomingMessage]) -> dict[int, int]:
    """The last message or command that is known, by channel."""
    last: dict[int, int] = {}
    for message in known:
        channel_id = Way.of(message).channel_id
        if channel_id.isdigit() and message.event_id.isdigit():
            last[int(channel_id)] = max(int(message.event_id), last.get(int(channel_id), 0))
    return last
