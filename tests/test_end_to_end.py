"""From documents to exported feedback through the console, with a real model process.

The model is tiny, random and writes nonsense, which is the point: whatever it writes, what is shown stands in the
documents.
"""

import asyncio
import io
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from rich.console import Console

from adapters.console import ConsoleAdapter
from bot.app import App
from bot.llm.local import LocalLLM
from feedback.export import write_jsonl
from tests.adapters.conftest import OpenApp, opened
from tests.llm.conftest import tiny

__all__ = ["opened", "tiny"]


def adapter(app: App, *, terminal: bool = False) -> tuple[ConsoleAdapter, io.StringIO]:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=100, highlight=False)
    return ConsoleAdapter(app, console=console), screen


async def test_ask_vote_and_export(opened: OpenApp, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "How many days of paid leave do full-time employees get?\n/good\nand part-time employees?\n/quit\n"
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO(script))
    async with opened(model=tiny) as app:
        await app.llm.ready()
        console, screen = adapter(app)
        await console.run()
        assert "28 days" in screen.getvalue()
        assert "in proportion to their hours" in screen.getvalue()
        exported = io.StringIO()
        assert write_jsonl(app.feedback.iterate(), exported) == 2
        first, second = [json.loads(line) for line in exported.getvalue().splitlines()]
        assert (first["mode"], first["votes"][0]["score"]) == ("quotes", 1)
        assert first["thread_id"] == second["thread_id"]


async def test_a_model_killed_in_mid_answer_costs_nobody_an_answer(opened: OpenApp, tiny: Path) -> None:
    async with opened(model=tiny) as app:
        llm = app.llm._held.llm
        assert isinstance(llm, LocalLLM)
        await llm.ready()
        console, _ = adapter(app)
        first = llm.process.pid
        assert first
        asking = asyncio.create_task(console.ask("How much may a hotel room in Vienna cost per night?"))
        await asyncio.sleep(0.3)
        os.kill(first, signal.SIGKILL)
        final = await asking
        assert final is not None
        assert "148 EUR" in final.answer
        again = await console.ask("Within how many days are receipts handed in?")
        assert again is not None
        assert "30 days" in again.answer
        await llm.ready()
        assert llm.process.pid != first


async def test_a_missing_model_file_is_said_and_quotes_serve(opened: OpenApp, tmp_path: Path) -> None:
    async with opened(model=tmp_path / "no.gguf") as app:
        console, screen = adapter(app)
        final = await console.ask("How much may a hotel room in Vienna cost per night?")
        assert final is not None
        assert final.mode == "quotes"
        assert "no.gguf" in final.note
        assert "no.gguf" in screen.getvalue().replace("\n", "")


async def test_stopping_an_answer_does_not_stop_the_chat(opened: OpenApp) -> None:
    async with opened() as app:
        console, screen = adapter(app, terminal=True)
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
        assert await console.ask("How much may a hotel room in Vienna cost per night?") is None
        assert "Stopped." in screen.getvalue()
        final = await console.ask("How much may a hotel room in Vienna cost per night?")
        assert final is not None
        assert [turn.turn.outcome for turn in app.feedback.turns()] == ["answered", "cancelled"]
