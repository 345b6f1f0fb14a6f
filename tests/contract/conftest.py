"""The app that the contract runs on: everything is real but the assistant, and one command is added."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Engine

from bot.app import App
from bot.assistant import Assistant
from bot.config import load_settings
from bot.database import migrate, open_database
from bot.library import Library
from bot.llm.local import Unavailable
from bot.llm.switch import SwitchableLLM
from tests.contract.console import ConsoleStage
from tests.contract.discord import DiscordStage
from tests.contract.scripted import Digging, ScriptedAssistant
from tests.contract.slack import SlackStage
from tests.contract.stage import Stage

SETTINGS = """
[llm]
enabled = false

[[sources]]
name = "handbook"
path = "."

[queue]
parallel = {parallel}
"""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(feature): what a platform must have for the row to apply")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'parley.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=[ConsoleStage, SlackStage, DiscordStage], ids=lambda stage: stage.name)
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Each platform in turn; skips a row that is about something the platform does not have."""
    for marker in request.node.iter_markers("needs"):
        if marker.args[0] in request.param.lacks:
            pytest.skip(f"{request.param.name} has no {marker.args[0]}")
    async with request.param() as stage:
        yield stage


@pytest.fixture
def digging() -> Digging:
    return Digging()


@pytest.fixture
def opened(
    stage: Stage, engine: Engine, tmp_path: Path, digging: Digging
) -> Callable[..., AbstractAsyncContextManager[App]]:
    """Opens an app with the bot on the stage; opened again, it is the same bot after a restart."""

    @asynccontextmanager
    async def run(*, parallel: int = 4) -> AsyncIterator[App]:
        file = tmp_path / "parley.toml"
        file.write_text(SETTINGS.format(parallel=parallel) + stage.settings, encoding="utf-8")
        settings = load_settings(file, stage.environ)
        library = Library(settings, engine)
        async with SwitchableLLM.open(nullcontext(Unavailable("none"))) as llm:
            app = App(settings, library=library, llm=llm, engine=engine)
            app.desk._serving._assistant = cast("Assistant", ScriptedAssistant(app.feedback))
            app.desk.commands.add(digging.commands())
            await stage.start(app)
            try:
                yield app
            finally:
                await app.close()
                await stage.stop()

    return run
