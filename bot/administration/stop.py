"""`stop`, for everyone: end what the asker waits for."""

from collections.abc import Awaitable, Callable

from bot.commands import Command, Request
from bot.messages import IncomingMessage


def stop_command(stop: Callable[[IncomingMessage], Awaitable[bool]]) -> Command:
    """`stop`, for everyone; `stop` ends what the asker of that message waits for, and says whether there was any."""

    async def run(request: Request) -> str:
        if await stop(request.message):
            return "Stopped."
        return "There is nothing to stop: no answer to a question of yours is on its way here."

    return Command(name="stop", about="stop the answer to my question in this thread", run=run)
