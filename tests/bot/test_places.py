"""What was set for a conversation holds there, at once."""

import pytest
import sqlalchemy as sa

from bot import tables
from bot.places import Places, PlaceSettings


@pytest.fixture
def places(engine: sa.Engine) -> Places:
    return Places(engine)


def test_where_nobody_set_anything_the_defaults_hold(places: Places) -> None:
    assert places.get("test", "C1") == PlaceSettings()
    assert PlaceSettings().answer == "thread"


def test_settings_hold_in_their_place_only(places: Places) -> None:
    settings = PlaceSettings(
        enabled=False,
        answer="question",
        persona="You are terse.\0",
        sources=("handbook", "wiki"),
        language="German",
    )
    places.put("test", "C1", settings, by="U1")
    found = places.get("test", "C1")
    assert found == PlaceSettings(
        enabled=False,
        answer="question",
        persona="You are terse.\ufffd",
        sources=("handbook", "wiki"),
        language="German",
    )
    assert places.get("test", "C2") == places.get("other", "C1") == PlaceSettings()


def test_the_last_change_holds_in_every_process(places: Places, engine: sa.Engine) -> None:
    places.put("test", "C1", PlaceSettings(persona="first", sources=("wiki",)), by="U1")
    Places(engine).put("test", "C1", PlaceSettings(answer="mention"), by="U2")
    assert places.get("test", "C1") == PlaceSettings(answer="mention")
    with engine.connect() as connection:
        assert connection.execute(sa.select(tables.place_settings.c.changed_by)).scalar_one() == "U2"
