"""A database and, on it, an office with a local Slack."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from bot import vault
from bot.database import migrate, open_database
from bot.vault import Vault
from feedback.store import FeedbackStore
from tests.adapters.slack.office import NotingDesk, Office
from tests.platforms.slack import LocalSlack


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    monkeypatch.setattr(vault, "_COST", 2)
    made = open_database(f"sqlite:///{tmp_path / 'parley.db'}")
    migrate(made)
    yield made
    made.dispose()


@pytest.fixture
async def office(engine: sa.Engine) -> AsyncIterator[Office]:
    feedback = FeedbackStore(engine)
    async with LocalSlack() as slack:
        slack.delivery.retry_delays = (0.05, 0.1, 0.2)
        slack.delivery.subscriptions |= {"user_change", "channel_shared"}
        key = SecretStr("correct horse battery staple")
        yield Office(slack, engine, NotingDesk(engine, feedback), feedback, Vault(engine, key))
