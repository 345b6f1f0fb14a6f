"""All the parts together: what admins do in chat, on a real library and a real database."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.app import App
from bot.messages import IncomingMessage
from bot.notices import Notice
from tests.adapters.conftest import OpenApp, opened

__all__ = ["opened"]

MESSAGE = IncomingMessage(
    platform="console", event_id="e", conversation_id="terminal:ann", thread_id="t", user_id="ann", text=""
)


@pytest.fixture
async def app(opened: OpenApp) -> AsyncIterator[App]:
    async with opened() as app:
        yield app


async def give(app: App, text: str) -> Notice:
    return await app.desk.run_command(replace(MESSAGE, text=text))


async def test_status_says_how_it_goes(app: App) -> None:
    told = (await give(app, "status")).markdown
    for part in ("- model:", "- questions: 0 being answered", "documents", "Parley 0", "embedding model"):
        assert part in told


async def test_a_paused_source_is_not_read_by_the_clock(app: App) -> None:
    (name,) = app.sources.names
    await give(app, f"sources pause {name}")
    assert "paused" in (await give(app, "sources")).markdown
    assert f"read {name}" not in (await give(app, "jobs")).markdown
    await give(app, f"sources resume {name}")
    assert f"read {name}" in (await give(app, "jobs")).markdown


async def test_a_change_is_taken_back(app: App) -> None:
    (source,) = app.sources()
    more = source.path / "lunch.md"
    more.write_text("# Lunch\n\nLunch is at noon.\n", encoding="utf-8")
    assert "1 added" in (await give(app, "reindex go")).markdown
    asked = await give(app, "rollback")
    assert "1 go" in asked.markdown
    assert app.library.search("When is lunch?", sources=frozenset(app.sources.names), top_k=1)
    await give(app, asked.actions[0].command)
    hits = app.library.search("When is lunch?", sources=frozenset(app.sources.names), top_k=9)
    assert "Lunch" not in {hit.chunk.title for hit in hits}
    assert app.sources()[0].paused


async def test_a_removed_source_is_found_no_more(app: App) -> None:
    (name,) = app.sources.names
    asked = await give(app, f"sources remove {name}")
    await give(app, asked.actions[0].command)
    assert app.library.visible_to == {}
    assert "no sources yet" in (await give(app, "sources")).markdown


async def test_what_admins_do_is_written_down_and_what_others_try(app: App) -> None:
    await give(app, "feedback summary 30d")
    call = app.desk.commands.parse("reindex", explicit=True)
    assert call is not None
    assert not isinstance(call, Exception)
    refused = await app.desk.commands.run(call, replace(MESSAGE, platform="slack"), is_admin=False)
    assert "for admins" in refused.markdown
    entries = app.audit.entries(limit=10)
    assert [(one.platform, one.command, one.outcome) for one in entries] == [
        ("slack", "reindex", "refused"),
        ("console", "feedback summary 30d", "done"),
    ]


async def test_forgetting_asks_and_then_deletes(app: App) -> None:
    told = (await give(app, "forget slack:U42")).markdown
    assert "Nothing is stored about this person" in told
