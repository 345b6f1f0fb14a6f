"""What Discord answers when it does not do what it was asked, as errors with a sentence that names the fix.

PlatformError
├── DiscordRefusedError        Discord says no; `code` is its number for why
└── PlatformUnavailableError   it was not done, the same may work later
    ├── DiscordBusyError       too many requests; `seconds` until the next
    └── DiscordLostError       the answer was lost: it may or may not have been done
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import aiohttp
import discord

from bot.errors import PlatformError, PlatformUnavailableError

TRANSPORT_ERRORS = (
    discord.HTTPException,
    discord.RateLimited,
    discord.GatewayNotFound,
    aiohttp.ClientError,
    TimeoutError,
    OSError,
)
"""What a request through discord.py can raise."""

UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, UNKNOWN_MEMBER, UNKNOWN_USER = 10003, 10008, 10007, 10013
NO_DIRECT_MESSAGES, INVALID_FORM, ALREADY_ACKNOWLEDGED, HAS_THREAD = 50007, 50035, 40060, 160004
GONE = frozenset({UNKNOWN_MESSAGE})
"""The message cannot be changed any more."""
SPENT = frozenset({10015, 10062, 50027})
"""The token of an interaction is not good any more."""
UNSHOWABLE = frozenset({INVALID_FORM, 50006, 200000, 240000})
"""It is the message, not the place: too long, empty, or not to the taste of the server's automatic moderation."""

_PERMISSION = (
    "I may not write there; give my role View Channel, Send Messages, Send Messages in Threads, Embed Links and "
    "Read Message History, or invite me again with the address of `parley discord invite`."
)
_SENTENCES = {
    UNKNOWN_CHANNEL: "That channel or thread was deleted; ask again in another one.",
    UNKNOWN_MESSAGE: "That message was deleted.",
    NO_DIRECT_MESSAGES: "The asker takes no direct messages from me; allow them in the server's privacy settings.",
    50001: _PERMISSION,
    50013: _PERMISSION,
    50083: "That thread is archived; write something there, and ask again.",
    30033: "That thread has as many members as it can have; ask in another one.",
    160005: "That thread is locked; ask in the channel.",
    200000: "The server's automatic moderation does not let my answer through; its admins can make an exception.",
}


class DiscordRefusedError(PlatformError):
    """Discord says no."""

    def __init__(self, sentence: str, *, code: int) -> None:
        super().__init__(sentence)
        self.code = code


class DiscordBusyError(PlatformUnavailableError):
    """Too many requests."""

    def __init__(self, sentence: str, *, seconds: float) -> None:
        super().__init__(sentence)
        self.seconds = seconds


class DiscordLostError(PlatformUnavailableError):
    """It may or may not have been done."""


@contextmanager
def translating(doing: str) -> Iterator[None]:
    """Discord's refusals and the network's failures as `PlatformError`."""
    try:
        yield
    except TRANSPORT_ERRORS as error:
        raise translated(error, doing=doing) from error


def translated(error: Exception, *, doing: str) -> PlatformError:
    """One of `TRANSPORT_ERRORS` as one of ours; `doing` says of what: "posting"."""
    if isinstance(error, discord.RateLimited):
        return _busy(doing, error.retry_after)
    if isinstance(error, discord.HTTPException):
        return _answered(error, doing)
    if isinstance(error, aiohttp.ClientConnectorError):
        return PlatformUnavailableError(f"Discord cannot be reached for {doing}; check the network.")
    return DiscordLostError(f"The connection to Discord broke during {doing}; check the network.")


def _answered(error: discord.HTTPException, doing: str) -> PlatformError:
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:  # discord.py waits for the usual ones by itself
        return _busy(doing, 60.0)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return DiscordLostError(
            f"Discord has a problem of its own with {doing} ({error.status}); try again later."
        )
    if error.status == HTTPStatus.UNAUTHORIZED and error.code not in SPENT:
        sentence = "Discord does not take the bot's token any more; set PARLEY_DISCORD_TOKEN to the new one."
    else:
        reason = error.code or error.status
        sentence = _SENTENCES.get(error.code) or f"Discord refuses {doing} ({reason}); run `parley doctor`."
    return DiscordRefusedError(sentence, code=error.code)


def _busy(doing: str, seconds: float) -> DiscordBusyError:
    return DiscordBusyError(f"Discord takes no more {doing} for {seconds:.0f} s.", seconds=seconds)
