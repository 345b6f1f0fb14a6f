"""Turns and votes go in and come out again, in order."""

import threading
from dataclasses import asdict, replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import get_args

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from feedback.errors import StoreError, UnknownTurnError
from feedback.records import Outcome, Score, Vote
from feedback.store import FeedbackStore, metadata, turns
from tests.feedback.conftest import START, make_turn


def test_turn_round_trip(store: FeedbackStore) -> None:
    turn = make_turn(started_at=START.astimezone(timezone(timedelta(hours=5))), error="the model died")
    store.save_turn(turn)
    found = store.turn(turn.id)
    assert found == turn
    assert found is not None
    assert found.started_at.utcoffset() == timedelta(0)
    assert store.turn("other") is None


@pytest.mark.parametrize("audience", [None, (), ("slack:C42", "discord:ä role"), ("a\0",)])
def test_who_could_see_a_turn_is_kept(store: FeedbackStore, audience: tuple[str, ...] | None) -> None:
    store.save_turn(make_turn(audience=audience))
    found = store.turn("t0000")
    assert found is not None
    assert found.audience == (("a\ufffd",) if audience == ("a\0",) else audience)


def test_unstorable_characters_are_replaced(store: FeedbackStore) -> None:
    source = replace(make_turn().sources[0], text="a\0b")
    store.save_turn(make_turn(question="x\0y\ud800z", sources=(source,), dropped=("\0",)))
    found = store.turn("t0000")
    assert found is not None
    assert (found.question, found.sources[0].text, found.dropped) == (
        "x\ufffdy\ufffdz",
        "a\ufffdb",
        ("\ufffd",),
    )


@pytest.mark.parametrize("first", get_args(Outcome))
@pytest.mark.parametrize("second", get_args(Outcome))
def test_a_later_attempt_replaces_what_is_no_answer(
    store: FeedbackStore, first: Outcome, second: Outcome
) -> None:
    store.save_turn(make_turn(outcome=first, answer="first"))
    store.save_turn(make_turn(outcome=second, answer="second", started_at=START + timedelta(hours=1)))
    (found,) = store.turns()
    stays = first == "answered" and second != "answered"
    assert (found.turn.answer, found.turn.outcome) == (("first", first) if stays else ("second", second))


def test_votes_stay_when_the_answer_is_stored_again(store: FeedbackStore) -> None:
    store.save_turn(make_turn())
    store.save_vote(Vote(turn_id="t0000", user_id="ann", score=1))
    store.save_turn(make_turn())
    assert len(store.votes("t0000")) == 1


def test_a_turn_from_before_sources_had_names_is_read(store: FeedbackStore, engine: sa.Engine) -> None:
    store.save_turn(make_turn(sources=(replace(make_turn().sources[0], source="handbook"),)))
    found = store.turn("t0000")
    assert found is not None
    assert found.sources[0].source == "handbook"
    old = [{key: value for key, value in asdict(found.sources[0]).items() if key != "source"}]
    with engine.begin() as connection:
        connection.execute(sa.update(turns).values(sources=old))
    found = store.turn("t0000")
    assert found is not None
    assert found.sources[0].source == ""


def test_a_vote_can_be_taken_back(store: FeedbackStore) -> None:
    store.save_turn(make_turn())
    store.save_vote(Vote(turn_id="t0000", user_id="ann", score=1))
    store.save_vote(Vote(turn_id="t0000", user_id="bob", score=-1))
    assert store.withdraw_vote("t0000", "ann")
    assert not store.withdraw_vote("t0000", "ann")
    assert [vote.user_id for vote in store.votes("t0000")] == ["bob"]


def test_naive_times_are_refused(store: FeedbackStore) -> None:
    with pytest.raises(StoreError):
        store.save_turn(make_turn(started_at=START.replace(tzinfo=None)))


def test_vote_needs_its_turn(store: FeedbackStore) -> None:
    with pytest.raises(UnknownTurnError, match="ask again"):
        store.save_vote(Vote(turn_id="gone", user_id="ann", score=1))
    assert store.votes("gone") == []


scores = st.sampled_from([1, -1])


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), scores, st.text(st.characters(codec="ascii", exclude_characters="\0"))
        )
    )
)
def test_last_vote_wins(presses: list[tuple[str, Score, str]]) -> None:
    engine = sa.create_engine("sqlite://")
    try:
        metadata.create_all(engine)
        store = FeedbackStore(engine)
        store.save_turn(make_turn())
        last: dict[str, Vote] = {}
        for n, (user, score, reason) in enumerate(presses):
            at = START + timedelta(seconds=n)
            last[user] = Vote(turn_id="t0000", user_id=user, score=score, reason=reason, created_at=at)
            store.save_vote(last[user])
        assert store.votes("t0000") == sorted(last.values(), key=lambda vote: vote.created_at)
        counts = store.counts()
        assert counts.up == sum(vote.score == 1 for vote in last.values())
        assert counts.up + counts.down == len(last)
        assert counts.voted == bool(last)
    finally:
        engine.dispose()


