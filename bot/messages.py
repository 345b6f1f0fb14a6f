"""What passes between an adapter and the assistant. No platform's own types come in here."""

import uuid
from dataclasses import dataclass, field
from typing import Literal

from feedback.records import Mode, SourceRecord
from knowledge.access import EVERYONE

Addressed = Literal["direct", "mention", "thread", "command", "shortcut", "channel"]
"""How a message came to the bot: in a conversation with it alone, by name (`/ask` counts as that), as a reply in a
thread, in the platform's form for commands (`/parley …`), by a message's menu, or only by being said where the bot
listens."""

_TURNS = uuid.UUID("8d0c5f5e-55a0-4a0b-9f3c-8a4c7a5c1d10")
"""Namespace of turn ids; any constant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that came with a question; `url` is where the adapter, and nobody else, can fetch it."""

    name: str
    size: int
    """In bytes, as the platform says; 0 when it does not."""
    url: str


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said in a thread before the bot was asked there."""

    author: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingMessage:
    """A question or command as it arrived. Made of what the event itself says, without asking the platform."""

    platform: str
    event_id: str
    """The platform's own id: every delivery of the same message has the same."""
    conversation_id: str
    """The channel, direct message or terminal session."""
    thread_id: str
    """The thread within it; history never crosses threads."""
    user_id: str
    text: str
    """Without the bot's name in front."""
    workspace_id: str = ""
    """The Slack workspace or Discord server; empty where there is none."""
    message_id: str = ""
    """The platform's id of the message, which edits and deletions name; empty for commands."""
    addressed: Addressed = "direct"
    is_private: bool = False
    """Whether only the asker will see the reply."""
    by_bot: bool = False
    by_admin: bool = False
    """Whether the platform says that the person may administer it; filled in by `Platform.complete`."""
    principals: frozenset[str] = frozenset({EVERYONE})
    """Who will see the reply; see `knowledge.access`. Filled in by `Platform.complete` where it takes a request."""
    open_to: frozenset[str] = frozenset()
    """Principals of which each lets people read the conversation who are not in it, as in a public channel:
    "slack:T1". Filled in by `Platform.complete`; a guess that leaves some out is safe."""
    attachments: tuple[Attachment, ...] = ()
    context: tuple[Said, ...] = ()
    """The thread before this message, oldest first, without the bot's own part; filled in by `Platform.complete`."""
    reply_to: str = ""
    """What the adapter needs to answer, beside the ids; only the adapter reads it."""

    @property
    def turn_id(self) -> str:
        """Of the answer, whatever happens in between: the same message has the same turn after a restart."""
        return uuid.uuid5(_TURNS, f"{self.platform}/{self.event_id}").hex

    @property
    def person(self) -> str:
        """As access, policy and queue name the asker: `slack:U42`."""
        return f"{self.platform}:{self.user_id}"

    @property
    def place(self) -> str:
        """As access, policy and queue name the conversation: `slack:C42`."""
        return f"{self.platform}:{self.conversation_id}"


@dataclass(frozen=True, slots=True)
class Progress:
    """What is being done now, shown while nothing has been written yet."""

    stage: Literal["waiting", "searching", "reading", "writing"]
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer, checked and ready to be shown. The pieces joined are the answer, in Markdown."""

    content: str


@dataclass(frozen=True, slots=True)
class Final:
    """The end of every answer: what adapters show below it."""

    turn_id: str
    mode: Mode
    answer: str
    sources: tuple[SourceRecord, ...]
    model_id: str
    retrieve_ms: int
    first_text_ms: int | None
    total_ms: int
    note: str = field(default="")
    """Why the answer is not the usual one (one source was asked for, the model is down, …); sentences, or empty."""


Event = Progress | Text | Final
