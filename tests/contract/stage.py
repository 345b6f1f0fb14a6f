"""What a test of the contract sees of a platform: people who do things, and what the bot shows them.

A platform takes part by a `Stage` of its own, and says in `lacks` what it does not have; everything else must work
as the suite says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from bot.app import App

Feature = Literal[
    "mention",
    "direct",
    "follow-up",
    "overhearing",
    "private",
    "menu",
    "status",
    "edit",
    "delete",
    "files",
    "redelivery",
    "reconnect",
    "restart",
    "reaction",
    "many people",
    "thread context",
    "buttons",
    "reports",
]


@dataclass
class Asked:
    """Something that a person said to the bot."""

    text: str
    person: str
    id: str = ""
    thread: str = ""
    place: str = "general"
    """Name of the channel, or of the person for a direct message."""
    is_private: bool = False


@dataclass
class Shown:
    """A message of the bot, as people read it."""

    id: str
    text: str
    only_for: str = ""
    """Name of the person who alone sees it."""
    can_vote: bool = False
    actions: list[str] = field(default_factory=list)
    """Labels of what can be done next, in the order in which they are offered."""
    extra: object = field(default=None, repr=False)


class Stage(Protocol):
    """One platform with a bot on it. People are called ann, bob and boss, who is an admin."""

    name: ClassVar[str]
    lacks: ClassVar[frozenset[Feature]]

    @property
    def settings(self) -> str:
        """What the bot needs in parley.toml."""

    @property
    def environ(self) -> dict[str, str]:
        """What it needs in the environment."""

    async def start(self, app: App) -> None:
        """Let the bot come on, with that app behind it."""

    async def stop(self) -> None:
        """Take the bot off; nothing more is said."""

    async def mention(
        self, text: str, *, person: str = "ann", thread: str = "", files: Sequence[tuple[str, bytes]] = ()
    ) -> Asked:
        """Say something to the bot by name, in a channel."""

    async def direct(self, text: str, *, person: str = "ann", thread: str = "") -> Asked:
        """Say something to the bot alone."""

    async def say(self, text: str, *, person: str = "ann", thread: str = "") -> Asked:
        """Say something in the channel or in a thread, not to the bot."""

    async def privately(self, text: str, *, person: str = "ann") -> Asked:
        """Ask with the slash command, in the channel."""

    async def command(self, text: str, *, person: str = "boss") -> Asked:
        """Give one of Parley's commands in the platform's own form."""

    async def menu(self, said: Asked, *, person: str = "ann") -> Asked:
        """Choose "Ask Parley about this" in the menu of a message."""

    async def edit(self, asked: Asked, text: str) -> None: ...

    async def delete(self, asked: Asked) -> None: ...

    async def stop_answer(self, asked: Asked) -> None:
        """What the asker does to stop an answer on its way."""

    async def vote(
        self, shown: Shown, score: int, *, person: str = "ann", reason: str = "", comment: str = ""
    ) -> None: ...

    async def react(self, shown: Shown, score: int, *, person: str = "ann") -> None: ...

    async def share(self, shown: Shown, *, person: str = "ann") -> None: ...

    async def press(self, shown: Shown, label: str, *, person: str = "boss") -> Asked:
        """Choose an action below a notice; what comes of it is `shown` for what this gives.

        Without "buttons", give the command that the notice names in its place.
        """

    async def deliver_again(self) -> None:
        """Deliver everything of this conversation that was delivered to the bot a second time."""

    async def reconnect(self) -> None:
        """Cut the bot's connection, and wait until it is back."""

    def shown(self, asked: Asked) -> list[Shown]:
        """The bot's messages that answer it, oldest first; a message being written counts."""

    def progress(self, asked: Asked) -> list[str]:
        """Status lines that were shown for it."""

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for it to become true, with a time limit."""
