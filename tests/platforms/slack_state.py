"""What the local Slack remembers: workspaces, people, channels, messages, files, and who may see what.

Everything lives in memory and dies with the test. Ids look like Slack's: a letter for the kind and nine to
eleven capitals and digits; message ids are times with six decimals, unique in the whole server.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.platforms.slack_text import read_blocks, read_mrkdwn

Json = dict[str, Any]

SCOPES = frozenset(
    """app_mentions:read assistant:write channels:history channels:read chat:write commands files:read
    groups:history groups:read im:history im:read im:write mpim:history mpim:read reactions:read
    reactions:write team:read users:read users:read.email""".split()
)


def buttons(blocks: list[Json]) -> Iterator[Json]:
    """The elements that can be pressed, each with the `block_id` it is in."""
    for block in blocks:
        found = block.get("elements") or [block.get("accessory")]
        yield from (
            e | {"block_id": block["block_id"]} for e in found if isinstance(e, dict) and "action_id" in e
        )


@dataclass
class User:
    id: str
    name: str
    team_id: str
    is_admin: bool = False
    is_owner: bool = False
    is_bot: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    deleted: bool = False
    bot_id: str = ""
    tz: str = "Europe/Berlin"

    def wire(self) -> Json:
        """The user as users.info shows it."""
        flags = ("is_admin", "is_owner", "is_bot", "is_restricted", "is_ultra_restricted", "deleted")
        shown: Json = {flag: getattr(self, flag) for flag in flags}
        if self.is_stranger:
            shown["is_stranger"] = True
        profile = {
            "real_name": self.name.title(),
            "display_name": self.name,
            "email": f"{self.name}@example.com",
        }
        return {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "tz": self.tz,
            "profile": profile,
        } | shown


@dataclass
class Channel:
    id: str
    name: str
    team_id: str
    kind: str = "channel"
    """"channel", "group" (private), "im" or "mpim": the words Slack uses for channel_type."""
    members: list[str] = field(default_factory=list)
    is_ext_shared: bool = False
    is_archived: bool = False
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def needs_recipient(self) -> bool:
        return self.kind != "im"

    def wire(self, *, bot: str) -> Json:
        """The channel as conversations.info shows it to the user `bot`."""
        shown: Json = {
            "id": self.id,
            "created": self.created,
            "is_im": self.kind == "im",
            "is_archived": self.is_archived,
            "context_team_id": self.team_id,
        }
        if self.kind == "im":
            return shown | {"user": next((m for m in self.members if m != bot), bot)}
        return shown | {
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": self.kind == "channel",
            "is_group": self.kind == "group",
            "is_mpim": self.kind == "mpim",
            "is_private": self.kind != "channel",
            "is_member": bot in self.members,
            "is_ext_shared": self.is_ext_shared,
            "is_shared": self.is_ext_shared,
            "is_org_shared": False,
            "num_members": len(self.members),
        }


@dataclass
class File:
    id: str
    name: str
    user: str
    content: bytes
    mimetype: str = "text/plain"

    def wire(self, base: str) -> Json:
        address = f"{base}/files-pri/{self.id}/{self.name}"
        return {
            "id": self.id,
            "name": self.name,
            "title": self.name,
            "mimetype": self.mimetype,
            "filetype": self.name.rpartition(".")[2],
            "user": self.user,
            "size": len(self.content),
            "mode": "hosted",
            "is_external": False,
            "url_private": address,
            "url_private_download": address,
        }


@dataclass
class Message:
    """A message as the server keeps it; tests read `ts`, `user`, `text`, `blocks`, `metadata` and the flags."""

    channel: str
    ts: str
    user: str
    raw_text: str = ""
    """The `text` argument; when there are blocks, people see it only in notifications."""
    blocks: list[Json] = field(default_factory=list)
    metadata: Json | None = None
    thread_ts: str | None = None
    ephemeral_to: str | None = None
    bot_id: str = ""
    subtype: str = ""
    """Slack's word for what it reports: "channel_join", "channel_topic", …; empty when somebody says something."""
    markdown: str = ""
    """What was streamed, or sent as markdown_text."""
    chunks: list[Json] = field(default_factory=list)
    """Task and plan updates of a stream, the newest of each task."""
    streaming: bool = False
    expired: bool = False
    edits: int = 0
    deleted: bool = False
    files: list[File] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    posted_at: float = field(default_factory=time.monotonic)
    appends: int = 0
    stream_mode: str = ""
    stopped_by_user: bool = False
    name_of: Any = field(default=str, repr=False)

    @property
    def text(self) -> str:
        """What a person reads: the stream, then the blocks, or the text when there are neither."""
        parts = [self.markdown, *read_blocks(self.blocks, self.name_of)]
        if not any(parts):
            parts = [read_mrkdwn(self.raw_text, self.name_of)]
        return "\n".join(part for part in parts if part)

    @property
    def buttons(self) -> list[Json]:
        """Everything on the message that can be pressed or chosen, with the `block_id` it is in."""
        return list(buttons(self.blocks))

    def wire(self, *, app_id: str, team: str, base: str, metadata: bool = False) -> Json:
        """The message as conversations.history and events show it."""
        shown: Json = {
            "type": "message",
            "user": self.user,
            "text": self.raw_text or self.markdown,
            "ts": self.ts,
        }
        shown["team"] = team
        if self.subtype:
            shown["subtype"] = self.subtype
        if self.thread_ts:
            shown["thread_ts"] = self.thread_ts
        if self.bot_id:
            shown |= {
                "bot_id": self.bot_id,
                "app_id": app_id,
                "bot_profile": {"id": self.bot_id, "app_id": app_id},
            }
        if self.blocks or self.markdown:
            streamed = [{"type": "markdown", "text": self.markdown}] if self.markdown else []
            shown["blocks"] = streamed + self.blocks
        if self.streaming:
            shown["streaming_state"] = "in_progress"
        if self.edits:
            shown["edited"] = {"user": self.user, "ts": f"{int(time.time())}.000000"}
        if self.files:
            shown["files"] = [file.wire(base) for file in self.files]
        if self.reactions:
            pairs = self.reactions.items()
            shown["reactions"] = [{"name": n, "users": u, "count": len(u)} for n, u in pairs if u]
        if metadata and self.metadata:
            shown["metadata"] = self.metadata
        return shown


