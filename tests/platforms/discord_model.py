"""What the local Discord is made of, and how Discord shows it: people, roles, servers, channels, files, messages.

Ids are snowflakes as text. A channel and a server are shown with the help of the `State` that they are part of.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.platforms.discord_text import interactive, read

if TYPE_CHECKING:
    from tests.platforms.discord_state import State

Json = dict[str, Any]

EPOCH_MS = 1_420_070_400_000
EPHEMERAL, LOADING, HAS_THREAD, COMPONENTS_V2 = 1 << 6, 1 << 7, 1 << 5, 1 << 15
"""Flags of a message."""
KINDS = {"text": 0, "dm": 1, "news": 5, "thread": 11, "private thread": 12, "forum": 15}
"""The numbers Discord has for the kinds of channels; "thread" is a public one, or a post in a forum."""


def when(snowflake: str) -> str:
    """The time in an id, as Discord writes times."""
    seconds = ((int(snowflake) >> 22) + EPOCH_MS) / 1000
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(eq=False)
class User:
    id: str
    name: str
    is_bot: bool = False
    has_app: bool = False
    """Whether the person installed the application for themselves, for every server and direct message."""
    accepts_direct: bool = True

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    def wire(self) -> Json:
        return {
            "id": self.id,
            "username": self.name,
            "global_name": None if self.is_bot else self.name.title(),
            "discriminator": "0",
            "avatar": None,
            "bot": self.is_bot,
            "public_flags": 0,
        }


@dataclass(eq=False)
class Role:
    id: str
    name: str
    permissions: int = 0
    position: int = 0
    managed: bool = False

    @property
    def mention(self) -> str:
        return f"<@&{self.id}>"

    def wire(self) -> Json:
        plain: Json = {"color": 0, "hoist": False, "mentionable": False, "flags": 0}
        colors = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
        return plain | {
            "id": self.id,
            "name": self.name,
            "permissions": str(self.permissions),
            "position": self.position,
            "managed": self.managed,
            "colors": colors,
        }


@dataclass(eq=False)
class Member:
    user: User
    roles: list[str] = field(default_factory=list)
    joined: str = field(default_factory=now)

    def wire(self, *, user: bool = True) -> Json:
        shown: Json = {
            "roles": self.roles,
            "joined_at": self.joined,
            "deaf": False,
            "mute": False,
            "flags": 0,
        }
        shown |= {"nick": None, "avatar": None, "pending": False}
        return shown | {"user": self.user.wire()} if user else shown


@dataclass(eq=False)
class Channel:
    """A channel, a direct conversation or a thread."""

    id: str
    name: str
    kind: str = "text"
    guild_id: str = ""
    parent_id: str = ""
    owner_id: str = ""
    members: list[str] = field(default_factory=list)
    """Who is in a direct conversation or has joined a thread."""
    overwrites: dict[str, tuple[int, int]] = field(default_factory=dict)
    """What is allowed and denied, by the id of a role or a member."""
    archived: bool = False
    archived_at: str = ""
    locked: bool = False
    topic: str = ""

    @property
    def is_thread(self) -> bool:
        return "thread" in self.kind

    def wire(self, state: "State") -> Json:
        last = next((m.id for m in reversed(state.everything(self.id)) if not m.ephemeral_to), None)
        shown: Json = {"id": self.id, "type": KINDS[self.kind], "last_message_id": last, "flags": 0}
        if self.kind == "dm":
            people = [state.users[m].wire() for m in self.members if m != state.bot.id]
            return shown | {"recipients": people}
        shown |= {"name": self.name, "guild_id": self.guild_id, "parent_id": self.parent_id or None}
        shown |= {"nsfw": False, "rate_limit_per_user": 0}
        return shown | (self._thread_wire(state) if self.is_thread else self._channel_wire(state))

    def _channel_wire(self, state: "State") -> Json:
        guild = state.guilds[self.guild_id]
        overwrites = [
            {"id": target, "type": int(target not in guild.roles), "allow": str(allow), "deny": str(deny)}
            for target, (allow, deny) in self.overwrites.items()
        ]
        return {"position": 0, "topic": self.topic, "permission_overwrites": overwrites, "available_tags": []}

    def _thread_wire(self, state: "State") -> Json:
        count = len([m for m in state.visible(self.id) if m.type != 21])
        metadata = {
            "archived": self.archived,
            "locked": self.locked,
            "auto_archive_duration": 1440,
            "archive_timestamp": self.archived_at or when(self.id),
            "create_timestamp": when(self.id),
        }
        shown: Json = {"owner_id": self.owner_id, "thread_metadata": metadata, "applied_tags": []}
        shown |= {"message_count": count, "total_message_sent": count, "member_count": len(self.members)}
        if state.bot.id in self.members:
            shown["member"] = self.member_wire(state.bot.id)
        return shown

    def member_wire(self, user: str) -> Json:
        return {"id": self.id, "user_id": user, "join_timestamp": when(self.id), "flags": 0}


@dataclass(eq=False)
class Guild:
    id: str
    name: str
    owner_id: str
    roles: dict[str, Role] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    """Channels and threads."""

    def wire(self, state: "State") -> Json:
        """The guild as GUILD_CREATE and GET /guilds/{guild} show it, without what only the former has."""
        empty = ("emojis", "stickers", "features")
        nothing = ("icon", "splash", "banner", "description", "afk_channel_id", "system_channel_id")
        zero = ("verification_level", "explicit_content_filter", "nsfw_level", "mfa_level", "premium_tier")
        shown: Json = dict.fromkeys(nothing) | dict.fromkeys(zero, 0) | {name: [] for name in empty}
        shown |= {"id": self.id, "name": self.name, "owner_id": self.owner_id, "preferred_locale": "en-US"}
        shown |= {"default_message_notifications": 0, "afk_timeout": 300, "system_channel_flags": 0}
        return shown | {"roles": [role.wire() for role in self.roles.values()]}


@dataclass(eq=False)
class File:
    id: str
    name: str
    content: bytes
    content_type: str = "text/plain"

    def wire(self, base: str) -> Json:
        address = f"{base}/attachments/{self.id}/{self.name}"
        shown = {"id": self.id, "filename": self.name, "size": len(self.content)}
        return shown | {"url": address, "proxy_url": address, "content_type": self.content_type}


@dataclass(eq=False)
class Message:
    """A message as the server keeps it; tests read `id`, `channel`, `author`, `text`, `buttons` and the flags."""

    id: str
    channel: str
    author: str
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    reference: "Message | None" = None
    """The message that this one replies to; of a thread's first message, the one it was started from."""
    type: int = 0
    flags: int = 0
    nonce: str = ""
    mentions: list[str] = field(default_factory=list)
    """The people whom it notifies."""
    mention_roles: list[str] = field(default_factory=list)
    mention_everyone: bool = False
    ephemeral_to: str | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    interaction: Json | None = None
    """What Discord calls interaction_metadata, on answers to interactions."""
    edits: int = 0
    edited: str | None = None
    deleted: bool = False
    posted_at: float = field(default_factory=time.monotonic)
    name_of: Any = field(default=str, repr=False)

    @property
    def text(self) -> str:
        """What a person reads: the content, the embeds and the texts among the components."""
        return read(self.content, self.embeds, self.components, self.name_of)

    @property
    def loading(self) -> bool:
        """Whether people see that the bot is thinking instead of an answer."""
        return bool(self.flags & LOADING)

    @property
    def buttons(self) -> list[Json]:
        """Everything on the message that can be pressed or chosen, and links."""
        return list(interactive(self.components))
