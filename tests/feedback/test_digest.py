"""A digest shows a channel nothing that was not open to everybody in it."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from feedback import digest as digests
from feedback.digest import Cited, Digest, digest
from feedback.records import SourceRecord, Turn, Vote
from feedback.similar import Group
from feedback.store import FeedbackStore, metadata
from tests.feedback.conftest import START, make_turn

END = START + timedelta(days=7)
TEAM = frozenset({"everyone", "slack:T1"})


def cite(title: str, *, source: str = "handbook", uri: str = "") -> SourceRecord:
    return SourceRecord(1, "c1", title, "", uri or f"{title}.md#part", 0.5, "text", source)


def unknown(n: int, question: str, **changes: Any) -> Turn:
    return make_turn(
        n, question=question, mode="unknown", sources=(), **{"audience": ("slack:C1",)} | changes
    )


def in_channel(
    store: FeedbackStore, channel: str = "slack:C1", *, sources: frozenset[str] = frozenset({"handbook"})
) -> Digest:
    return digest(store, since=START, until=END, principals=TEAM | {channel}, sources=sources)


def everything(found: Digest) -> str:
    return digests.as_markdown(found) + json.dumps(digests.as_json(found), ensure_ascii=False)


def test_a_week_of_a_channel(store: FeedbackStore) -> None:
    for n in range(3):
        passages = (cite("Leave"), cite("Leave", uri="Leave.md#other"), cite("Travel" if n else "Leave"))
        store.save_turn(make_turn(n, audience=("slack:C1",), sources=passages))
    store.save_vote(Vote(turn_id="t0000", user_id="bob", score=-1, reason="outdated"))
    store.save_vote(Vote(turn_id="t0001", user_id="bob", score=1))
    store.save_turn(unknown(3, "Is there a gym discount?"))
    store.save_turn(unknown(4, "is there a discount for the gym"))
    store.save_turn(unknown(5, "May I bring `dogs`\n<!channel> *now*?"))
    store.save_turn(make_turn(6, outcome="failed", audience=("slack:C1",)))
    store.save_turn(unknown(7, "too early", started_at=START - timedelta(seconds=1)))
    store.save_turn(unknown(8, "too late", started_at=END))
    found = in_channel(store)
    assert found.cited == (Cited("Leave", 3), Cited("Travel", 2))
    assert found.unanswered[0] == Group("Is there a gym discount?", 2)
    assert digests.as_markdown(found).splitlines() == [
        "**What was asked from 1 March to 8 March 2026**",
        "",
        "- 7 questions, 3 answered",
        "- not known: 3 of 6",
        "- besides: 1 failed",
        "- 👍 1 of 2 votes",
        "- 👎 1: outdated 1",
        "",
        "**Documents cited most**",
        "",
        "- `Leave`: 3 answers",
        "- `Travel`: 2 answers",
        "",
        "**What the documents do not say**",
        "",
        "- `Is there a gym discount?`, 2 times",
        "- `May I bring 'dogs' <!channel> *now*?`",
    ]


def test_members_of_the_team_do_not_read_each_others_channels(store: FeedbackStore) -> None:
    """`everyone` and the workspace are principals of both channels, and say nothing about who reads them."""
    store.save_turn(unknown(0, "How is the merger going?", audience=("slack:C_BOARD",)))
    store.save_turn(make_turn(1, audience=("slack:C_BOARD",), sources=(cite("Layoffs"),)))
    found = in_channel(store)
    assert (found.unanswered, found.cited, found.unanswered_elsewhere) == ((), (), 1)
    assert digests.as_markdown(found).splitlines()[-1] == "- 1 asked in private or in other places"
    assert in_channel(store, "slack:C_BOARD").unanswered == (Group("How is the merger going?", 1),)


def test_what_was_asked_directly_or_before_it_was_kept_where_is_only_counted(store: FeedbackStore) -> None:
    store.save_turn(unknown(0, "Am I pregnant?", audience=()))
    store.save_turn(unknown(1, "Am I fired?", audience=None))
    store.save_turn(unknown(2, "Any cake?"))
    store.save_turn(make_turn(3, audience=(), sources=(cite("Parental leave"),)))
    found = in_channel(store)
    assert (found.total.unknown, found.unanswered_elsewhere) == (3, 2)
    assert not [text for text in ("pregnant", "fired", "Parental") if text in everything(found)]
    assert digests.as_markdown(found).endswith("- `Any cake?`\n- and 2 asked in private or in other places")


def test_a_place_open_to_the_team_is_shown_to_the_team(store: FeedbackStore) -> None:
    store.save_turn(unknown(0, "Any cake?", audience=("slack:C9", "slack:T1")))
    assert in_channel(store).unanswered == (Group("Any cake?", 1),)
    outsiders = digest(store, since=START, until=END, principals={"slack:C1"}, sources=set())
    assert (outsiders.unanswered, outsiders.unanswered_elsewhere) == ((), 1)


def test_a_title_needs_the_source_as_well(store: FeedbackStore) -> None:
    passages = (cite("Pay", source="people"), cite("upload.pdf", source=""), cite("Leave"))
    store.save_turn(make_turn(audience=("slack:C1",), sources=passages))
    assert in_channel(store).cited == (Cited("Leave", 1),)
    assert in_channel(store, sources=frozenset()).cited == ()


def test_no_more_than_five_of_each(store: FeedbackStore) -> None:
    for n in range(8):
        store.save_turn(unknown(n, f"What is error {n}?"))
        store.save_turn(make_turn(100 + n, audience=("slack:C1",), sources=(cite(f"T{n}"),)))
    found = in_channel(store)
    assert (len(found.unanswered), found.unanswered_more, len(found.cited)) == (5, 3, 5)
    assert "- and 3 more" in digests.as_markdown(found)


def test_long_questions_are_cut_and_an_empty_week_is_a_sentence(store: FeedbackStore) -> None:
    assert digests.as_markdown(in_channel(store)) == "Nothing was asked from 1 March to 8 March 2026."
    store.save_turn(unknown(0, "why " * 200))
    assert max(map(len, digests.as_markdown(in_channel(store)).splitlines())) < 200


principals = st.sampled_from(["everyone", "slack:T1", "slack:C1", "slack:C2", "slack:U1"])
asked = st.lists(
    st.tuples(
        st.none() | st.lists(principals, max_size=3, unique=True).map(tuple),
        st.booleans(),
        st.sampled_from(["answered", "answered", "failed"]),
        st.sampled_from(["handbook", "people", ""]),
    ),
    max_size=12,
)


@given(asked, st.frozensets(principals), st.frozensets(st.sampled_from(["handbook", "people"])))
def test_texts_and_titles_are_those_that_the_channel_could_see(
    turns: list[tuple[tuple[str, ...] | None, bool, Any, str]], here: frozenset[str], sources: frozenset[str]
) -> None:
    engine = sa.create_engine("sqlite://")
    try:
        metadata.create_all(engine)
        store = FeedbackStore(engine)
        for n, (audience, is_unknown, outcome, source) in enumerate(turns):
            turn = make_turn(
                n, question=f"Is it <q{n}>?", answer=f"<a{n}>", outcome=outcome, audience=audience
            )
            turn = replace(turn, user_id=f"<u{n}>", conversation_id=f"<c{n}>")
            passages = (cite(f"<t{n}>", source=source),)
            store.save_turn(
                replace(turn, mode="unknown", sources=()) if is_unknown else replace(turn, sources=passages)
            )
            store.save_vote(
                Vote(turn_id=turn.id, user_id=f"<v{n}>", score=-1, reason=f"<r{n}>", comment=f"<w{n}>")
            )
        found = digest(store, since=START, until=END, principals=here, sources=sources)
    finally:
        engine.dispose()
    shown = everything(found)
    could_be_shown = 0
    for n, (audience, is_unknown, outcome, source) in enumerate(turns):
        is_open = bool(audience) and not here.isdisjoint(audience or ())
        if not is_open:
            assert f"<q{n}>" not in shown
        if not (is_open and source in sources):
            assert f"<t{n}>" not in shown
        assert not [mark for mark in "aucvrw" if f"<{mark}{n}>" in shown]
        could_be_shown += is_open and is_unknown and outcome == "answered"
    listed = sum(group.times for group in found.unanswered)
    assert listed + found.unanswered_more == could_be_shown
    assert could_be_shown + found.unanswered_elsewhere == found.total.unknown
