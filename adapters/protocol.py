"""The contract between Parley and a chat platform.

An `Adapter` is found by the entry-point group `parley.adapters`. It turns the platform's events into
`IncomingMessage`s and hands them to the desk (`app.desk.receive`, `edited`, `deleted`, `stop`, `vote`), and it is a
`bot.delivery.Platform`, through which the desk answers: it makes a `bot.delivery.Reply` for each message.
`tests/contract` holds what every platform must do.
"""

from typing import ClassVar, Protocol

from bot.app import App
from bot.errors import PlatformError
from bot.messages import IncomingMessage


class Adapter(Protocol):
    """A chat platform."""

    name: ClassVar[str]
    """What stands in `platform` of its messages."""
    interactive: ClassVar[bool]
    """Whether it needs a person at the terminal; such an adapter is not part of `parley serve`."""

    def __init__(self, app: App) -> None: ...

    @property
    def configured(self) -> bool:
        """Whether the settings hold what it needs; one that is not configured is not started by `serve`."""

    async def run(self) -> None:
        """Serve until cancelled, or until the person leaves.

        Joins the desk (`app.desk.join`) as soon as replies can be posted; from then on what was left unanswered
        before a restart is answered.
        """


class OnTheLine:
    """The part of a platform whose askers wait for their answer: nothing to look up, to fetch or to take up again."""

    async def complete(self, message: IncomingMessage) -> IncomingMessage:
        return message

    async def fetch(self, message: IncomingMessage) -> list[tuple[str, bytes]]:  # noqa: ARG002
        return []

    async def tell_admins(self, sentence: str) -> None:
        """The log has it."""

    async def post(self, conversation_id: str, markdown: str) -> None:  # noqa: ARG002
        """Always raises `PlatformError`: nobody is there but for an answer."""
        raise PlatformError(_nobody(conversation_id))

    async def who_reads(self, conversation_id: str) -> frozenset[str]:
        """Always raises `PlatformError`, as `post`."""
        raise PlatformError(_nobody(conversation_id))


def _nobody(conversation_id: str) -> str:
    return f"Nothing can be posted to {conversation_id}; name a channel of Slack or Discord."
