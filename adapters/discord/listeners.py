"""From Discord to the desk: each listener hands one kind of gateway event on.

The gateway wants no acknowledgement and sends nothing twice but after a break of the connection. So a message that
cannot be written down is tried again here; what was missed while the bot was away, `Missed` looks up.

Errors end in `on_error`, and nowhere else.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import discord

from adapters.discord import events
from adapters.discord.errors import TRANSPORT_ERRORS
from adapters.discord.talks import Talks
from adapters.votes import Votes
from bot.desk import Desk
from bot.errors import EXPLAINED, DatabaseError

log = logging.getLogger(__name__)

RETRY_AFTER = (1.0, 5.0, 20.0, 60.0)
"""Seconds before a message is tried again that the database could not take."""


class Listeners:
    """What the client does with events; `attach` them before it connects."""

    def __init__(
        self,
        client: discord.Client,
        *,
        desk: Desk,
        votes: Votes,
        forums: Collection[str],
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        """`ready` is awaited each time the client has a new session."""
        self._client = client
        self._desk = desk
        self._votes = votes
        self._forums = forums
        self._ready = ready
        self.heard: Callable[[int], Awaitable[None]] | None = None
        """Told the id of each message that came by itself, when it has been handed on."""
        self._talks = Talks(desk.inbox, desk.outbox)

    def attach(self) -> None:
        for listener in (
            self.on_ready,
            self.on_message,
            self.on_raw_message_edit,
            self.on_raw_message_delete,
            self.on_raw_bulk_message_delete,
            self.on_raw_reaction_add,
            self.on_raw_reaction_remove,
            self.on_error,
        ):
            self._client.event(listener)

    async def on_ready(self) -> None:
        await self._ready()

    async def on_message(self, found: discord.Message) -> None:
        await self.hear(await self._with_channel(found))
        if self.heard:
            await self.heard(found.id)

    async def hear_again(self, found: discord.Message) -> None:
        """Hand on a message of the past, when it was said to the bot or in a talk with it."""
        await self.hear(found, overheard=False)

    async def hear(self, found: discord.Message, *, overheard: bool = True) -> None:
        """Hand a message to the desk; not `overheard`: only when it was said to the bot or in a talk with it."""
        guild = found.guild
        role = guild.self_role if guild is not None else None
        heard = events.message(found, me=self._me, my_role=role.id if role else None, forums=self._forums)
        if heard is None:
            return
        for delay in (*RETRY_AFTER, None):
            try:
                message = await self._talks.joined(heard)
                if overheard or message.addressed != "channel":
                    await self._desk.receive(message)
            except DatabaseError as error:
                if delay is None:
                    raise
                log.warning("message %s is tried again in %.0f s: %s", found.id, delay, error)
                await asyncio.sleep(delay)
            else:
                return

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        found, data = payload.message, payload.data
        if not (data.get("edited_timestamp") and data.get("content")):  # a preview was added, or the like
            return
        role = found.guild.self_role if found.guild else None
        text = events.plain(found.content, me=self._me, my_role=role.id if role else None)
        place = events.place_of(found.channel, found.guild)
        await self._desk.edited(events.PLATFORM, place.conversation_id, str(found.id), text)

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        await self._deleted(payload.channel_id, payload.guild_id, [payload.message_id])

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        await self._deleted(payload.channel_id, payload.guild_id, payload.message_ids)

    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        await self._reacted(payload)

    async def on_raw_reaction_remove(self, payload: discord.RawReactionActionEvent) -> None:
        await self._reacted(payload)

    async def on_error(self, event: str, *_: Any) -> None:
        """The boundary for errors of listeners."""
        error = sys.exception()
        explained = isinstance(error, EXPLAINED)
        level = logging.WARNING if explained else logging.ERROR
        log.log(level, "%s of Discord was not taken: %s", event, error, exc_info=None if explained else error)

    async def _reacted(self, payload: discord.RawReactionActionEvent) -> None:
        place = self._place(payload.channel_id, payload.guild_id)
        reaction = events.reaction(payload, me=self._me, place=place)
        if reaction is not None:
            await self._votes.react(reaction)

    async def _deleted(self, channel_id: int, guild_id: int | None, ids: Collection[int]) -> None:
        place = self._place(channel_id, guild_id)
        for message_id in ids:
            await self._desk.deleted(events.PLATFORM, place.conversation_id, str(message_id))

    def _place(self, channel_id: int, guild_id: int | None) -> events.Place:
        guild = self._client.get_guild(guild_id) if guild_id else None
        channel = guild.get_channel_or_thread(channel_id) if guild else None
        return events.place_of(channel or discord.Object(channel_id), guild)

    async def _with_channel(self, found: discord.Message) -> discord.Message:
        """Of a thread that is not known yet, only Discord can say to which channel it belongs."""
        if found.guild is None or not isinstance(found.channel, discord.PartialMessageable):
            return found
        try:
            channel = await self._client.fetch_channel(found.channel.id)
        except (*TRANSPORT_ERRORS, discord.InvalidData) as error:
            log.warning("channel %s is not known: %s", found.channel.id, error)
            return found
        if isinstance(channel, discord.abc.Messageable):
            found.channel = channel
        return found

    @property
    def _me(self) -> int:
        return self._client.user.id if self._client.user else 0
