"""What a command has to show: Markdown, and what can be done next."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do next, offered below a notice: a button, or the command itself where there are none.

    Choosing it is giving that command, by whoever chooses it: nothing is remembered from when it was offered, so it
    works after a restart, and what the person may do is decided then.
    """

    label: str
    """On the button, a few words: "Go on"."""
    command: str
    """As it is said to the bot: "reindex go handbook"."""
    is_dangerous: bool = False
    """Whether something may be lost by it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What is shown."""

    markdown: str
    actions: tuple[Action, ...] = ()
    is_failure: bool = False
    """Whether it tells that something was not done."""
