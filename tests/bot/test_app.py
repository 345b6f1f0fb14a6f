import asyncio
import threading

import pytest

from bot.app import App
from knowledge.planning import Progress, SyncReport
from tests.adapters.conftest import OpenApp, opened

__all__ = ["opened"]


class SlowLibrary:
    """A sync that goes on until a tick raises."""

    def __init__(self) -> None:
        self.began, self.ended = threading.Event(), threading.Event()

    def sync(self, *, only: str | None, dry_run: bool, on_progress: object) -> SyncReport:
        assert callable(on_progress)
        try:
            while True:
                self.began.set()
                on_progress(Progress("index", 1, 2, "a.md"))
        finally:
            self.ended.set()


async def test_cancelling_a_reindex_ends_its_thread(opened: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as app:
        library = SlowLibrary()
        monkeypatch.setattr(app, "library", library)
        task = asyncio.create_task(App.reindex(app))
        await asyncio.to_thread(library.began.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(library.ended.wait, 5)
