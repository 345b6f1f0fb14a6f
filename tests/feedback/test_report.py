"""The figures are those of the turns, add up, and name nobody."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from adapters import render
from feedback import report
from feedback.errors import StoreError
from feedback.metrics import Proportion
from feedback.records import REASONS, Turn, Vote
from feedback.report import DIRECT, EARLIER, Figures, Summary, summary
from feedback.store import FeedbackStore, metadata
from tests.feedback.conftest import START, make_turn

HERE = ("slack:C1",)
END = START + timedelta(days=30)


def asked(n: int, **changes: object) -> Turn:
    values = {"platform": "slack", "conversation_id": "C1", "audience": HERE}
    return make_turn(n, **values | changes)


def test_the_words_are_those_that_people_choose_from() -> None:
    assert set(render.REASONS) == set(REASONS)


def test_figures(store: FeedbackStore) -> None:
    for n, how in enumerate(
        [
            {},
            {"mode": "quotes"},
            {"mode": "unknown"},
            {"outcome": "failed", "mode": "unknown"},
            {"outcome": "cancelled"},
        ]
    ):
        store.save_turn(asked(n, **how))
    for user, reason in (("a", "wrong"), ("b", "wrong"), ("c", ""), ("d", "<b>Ann lied</b>")):
        store.save_vote(Vote(turn_id="t0000", user_id=user, score=-1, reason=reason, comment="Ann lied"))
    store.save_vote(Vote(turn_id="t0001", user_id="a", score=1, reason="wrong"))
    found = summary(store, since=START, until=END)
    assert found.total == Figures(
        answered=2,
        unknown=1,
        failed=1,
        cancelled=1,
        up=1,
        down=4,
        reasons={"wrong": 2, "none given": 1, "in their own words": 1},
    )
    assert (found.total.asked, found.total.not_known, found.total.liked) == (
        5,
        Proportion(1, 3),
        Proportion(1, 5),
    )
    assert found.places == {"slack:C1": found.total}
    assert "Ann" not in report.as_markdown(found) + json.dumps(report.as_json(found))


def test_what_is_private_is_counted_and_not_named(store: FeedbackStore) -> None:
    store.save_turn(asked(0))
    store.save_turn(asked(1, audience=(), conversation_id="D_ANN"))
    store.save_turn(asked(2, audience=()))  # a reply in the channel that its asker alone saw
    store.save_turn(asked(3, audience=(), platform="console", conversation_id="ann's"))
    store.save_turn(asked(4, audience=None, conversation_id="D_BOB"))
    found = summary(store, since=START, until=END)
    assert {place: one.asked for place, one in found.places.items()} == {DIRECT: 3, "slack:C1": 1, EARLIER: 1}
    shown = report.as_markdown(found) + json.dumps(report.as_json(found))
    assert not [name for name in ("D_ANN", "ann's", "D_BOB") if name in shown]


def test_the_time_begins_with_its_first_moment_and_ends_before_its_last(store: FeedbackStore) -> None:
    for n in range(4):
        store.save_turn(asked(n))
    found = summary(store, since=START + timedelta(minutes=1), until=START + timedelta(minutes=3))
    assert found.total.asked == 2


def test_weeks_are_those_of_iso_8601_also_over_new_year(store: FeedbackStore) -> None:
    sunday = datetime(2026, 12, 27, 23, 59, tzinfo=UTC)
    monday = datetime(2027, 1, 4, tzinfo=UTC)
    for n, at in enumerate((sunday, sunday + timedelta(minutes=1), monday - timedelta(minutes=1), monday)):
        store.save_turn(asked(n, started_at=at))
    found = summary(store, since=sunday - timedelta(days=40), until=monday + timedelta(days=1))
    assert {week: one.asked for week, one in found.weeks.items()} == {
        "2026-W52": 1,
        "2026-W53": 2,
        "2027-W01": 1,
    }


stored = st.lists(
    st.tuples(
        st.integers(0, 60 * 24 * 21),
        st.sampled_from(["C1", "C2", "D1"]),
        st.sampled_from([None, (), HERE]),
        st.sampled_from(["answered", "failed", "cancelled"]),
        st.sampled_from(["written", "quotes", "unknown"]),
        st.lists(
            st.tuples(st.sampled_from([1, -1]), st.sampled_from(["", "wrong", "other", "mine"])), max_size=3
        ),
    ),
    max_size=12,
)


@given(stored, st.integers(0, 60 * 24 * 21), st.integers(0, 60 * 24 * 21))
def test_places_and_weeks_add_up_to_the_total(turns: list[tuple], begin: int, minutes: int) -> None:  # type: ignore[type-arg]
    engine = sa.create_engine("sqlite://")
    try:
        metadata.create_all(engine)
        store = FeedbackStore(engine)
        for n, (minute, place, audience, outcome, mode, cast) in enumerate(turns):
            at = START + timedelta(minutes=minute)
            store.save_turn(
                asked(n, conversation_id=place, audience=audience, outcome=outcome, mode=mode, started_at=at)
            )
            for user, (score, reason) in enumerate(cast):
                store.save_vote(Vote(turn_id=f"t{n:04}", user_id=str(user), score=score, reason=reason))
        since = START + timedelta(minutes=begin)
        until = since + timedelta(minutes=minutes)
        found = summary(store, since=since, until=until)
        rated = [one for one in store.iterate() if since <= one.turn.started_at < until]
    finally:
        engine.dispose()
    given_votes = [vote.score for one in rated for vote in one.votes]
    assert found.total.asked == len(rated)
    assert (found.total.up, found.total.down) == (given_votes.count(1), given_votes.count(-1))
    for parts in (found.places, found.weeks):
        for name in ("answered", "unknown", "failed", "cancelled", "up", "down"):
            assert sum(getattr(one, name) for one in parts.values()) == getattr(found.total, name)
        reasons = sum((Counter(one.reasons) for one in parts.values()), Counter())
        assert reasons == Counter(found.total.reasons)
    json.dumps(report.as_json(found))
    assert report.as_markdown(found)


def figures(**counts: int) -> Figures:
    return Figures(reasons={"wrong": counts.get("down", 0)}, **counts)


def test_markdown_has_counts_beside_every_rate() -> None:
    found = Summary(
        since=START,
        until=START + timedelta(days=10),
        total=figures(answered=80, unknown=20, failed=2, up=30, down=10),
        places={
            "slack:C1": figures(answered=78, unknown=18, up=3, down=1),
            DIRECT: figures(answered=2, unknown=2),
        },
        weeks={"2026-W09": figures(answered=50), "2026-W10": figures(answered=30, unknown=20)},
    )
    assert report.as_markdown(found).splitlines() == [
        "**Answers from 1 March to 11 March 2026**",
        "",
        "- 102 questions, 80 answered",
        "- not known: 20 of 100 (20 %, 95 % interval 13 to 29 %)",
        "- 👍 30 of 40 votes (75 %, 95 % interval 60 to 86 %)",
        "- 👎 10: wrong 10",
        "- besides: 2 failed",
        "",
        "**By place**",
        "",
        "- `slack:C1`: 96 questions, 18 of 96 (19 %) not known, 👍 3 of 4",
        "- direct messages: 4 questions, 2 of 4 not known",
        "",
        "**By week**",
        "",
        "- 2026-W09: 50 questions, 0 of 50 (0 %) not known",
        "- 2026-W10: 50 questions, 20 of 50 (40 %) not known",
    ]


def test_many_places_and_weeks_do_not_fill_a_phone() -> None:
    places = {f"slack:C{n}": figures(answered=1) for n in range(25)}
    weeks = {f"2026-W{n:02}": figures(answered=1) for n in range(1, 31)}
    shown = report.as_markdown(
        Summary(since=START, until=END, total=figures(answered=30), places=places, weeks=weeks)
    )
    assert "- and 15 more" in shown
    assert "- 20 earlier, not shown" in shown
    assert "2026-W30" in shown
    assert len(shown.splitlines()) < 40
    assert "no votes" in shown


def test_nothing_asked_is_a_sentence(store: FeedbackStore) -> None:
    found = summary(store, since=START, until=START + timedelta(days=7))
    assert report.as_markdown(found) == "Nothing was asked from 1 March to 8 March 2026."
    assert report.as_json(found)["total"]["liked"] == {
        "count": 0,
        "total": 0,
        "value": None,
        "low": 0.0,
        "high": 1.0,
    }


def test_a_database_without_tables_is_a_sentence() -> None:
    engine = sa.create_engine("sqlite://")
    with pytest.raises(StoreError, match="parley doctor"):
        summary(FeedbackStore(engine), since=START, until=END)
    engine.dispose()
