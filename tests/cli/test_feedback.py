"""`parley feedback summary`, as a person and a program use it."""

from datetime import timedelta
from pathlib import Path

import pytest

from bot.config import load_settings
from bot.database import migrate, open_database
from feedback.records import Vote, now
from feedback.store import FeedbackStore
from tests.cli.conftest import Parley
from tests.feedback.conftest import make_turn


@pytest.fixture
def answers(folder: Path) -> None:
    """One in a channel, disliked, and one in private; one a month ago."""
    assert (folder / "parley.toml").exists()
    engine = open_database(load_settings().database_url)
    migrate(engine)
    store = FeedbackStore(engine)
    for n, (conversation, audience, days) in enumerate(
        [("C1", ("slack:C1",), 1), ("D1", (), 1), ("C2", ("slack:C2",), 30)]
    ):
        at = now() - timedelta(days=days)
        turn = make_turn(n, platform="slack", conversation_id=conversation, audience=audience, started_at=at)
        store.save_turn(turn)
    store.save_vote(Vote(turn_id="t0000", user_id="bob", score=-1, reason="wrong"))
    engine.dispose()


@pytest.mark.usefixtures("answers")
def test_summary_counts_by_place_and_names_nothing_private(parley: Parley) -> None:
    shown = parley("feedback", "summary").out
    assert "- 2 questions, 2 answered" in shown
    assert "- 👎 1: wrong 1" in shown
    assert "- `slack:C1`: 1 question, 0 of 1 not known, 👍 0 of 1" in shown
    assert "- direct messages: 1 question" in shown
    assert "D1" not in shown
    assert "slack:C2" in parley("feedback", "summary", "--days", "60").out


@pytest.mark.usefixtures("answers")
def test_summary_as_json(parley: Parley) -> None:
    found = parley("feedback", "summary", "--json").json
    assert set(found) == {"since", "until", "total", "places", "weeks"}
    assert (found["total"]["asked"], found["total"]["down"], found["total"]["reasons"]) == (
        2,
        1,
        {"wrong": 1},
    )
    assert [one["place"] for one in found["places"]] == ["direct messages", "slack:C1"]
    assert found["total"]["liked"]["count"] == 0


def test_nothing_asked_is_a_sentence(parley: Parley, folder: Path) -> None:
    assert parley("feedback", "summary").out.startswith("Nothing was asked from ")
    assert parley("feedback", "summary", "--days", "0").code == 2
