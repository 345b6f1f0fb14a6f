"""Commands as an admin gives them, and what comes back."""

from collections.abc import Awaitable, Callable, Sequence

from bot.commands import Call, Command, Commands
from bot.messages import IncomingMessage
from bot.notices import Notice

MESSAGE = IncomingMessage(
    platform="slack",
    event_id="e1",
    conversation_id="C1",
    thread_id="t1",
    user_id="U1",
    text="",
    addressed="mention",
    principals=frozenset({"everyone", "slack:C1"}),
)


class Admin:
    """Gives commands, and keeps what is reported meanwhile."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self.commands = Commands(commands)
        self.reports: list[str] = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        """Done whenever something is reported."""

    async def give(self, text: str) -> Notice:
        call = self.commands.parse(text, explicit=True)
        if not isinstance(call, Call):
            return Notice(str(call))
        return await self.commands.run(call, MESSAGE, is_admin=True, report=self._report)

    async def say(self, text: str) -> str:
        return (await self.give(text)).markdown

    async def choose(self, notice: Notice, label: str) -> Notice:
        """Press the button of that name."""
        (command,) = [action.command for action in notice.actions if action.label == label]
        return await self.give(command)

    async def _report(self, markdown: str) -> None:
        self.reports.append(markdown)
        if self.meanwhile:
            await self.meanwhile()
