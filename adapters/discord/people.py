"""Who people are and who will see a reply: asked of Discord, strict in doubt.

`everyone` is in every place on Discord. What a channel has beside it follows from its permissions, which discord.py
keeps current. What a person has is asked for when an answer is for that person alone, and remembered for a minute; a
server that does not answer, or where the bot is not itself, gives nothing.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import discord

from adapters.discord.api import call
from adapters.discord.before import Before
from adapters.discord.errors import UNKNOWN_MEMBER, UNKNOWN_USER, DiscordRefusedError
from adapters.discord.events import PLATFORM, Way
from adapters.discord.visibility import open_to, principals_of
from adapters.memory import Memory
from adapters.pacing import Pace
from bot.errors import PlatformError
from bot.messages import IncomingMessage
from knowledge.access import EVERYONE

log = logging.getLogger(__name__)

REMEMBERED = 60.0
"""Seconds for which a person's roles are used again."""
MOST_SERVERS = 10
"""Servers in which somebody who writes directly is looked for; those with the lowest ids."""
NO_MEMBER = frozenset({UNKNOWN_MEMBER, UNKNOWN_USER})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, as one server sees them."""

    is_member: bool = False
    is_admin: bool = False
    roles: frozenset[int] = frozenset()


class People:
    """The people and channels of all servers where the bot is."""

    def __init__(
        self, client: discord.Client, pace: Pace, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._pace = pace
        self._before = Before(client, pace)
        self._known: Memory[tuple[int, str], Person] = Memory(REMEMBERED, now)

    async def complete(self, message: IncomingMessage) -> IncomingMessage:
        """The message with its principals, `by_admin` and what was said before, as far as Discord tells."""
        guilds = self._homes(message)
        people = [(guild, await self._person(guild, message.user_id)) for guild in guilds]
        # Directly, one server's admin is not another's.
        is_admin = len(people) == 1 and people[0][1].is_admin and self._is_only_home(message)
        return replace(
            message,
            principals=self._principals(message, people),
            open_to=open_to(self._channel(message)),
            by_admin=is_admin,
            context=await self._before.of(message),
        )

    def channel_principals(self, message: IncomingMessage) -> frozenset[str]:
        """Of everybody who can read where it was said."""
        return principals_of(self._channel(message), me=self._me)

    def readers(self, channel_id: str) -> frozenset[str]:
        """The principals of everybody who can read that channel; raises `PlatformError` for one that is not known."""
        channel = self._client.get_channel(int(channel_id)) if channel_id.isdigit() else None
        if channel is None:
            raise PlatformError(
                f"I see no channel {channel_id} on Discord; check the number, and give my role View Channel in it."
            )
        return principals_of(channel, me=self._me)

    def _principals(
        self, message: IncomingMessage, people: Iterable[tuple[discord.Guild, Person]]
    ) -> frozenset[str]:
        if message.addressed != "direct" and not message.is_private:
            return self.channel_principals(message)
        if message.workspace_id and not self._homes(
            message
        ):  # somebody brought the app along to another server
            return frozenset({EVERYONE})
        found = {EVERYONE, message.person}
        for guild, person in people:
            if person.is_member:
                found |= {f"{PLATFORM}:{guild.id}", *(f"{PLATFORM}:role:{role}" for role in person.roles)}
        if message.is_private and message.workspace_id:
            found |= self._own_place(message)
        return frozenset(found)

    def _own_place(self, message: IncomingMessage) -> frozenset[str]:
        """The channel in which somebody asks privately, who sees it therefore."""
        channel = self._channel(message)
        return frozenset({message.place} if channel is not None else ())

    def _homes(self, message: IncomingMessage) -> list[discord.Guild]:
        """The servers of the bot to which the asker may belong."""
        if message.workspace_id:
            guild = self._client.get_guild(int(message.workspace_id))
            return [guild] if guild is not None and not guild.unavailable else []
        return sorted(self._client.guilds, key=lambda guild: guild.id)[:MOST_SERVERS]

    def _is_only_home(self, message: IncomingMessage) -> bool:
        return bool(message.workspace_id) or len(self._client.guilds) == 1

    async def _person(self, guild: discord.Guild, user_id: str) -> Person:
        """Somebody with no rights when Discord does not say."""
        if known := self._known.get((guild.id, user_id)):
            return known
        try:
            member = await call(
                self._pace, "looking up people", lambda: guild.fetch_member(int(user_id)), of=str(guild.id)
            )
        except DiscordRefusedError as error:
            if error.code not in NO_MEMBER:
                log.warning("who %s is in %s is not known: %s", user_id, guild.id, error)
            return self._known.put((guild.id, user_id), Person())
        except PlatformError as error:
            log.warning("who %s is in %s is not known, so they have no rights: %s", user_id, guild.id, error)
            return Person()
        roles = frozenset(role.id for role in member.roles if not role.is_default())
        is_admin = member.guild_permissions.manage_guild
        return self._known.put((guild.id, user_id), Person(is_member=True, is_admin=is_admin, roles=roles))

    def _channel(self, message: IncomingMessage) -> object | None:
        """As discord.py knows it; None for one that the bot does not see, which has no principals of its own."""
        channel_id = Way.of(message).channel_id
        guild = self._client.get_guild(int(message.workspace_id)) if message.workspace_id else None
        if guild is None or not channel_id:
            return None
        return guild.get_channel_or_thread(int(channel_id)) or guild.get_channel(int(message.conversation_id))

    @property
    def _me(self) -> int:
        return self._client.user.id if self._client.user else 0
