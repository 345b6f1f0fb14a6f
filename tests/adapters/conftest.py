"""A real app on three documents, with the shipped embedding model and whatever language model a test gives it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from bot.app import App, open_app
from bot.config import load_settings
from tests.cli.conftest import DOCUMENTS

OpenApp = Callable[..., AbstractAsyncContextManager[App]]


@pytest.fixture
def opened(tmp_path: Path) -> OpenApp:
    """Opens an indexed app; `model` is a GGUF file, none means quotes only."""
    documents = tmp_path / "docs"
    documents.mkdir()
    for name, text in DOCUMENTS.items():
        (documents / name).write_text(text, encoding="utf-8")

    @asynccontextmanager
    async def run(*, model: Path | None = None, web: str = "", **environ: str) -> AsyncIterator[App]:
        llm = f'model = "{model}"\nmax_tokens = 48' if model else "enabled = false"
        file = tmp_path / "parley.toml"
        file.write_text(f'[llm]\n{llm}\n{web}\n[[sources]]\nname = "docs"\npath = "docs"\n', encoding="utf-8")
        async with open_app(load_settings(file, environ)) as app:
            await app.reindex()
            yield app

    return run
