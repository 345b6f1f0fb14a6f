"""What the local Discord remembers, who may do what in it, and the counter that makes ids.

Everything lives in memory and dies with the test. Ids are snowflakes, always growing, so they sort by time; the
application and its bot user share one id, as with every application made since 2016.
"""

import base64
import time
from collections import defaultdict

from tests.platforms.discord_model import EPOCH_MS, Channel, File, Guild, Member, Message, Role, User
from tests.platforms.discord_permissions import ALL, BOT, EVERYONE, compute

GUILD_MEMBERS, GUILD_PRESENCES, MESSAGE_CONTENT = 1 << 1, 1 << 8, 1 << 15
"""The privileged intents."""


class State:
    """Everything in one Discord, and the counter that makes ids."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.guilds: dict[str, Guild] = {}
        self.directs: dict[str, Channel] = {}
        self.files: dict[str, File] = {}
        self.violations: list[str] = []
        self.privileged = 0
        """The privileged intents that are switched on for the application."""
        self.base_url = ""
        self._by_id: dict[str, Message] = {}
        self._by_channel: dict[str, list[Message]] = defaultdict(list)
        self._last_id = 0
        self.bot = self.add_user("parley", bot=True)
        self.owner = self.add_user("owner")
        name = base64.b64encode(self.bot.id.encode()).decode().rstrip("=")
        self.token = f"{name}.Glocal.{self.snowflake()}{'x' * 19}"

    def snowflake(self) -> str:
        """An id that nothing has had; milliseconds since 2015 and a counter below them."""
        self._last_id = max(self._last_id + 1, (time.time_ns() // 1_000_000 - EPOCH_MS) << 22)
        return str(self._last_id)

    # People and places

    def add_user(self, name: str, *, bot: bool = False, has_app: bool = False) -> User:
        user = User(self.snowflake(), name, is_bot=bot, has_app=has_app)
        self.users[user.id] = user
        return user

    def add_guild(self, name: str, *, with_bot: bool) -> Guild:
        guild = Guild(self.snowflake(), name, self.owner.id)
        guild.roles[guild.id] = Role(guild.id, "@everyone", EVERYONE)
        guild.members[self.owner.id] = Member(self.owner)
        if with_bot:
            role = Role(self.snowflake(), self.bot.name, BOT, position=1, managed=True)
            guild.roles[role.id] = role
            guild.members[self.bot.id] = Member(self.bot, [role.id])
        self.guilds[guild.id] = guild
        return guild

    def direct(self, user: str) -> Channel:
        """The direct conversation of the bot with this person, made when it does not exist."""
        found = next((c for c in self.directs.values() if user in c.members), None)
        if found is None:
            found = Channel(self.snowflake(), "", "dm", members=[self.bot.id, user])
            self.directs[found.id] = found
        return found

    def channel(self, channel: str) -> Channel | None:
        guilds = (guild.channels.get(channel) for guild in self.guilds.values())
        return self.directs.get(channel) or next((found for found in guilds if found), None)

    def permissions(self, user: str, channel: Channel) -> int:
        """What this person may do there; 0 for who is not in the guild."""
        guild = self.guilds.get(channel.guild_id)
        if guild is None:
            return ALL if user in channel.members else 0
        return guild_permissions(guild, user, guild.channels.get(channel.parent_id, channel), channel)

    def name_of(self, target: str) -> str:
        role = next((g.roles[target] for g in self.guilds.values() if target in g.roles), None)
        found = self.users.get(target) or self.channel(target) or role
        return found.name if found else target

    # Messages

    def add(self, message: Message) -> Message:
        message.name_of = self.name_of
        self._by_id[message.id] = message
        self._by_channel[message.channel].append(message)
        return message

    def find(self, channel: str, message: str) -> Message | None:
        found = self._by_id.get(message)
        gone = found is None or found.deleted or found.channel != channel or found.ephemeral_to
        return None if gone else found

    def visible(self, channel: str) -> list[Message]:
        """What everybody in the channel sees, oldest first."""
        return [m for m in self._by_channel[channel] if not m.deleted and not m.ephemeral_to]

    def everything(self, channel: str) -> list[Message]:
        return list(self._by_channel[channel])


def guild_permissions(guild: Guild, user: str, parent: Channel, channel: Channel) -> int:
    """What a member may do in a channel, or in a thread below `parent`."""
    member = guild.members.get(user)
    if member is None:
        return 0
    if user == guild.owner_id:
        return ALL
    roles = {role: guild.roles[role].permissions for role in (guild.id, *member.roles)}
    hidden = channel.kind == "private thread" and user not in channel.members
    return compute(user, guild.id, roles, parent.overwrites, thread=channel.is_thread, hidden=hidden)
