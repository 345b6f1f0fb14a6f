"""Setting up a local Discord: servers, people, roles, channels and permissions; the bot hears of what is new."""

from collections.abc import Sequence

from tests.platforms.discord_channels import announce_channel, joins
from tests.platforms.discord_gateway import GUILDS, Gateway
from tests.platforms.discord_model import Channel, File, Guild, Member, Role, User
from tests.platforms.discord_permissions import bits
from tests.platforms.discord_state import GUILD_MEMBERS, State


class Setup:
    """How the world of a test comes about; `LocalDiscord` is one of these."""

    state: State
    gateway: Gateway
    guild: Guild
    """The first server, which tests with only one use without naming it."""

    def add_guild(self, name: str, *, with_bot: bool = True) -> Guild:
        """Another server; one without the bot is where people use an app that they installed for themselves."""
        guild = self.state.add_guild(name, with_bot=with_bot)
        if with_bot:
            self.gateway.dispatch(
                "GUILD_CREATE", lambda intents: joins(self.state, guild), guild=guild.id, intent=1
            )
        return guild

    def add_user(
        self,
        name: str,
        *,
        bot: bool = False,
        admin: bool = False,
        roles: Sequence[Role] = (),
        has_app: bool = False,
        guild: Guild | None = None,
    ) -> User:
        """A person or another bot, in the first server unless told otherwise.

        An `admin` may manage the server; `has_app` means that the person installed the app for themselves.
        """
        home = guild or self.guild
        user = self.state.add_user(name, bot=bot, has_app=has_app)
        held = [role.id for role in roles]
        if admin:
            held.append(self._admins(home).id)
        home.members[user.id] = Member(user, held)
        self._member("GUILD_MEMBER_ADD", home, user)
        return user

    def _admins(self, guild: Guild) -> Role:
        found = next((role for role in guild.roles.values() if role.name == "admins"), None)
        return found or self.add_role("admins", "MANAGE_GUILD", guild=guild)

    def join(self, user: User, guild: Guild) -> None:
        """Make somebody a member of another server too."""
        guild.members[user.id] = Member(user)
        self._member("GUILD_MEMBER_ADD", guild, user)

    def give(self, user: User, role: Role, *, guild: Guild | None = None) -> None:
        """Give a role to a member."""
        home = guild or self.guild
        home.members[user.id].roles.append(role.id)
        self._member("GUILD_MEMBER_UPDATE", home, user)

    def take(self, user: User, role: Role, *, guild: Guild | None = None) -> None:
        """Take a role from a member."""
        home = guild or self.guild
        home.members[user.id].roles.remove(role.id)
        self._member("GUILD_MEMBER_UPDATE", home, user)

    def _member(self, name: str, guild: Guild, user: User) -> None:
        if self.state.bot.id in guild.members:
            data = guild.members[user.id].wire() | {"guild_id": guild.id}
            self.gateway.dispatch(name, lambda intents: data, guild=guild.id, intent=GUILD_MEMBERS)

    def add_role(self, name: str, *permissions: str, guild: Guild | None = None) -> Role:
        """A role with permissions by name, such as "MANAGE_GUILD"."""
        home = guild or self.guild
        role = Role(self.state.snowflake(), name, bits(*permissions), position=len(home.roles))
        home.roles[role.id] = role
        data = {"guild_id": home.id, "role": role.wire()}
        self.gateway.dispatch("GUILD_ROLE_CREATE", lambda intents: data, guild=home.id, intent=GUILDS)
        return role

    def add_channel(
        self,
        name: str,
        *,
        kind: str = "text",
        private: bool = False,
        members: Sequence[User] = (),
        roles: Sequence[Role] = (),
        with_bot: bool = True,
        guild: Guild | None = None,
    ) -> Channel:
        """A channel ("text" or "forum") for all; a private one only for these, and the bot unless told otherwise."""
        home = guild or self.guild
        channel = Channel(self.state.snowflake(), name, kind, home.id)
        if private:
            allowed = [one.id for one in members] + [one.id for one in roles] + [self.state.bot.id] * with_bot
            channel.overwrites = dict.fromkeys(allowed, (bits("VIEW_CHANNEL"), 0))
            channel.overwrites[home.id] = (0, bits("VIEW_CHANNEL"))
        home.channels[channel.id] = channel
        if self.state.bot.id in home.members:
            announce_channel(self.gateway, "CHANNEL_CREATE", channel)
        return channel

    def deny(self, channel: Channel, *permissions: str, to: User | Role | None = None) -> None:
        """Take permissions from a member or a role, from the bot unless told otherwise, in one channel."""
        self._overwrite(channel, to or self.state.bot, deny=bits(*permissions))

    def allow(self, channel: Channel, *permissions: str, to: User | Role | None = None) -> None:
        self._overwrite(channel, to or self.state.bot, allow=bits(*permissions))

    def _overwrite(self, channel: Channel, target: User | Role, *, allow: int = 0, deny: int = 0) -> None:
        old_allow, old_deny = channel.overwrites.get(target.id, (0, 0))
        channel.overwrites[target.id] = (old_allow & ~deny | allow, old_deny & ~allow | deny)
        announce_channel(self.gateway, "CHANNEL_UPDATE", channel)

    def direct_channel(self, user: User) -> Channel:
        """The direct conversation of this person with the bot."""
        return self.state.direct(user.id)

    def add_file(self, name: str, content: bytes, *, content_type: str = "text/plain") -> File:
        file = File(self.state.snowflake(), name, content, content_type)
        self.state.files[file.id] = file
        return file