def with_ids(blocks: list[Json]) -> list[Json]:
    """The blocks with the block_id and action_id that Slack makes up where the app gave none."""
    named = []
    for number, block in enumerate(blocks):
        new: Json = {"block_id": f"auto{number}"} | block
        if block.get("type") in {"actions", "context_actions"}:
            new["elements"] = [{"action_id": f"auto{i}"} | e for i, e in enumerate(block["elements"])]
        named.append(new)
    return named


@dataclass(eq=False)
class View:
    """A modal on a person's screen, or a Home tab."""

    id: str
    user: str
    team: str
    payload: Json
    root: "View | None" = None
    open: bool = True
    updates: int = 0

    @property
    def buttons(self) -> list[Json]:
        return list(buttons(self.payload["blocks"]))

    def wire(self, *, app_id: str, bot_id: str) -> Json:
        shown = {"private_metadata": "", "callback_id": "", "state": {"values": {}}} | self.payload
        return shown | {
            "id": self.id,
            "team_id": self.team,
            "hash": f"{self.updates}.hash",
            "root_view_id": (self.root or self).id,
            "app_id": app_id,
            "bot_id": bot_id,
            "app_installed_team_id": self.team,
        }


@dataclass
class Workspace:
    id: str
    name: str
    bot: User
    token: str
    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    users: dict[str, User] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    revoked: bool = False
    sessions: dict[tuple[str, str], str] = field(default_factory=dict)
    """(channel, thread_ts) of agent sessions, and their status."""


class State:
    """All workspaces of one test, and the counters that make ids."""

    def __init__(self) -> None:
        self.app_id = self.id("A")
        self.app_token = f"xapp-1-{self.app_id}-{self.number()}-secret"
        self.signing_secret = "8f742231b10e8888abcd99yyyzzz85a5"
        self.workspaces: dict[str, Workspace] = {}
        self.violations: list[str] = []
        self.shown_status: dict[tuple[str, str], Json] = {}
        """(channel, thread_ts) of status lines that are on show."""
        self.messages: list[Message] = []
        self.files: dict[str, File] = {}
        self._by_ts: dict[tuple[str, str], Message] = {}
        self._by_channel: dict[str, list[Message]] = defaultdict(list)
        self._by_thread: dict[tuple[str, str], list[Message]] = defaultdict(list)
        self._last_ts = 0

    _count = 0

    def number(self) -> int:
        State._count += 1
        return State._count

    def id(self, kind: str) -> str:
        return f"{kind}0{self.number():08X}"

    def ts(self) -> str:
        """A time that no message has had: microseconds, always growing."""
        self._last_ts = max(self._last_ts + 1, time.time_ns() // 1000)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def add_workspace(self, name: str) -> Workspace:
        team = self.id("T")
        bot = User(self.id("U"), "parley", team, is_bot=True, bot_id=self.id("B"))
        workspace = Workspace(
            team, name, bot, f"xoxb-{self.number()}-{self.number()}-{team}", users={bot.id: bot}
        )
        self.workspaces[team] = workspace
        return workspace

    def workspace_of(self, channel: str) -> Workspace:
        return next(w for w in self.workspaces.values() if channel in w.channels)

    def channel(self, channel: str) -> Channel:
        return self.workspace_of(channel).channels[channel]

    def user(self, user: str) -> User:
        return next(w.users[user] for w in self.workspaces.values() if user in w.users)

    def direct(self, workspace: Workspace, user: str) -> Channel:
        """The direct conversation of the bot with this person, made when it does not exist."""
        for channel in workspace.channels.values():
            if channel.kind == "im" and user in channel.members:
                return channel
        channel = Channel(self.id("D"), "", workspace.id, "im", [workspace.bot.id, user])
        workspace.channels[channel.id] = channel
        return channel

    def name_of(self, target: str) -> str:
        for workspace in self.workspaces.values():
            found = workspace.users.get(target) or workspace.channels.get(target)
            if found:
                return found.name
        return target

    def add(self, message: Message) -> Message:
        message.name_of = self.name_of
        message.blocks = with_ids(message.blocks)
        self.messages.append(message)
        self._by_ts[message.channel, message.ts] = message
        self._by_channel[message.channel].append(message)
        for root in {message.ts, message.thread_ts or message.ts}:
            self._by_thread[message.channel, root].append(message)
        return message

    def find(self, channel: str, ts: str) -> Message | None:
        message = self._by_ts.get((channel, ts))
        return None if message is None or message.deleted or message.ephemeral_to else message

    def thread(self, channel: str, thread_ts: str) -> list[Message]:
        """The root and the replies that everybody can see, oldest first."""
        found = self._by_thread.get((channel, thread_ts), [])
        return [m for m in found if not m.deleted and not m.ephemeral_to]

    def visible(self, channel: str) -> list[Message]:
        return [m for m in self._by_channel[channel] if not m.deleted and not m.ephemeral_to]

    def everything(self, channel: str, thread_ts: str | None) -> list[Message]:
        """All messages of a channel or a thread, with deleted and ephemeral ones, oldest first."""
        if thread_ts is None:
            return list(self._by_channel[channel])
        return list(self._by_thread.get((channel, thread_ts), []))
