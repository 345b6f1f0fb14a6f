"""Discord's refusals as sentences."""

from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import discord
import pytest

from adapters.discord.errors import (
    TRANSPORT_ERRORS,
    DiscordBusyError,
    DiscordLostError,
    DiscordRefusedError,
    translated,
)
from bot.errors import PlatformUnavailableError


def answered(status: int, code: int = 0) -> discord.HTTPException:
    response = cast("Any", SimpleNamespace(status=status, reason=HTTPStatus(status).phrase))
    return discord.HTTPException(response, {"code": code, "message": "no"})


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, 50013, "parley discord invite"),
        (403, 50007, "direct messages"),
        (404, 10003, "deleted"),
        (400, 50083, "archived"),
        (401, 0, "PARLEY_DISCORD_TOKEN"),
        (400, 77777, "77777"),
    ],
)
def test_a_refusal_names_its_fix(status: int, code: int, words: str) -> None:
    error = translated(answered(status, code), doing="posting")
    assert isinstance(error, DiscordRefusedError)
    assert error.code == code
    assert words in str(error)


def test_a_spent_token_of_a_command_is_not_the_bots() -> None:
    assert "PARLEY" not in str(translated(answered(401, 50027), doing="editing"))


def test_what_may_work_later() -> None:
    assert isinstance(translated(answered(503), doing="posting"), DiscordLostError)
    busy = translated(discord.RateLimited(120.0), doing="posting")
    assert isinstance(busy, DiscordBusyError)
    assert busy.seconds == 120.0
    assert isinstance(translated(answered(429), doing="posting"), DiscordBusyError)
    assert isinstance(translated(TimeoutError(), doing="posting"), DiscordLostError)
    refused = aiohttp.ClientConnectorError(
        cast("Any", SimpleNamespace(ssl=True, host="d", port=443)), OSError()
    )
    unreachable = translated(refused, doing="posting")
    assert type(unreachable) is PlatformUnavailableError


def test_they_are_errors_of_the_library_and_the_network_only() -> None:
    assert not issubclass(ValueError, TRANSPORT_ERRORS)