def test_votes_at_once_leave_one(store: FeedbackStore) -> None:
    store.save_turn(make_turn())
    errors: list[Exception] = []

    def press(score: Score) -> None:
        try:
            for _ in range(20):
                store.save_vote(Vote(turn_id="t0000", user_id="ann", score=score))
        except Exception as error:  # noqa: BLE001 - reported below
            errors.append(error)

    threads = [threading.Thread(target=press, args=(score,)) for score in (1, -1, 1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(store.votes("t0000")) == 1


def test_history_is_of_one_thread_and_oldest_first(store: FeedbackStore) -> None:
    for n in range(5):
        store.save_turn(make_turn(n))
    store.save_turn(make_turn(5, outcome="failed"))
    store.save_turn(make_turn(6, thread_id="other"))
    store.save_turn(make_turn(7, conversation_id="other"))
    store.save_turn(make_turn(8, platform="other"))
    found = store.history("console", "room", "thread", limit=3)
    assert [turn.id for turn in found] == ["t0002", "t0003", "t0004"]
    assert store.history("console", "room", "thread", limit=0) == []


def test_turns_are_filtered_and_ordered(store: FeedbackStore) -> None:
    for n in range(4):
        store.save_turn(make_turn(n, started_at=START))  # the same moment: the id decides
    down = Vote(turn_id="t0001", user_id="bob", score=-1, reason="wrong")
    up = Vote(turn_id="t0001", user_id="ann", score=1)
    store.save_vote(down)
    store.save_vote(up)
    assert [one.turn.id for one in store.turns()] == ["t0003", "t0002", "t0001", "t0000"]
    assert [one.turn.id for one in store.turns(newest_first=False, limit=2)] == ["t0000", "t0001"]
    assert [one.turn.id for one in store.turns(score=-1)] == ["t0001"]
    assert store.turns(score=1)[0].votes == (down, up)
    assert store.turns(since=START + timedelta(seconds=1)) == []


@pytest.mark.parametrize("newest_first", [True, False])
def test_pages_lose_and_repeat_nothing(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch, *, newest_first: bool
) -> None:
    monkeypatch.setattr("feedback.store._PAGE", 3)
    for n in range(9):
        store.save_turn(make_turn(n, started_at=START + timedelta(minutes=n // 4)))
    found = [one.turn.id for one in store.iterate(newest_first=newest_first)]
    assert found == sorted(found, reverse=newest_first)
    assert len(set(found)) == len(found) == 9


def test_counts(store: FeedbackStore) -> None:
    store.save_turn(make_turn(0))
    store.save_turn(make_turn(1, mode="unknown"))
    store.save_turn(make_turn(2, outcome="failed"))
    store.save_vote(Vote(turn_id="t0000", user_id="ann", score=1))
    store.save_vote(Vote(turn_id="t0000", user_id="bob", score=-1))
    counts = store.counts()
    assert (counts.turns, counts.up, counts.down, counts.voted) == (3, 1, 1, 1)
    assert counts.by_outcome == {"answered": 2, "failed": 1}
    assert counts.by_mode == {"written": 1, "unknown": 1}
    assert store.counts(since=START + timedelta(minutes=1)).up == 0


def test_old_turns_expire_with_their_votes(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.store._BATCH", 3)
    for n in range(9):
        store.save_turn(make_turn(n))
        store.save_vote(Vote(turn_id=f"t{n:04}", user_id="bob", score=1))
    assert store.expire(START) == 0
    assert store.expire(START + timedelta(minutes=6)) == 6  # the last batch finds nothing
    assert [one.turn.id for one in store.turns(newest_first=False)] == ["t0006", "t0007", "t0008"]
    assert [store.votes(f"t{n:04}") != [] for n in (0, 5, 6, 8)] == [False, False, True, True]
    assert store.expire(START + timedelta(days=1)) == 3
    assert (store.counts().turns, store.counts().up) == (0, 0)


def test_answers_are_stored_while_old_ones_expire(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedback.store._BATCH", 1)
    for n in range(3):
        store.save_turn(make_turn(n))
    new = iter(range(10, 20))
    # Between two batches, somebody else can write.
    monkeypatch.setattr(
        "feedback.store.time.sleep",
        lambda _: store.save_turn(make_turn(next(new), started_at=START + timedelta(days=9))),
    )
    assert store.expire(START + timedelta(days=1)) == 3
    assert [one.turn.id for one in store.turns(newest_first=False)] == ["t0010", "t0011", "t0012"]


def test_no_library_error_escapes(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    store = FeedbackStore(engine)
    calls = (
        lambda: store.save_turn(make_turn()),
        lambda: store.turn("x"),
        lambda: store.save_vote(Vote(turn_id="x", user_id="y", score=1)),
        lambda: store.withdraw_vote("x", "y"),
        lambda: store.votes("x"),
        lambda: store.history("a", "b", "c", limit=1),
        store.turns,
        store.counts,
        lambda: store.expire(START),
    )
    for call in calls:
        with pytest.raises(StoreError, match="parley doctor"):
            call()
    engine.dispose()
