"""What was said to the bot while it was away.

Discord keeps events for a session that comes back, but not for a process that ended. So a new session looks through
the channels where something was said since all that was said had been heard, and through the direct conversations it
had: bounded in time and number, newest channels first. Since when, a file says: the inbox cannot, because a new
session hears new messages before it has found the old ones. The inbox drops what is known already.

Not found: edits, deletions and reactions of that time, direct messages of people who never wrote before, and what was
said more than `LONGEST_AGO` ago or beyond the bounds.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

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
ON_THE_WAY = timedelta(seconds=60)
"""How long a message may take from Discord to the inbox; it would be looked up if the process ended meanwhile."""
WRITTEN_EVERY = 10.0
"""Seconds between two notes of how far everything was heard."""
KNOWN = 1_000
"""Messages of the inbox that are looked at to find out where the bot was."""

Hear = Callable[[discord.Message], Awaitable[None]]
"""Hands a message to the desk when it was said to the bot."""


_Readable = discord.TextChannel | discord.VoiceChannel | discord.Thread


class Missed:
    """Looks for messages after a break."""

    def __init__(self, client: discord.Client, pace: Pace, inbox: Inbox, *, hear: Hear, memory: Path) -> None:
        """`memory` is the file that says up to where nothing can have been missed."""
        self._client = client
        self._pace = pace
        self._inbox = inbox
        self._hear = hear
        self._memory = memory
        self._since = 0
        """A snowflake: what came before it was heard, or looked up."""
        self._is_up_to_date = False
        self._written_at = 0.0

    async def prepare(self) -> None:
        """Find out from where to look, before anything new is heard. Raises `DatabaseError`."""
        now = datetime.now(UTC)
        self._since = await asyncio.to_thread(self._read)
        if not self._since:
            known = await asyncio.to_thread(self._inbox.latest, PLATFORM, now - DIRECT_AGO, limit=1)
            # At the first start nobody has been waiting.
            self._since = discord.utils.time_snowflake(now - LONGEST_AGO if known else now)
            await self._advance(self._since)

    async def look_up(self) -> int:
        """Hand on what was missed; returns how many messages were looked at. Raises `DatabaseError`."""
        began = datetime.now(UTC)
        self._is_up_to_date = False
        known = await asyncio.to_thread(self._inbox.latest, PLATFORM, began - DIRECT_AGO, limit=KNOWN)
        since = max(self._since, discord.utils.time_snowflake(began - LONGEST_AGO))
        looked_at = 0
        try:
            async with asyncio.timeout(SECONDS):
                for channel_id in islice(self._channels(known, after=since), MOST_CHANNELS):
                    looked_at += await self._look_into(channel_id, since)
        except TimeoutError:
            log.warning("looking for what was missed on Discord took too long and was ended")
        self._is_up_to_date = True
        await self._advance(discord.utils.time_snowflake(began - ON_THE_WAY))
        return looked_at

    async def heard(self, message_id: int) -> None:
        """That message has come by itself; what came well before it has been handed on by now."""
        if self._is_up_to_date and time.monotonic() - self._written_at > WRITTEN_EVERY:
            came = discord.utils.snowflake_time(message_id)
            await self._advance(discord.utils.time_snowflake(came - ON_THE_WAY))

    async def _advance(self, since: int) -> None:
        self._since = max(self._since, since)
        self._written_at = time.monotonic()
        try:
            await asyncio.to_thread(self._memory.write_text, str(self._since), encoding="ascii")
        except OSError as error:
            log.warning("%s cannot be written (%s): the next start looks further back", self._memory, error)

    def _read(self) -> int:
        """The snowflake of the file; 0 when there is none, or none that is whole."""
        try:
            text = self._memory.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return 0
        return int(text) if text.isdigit() else 0

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
