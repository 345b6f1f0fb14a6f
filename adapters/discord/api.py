"""Requests to Discord within its budgets, each with a clear end: done, refused, or not known.

discord.py waits by itself when Discord says that it is too much; the budgets here keep it from coming to that, and
share a channel's between the answers there. It also repeats what failed in a way that surely did nothing; everything
else that does no harm twice is repeated here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from adapters.discord.errors import DiscordBusyError, DiscordLostError, translating
from adapters.pacing import Budget, Pace, unbroken
from bot.errors import PlatformUnavailableError

T = TypeVar("T")

TRIES = 4
BACKOFF = 0.5
"""Seconds before the second try; twice as long before each further one."""

BUDGETS = {
    "posting": Budget(5, 5.0),
    "editing": Budget(5, 5.0),
    "deleting": Budget(5, 2.0),
    "reading": Budget(5, 5.0),
    "typing": Budget(5, 5.0),
}
"""What Discord allows a bot in a channel, as bots see it; it publishes no numbers."""


class DiscordPace(Pace):
    """The budgets of a bot. One for all replies."""

    def __init__(self, budgets: Mapping[str, Budget] = BUDGETS) -> None:
        super().__init__(budgets)


async def call(
    pace: Pace,
    doing: str,
    work: Callable[[], Awaitable[T]],
    *,
    of: str,
    then: Callable[[T], Awaitable[None]] | None = None,
    tries: int = TRIES,
    is_repeatable: bool = True,
    is_paid: bool = False,
) -> T:
    """Do it in the budget `doing` of the channel `of`; `then` notes the result before anything else can happen.

    `is_paid`: the caller has waited for the budget already. Raises `DiscordRefusedError`, `DiscordLostError`, or
    `PlatformUnavailableError` when it surely was not done.
    """

    async def once() -> T:
        with translating(doing):
            done = await work()
        if then:
            await then(done)
        return done

    for attempt in range(1, tries + 1):
        if not (is_paid and attempt == 1):
            await pace.wait(doing, of=of)
        try:
            return await unbroken(once())
        except DiscordBusyError as error:
            pace.pause(doing, error.seconds)
            raise
        except PlatformUnavailableError as error:
            if attempt == tries or (isinstance(error, DiscordLostError) and not is_repeatable):
                raise
            await asyncio.sleep(BACKOFF * 2 ** (attempt - 1))
    raise AssertionError("tries is at least 1")
