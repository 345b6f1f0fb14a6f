"""A local Discord with a person and a channel, and the clients that talk to it."""

from collections.abc import AsyncIterator

import pytest

from tests.platforms.discord import Channel, LocalDiscord, User
from tests.platforms.discord_clients import Bot, Raw, raw, running


@pytest.fixture
async def server() -> AsyncIterator[LocalDiscord]:
    async with LocalDiscord() as server:
        server.interactions.ack_seconds = 1.0
        yield server


@pytest.fixture
def ann(server: LocalDiscord) -> User:
    return server.add_user("ann")


@pytest.fixture
def general(server: LocalDiscord) -> Channel:
    return server.add_channel("general")


@pytest.fixture
async def bot(server: LocalDiscord, ann: User, general: Channel) -> AsyncIterator[Bot]:
    async with running(server, Bot()) as bot:
        yield bot


@pytest.fixture
async def rest(server: LocalDiscord) -> AsyncIterator[Raw]:
    async with raw(server) as rest:
        yield rest
