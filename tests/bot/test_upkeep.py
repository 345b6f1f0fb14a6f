"""What is done by the clock, on a real library and a real database."""

import json
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from bot.app import App
from bot.upkeep import Upkeep
from feedback.records import Turn, Vote
from knowledge.errors import SourceError
from tests.adapters.conftest import OpenApp, opened
from tests.bot.fakes import FakePlatform

__all__ = ["opened"]

SCHEDULES = '[schedules]\ndigest_channel = "fake:C1"\nkeep_turns = 30\n'


@pytest.fixture
async def app(opened: OpenApp) -> AsyncIterator[App]:
    async with opened(web=SCHEDULES) as app:
        yield app


def turn(id_: str, question: str, *, days: int, user: str = "ann") -> Turn:
    return Turn(
        id=id_,
        platform="fake",
        conversation_id="C1",
        thread_id="t",
        user_id=user,
        question=question,
        answer="",
        mode="unknown",
        outcome="answered",
        sources=(),
        retrieved=(),
        model_id="m",
        prompt_id="p",
        started_at=datetime.now(UTC) - timedelta(days=days),
        retrieve_ms=1,
        first_text_ms=None,
        total_ms=2,
        audience=("fake:C1",),
    )


async def test_each_source_and_each_chore_has_its_time(app: App) -> None:
    assert [entry.name for entry in Upkeep(app).entries()] == ["read docs", "collect", "digest"]


async def test_a_source_is_read_again(app: App) -> None:
    (source,) = app.sources()
    upkeep = Upkeep(app)
    assert await upkeep.read("docs") == "nothing new"
    (source.path / "lunch.md").write_text("# Lunch\n\nAt noon.\n", encoding="utf-8")
    (source.path / "empty.pdf").write_bytes(b"")
    assert await upkeep.read("docs") == "1 added, 1 file not read"
    shutil.rmtree(source.path)
    with pytest.raises(SourceError, match="docs"):
        await upkeep.read("docs")


async def test_a_source_that_was_taken_out_of_the_file_is_not_read(app: App) -> None:
    text = app.settings.file.read_text(encoding="utf-8")
    app.settings.file.write_text(text.partition("[[sources]]")[0], encoding="utf-8")
    assert await Upkeep(app).read("docs") == "docs is no source any more"
    assert app.library.visible_to == {}


async def test_what_was_kept_long_enough_is_deleted(app: App) -> None:
    app.feedback.save_turn(turn("old", "Old?", days=31))
    app.feedback.save_turn(turn("new", "New?", days=29))
    app.feedback.save_vote(Vote(turn_id="old", user_id="bob", score=1))
    assert await Upkeep(app).collect() == "deleted 0 messages and 1 answer that were kept long enough"
    assert app.feedback.turn("old") is None
    assert app.feedback.turn("new") is not None


async def test_the_admins_hear_of_a_source_that_finds_less_than_before(app: App) -> None:
    (source,) = app.sources()
    questions = app.settings.file.parent / "questions.jsonl"
    lines = [
        {
            "id": path.stem,
            "question": path.read_text(encoding="utf-8"),
            "documents": [path.name],
            "fact": ["x"],
        }
        for path in source.path.iterdir()
    ]
    questions.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    file = app.settings.file
    file.write_text(f'{file.read_text(encoding="utf-8")}evaluation = "questions.jsonl"\n', encoding="utf-8")
    await app.sources.refresh()
    platform = FakePlatform()
    app.desk.join(platform)
    upkeep = Upkeep(app)
    assert await upkeep.evaluate() == f"docs: {len(lines)} of {len(lines)} questions find their documents"
    assert platform.told == []
    lines += [
        {"id": f"n{n}", "question": f"What {n}?", "documents": ["no.md"], "fact": ["x"]} for n in range(9)
    ]
    questions.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    await upkeep.evaluate()
    (told,) = platform.told
    assert f"the last time it was {len(lines) - 9} of {len(lines) - 9}" in told


async def test_the_week_is_summed_up_where_the_settings_say(app: App) -> None:
    platform = FakePlatform()
    app.desk.join(platform)
    app.feedback.save_turn(turn("t1", "Where is the key to the roof?", days=1))
    app.feedback.save_turn(turn("t2", "Where is the key to the roof", days=2, user="bob"))
    assert await Upkeep(app).digest() == "posted in fake:C1"
    ((place, told),) = platform.posted
    assert place == "C1"
    assert "2 questions" in told
    assert "Where is the key to the roof" in told
