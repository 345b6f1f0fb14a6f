from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bot.database import migrate, open_database
from tests.adapters.discord.town import Town
from tests.platforms.discord import LocalDiscord


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'parley.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
async def discord() -> AsyncIterator[LocalDiscord]:
    async with LocalDiscord() as discord:
        yield discord


@pytest.fixture
def town(discord: LocalDiscord, engine: Engine, tmp_path: Path) -> Town:
    return Town(discord, engine, tmp_path)
