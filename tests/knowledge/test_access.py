"""Who may see what: whoever asks finds what they would find if the other sources did not exist, to the last digit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.access import EVERYONE, visible_sources
from tests.knowledge.words.shelves import chunk
from tests.knowledge.worlds import AUDIENCES, QUESTIONS, SOURCES, Running, World, worlds


@settings(max_examples=100, deadline=None)
@given(worlds(), AUDIENCES, QUESTIONS)
def test_what_may_not_be_seen_might_as_well_not_exist(
    world: World, principals: frozenset[str], questions: list[str]
) -> None:
    sources = visible_sources(world.visible_to, principals)
    hidden = world.visible_to.keys() - sources
    with_hidden, without = Running(world), Running(world.without(hidden))
    assert with_hidden.learns(sources, questions) == without.learns(sources, questions)
    for question in questions:
        for hit in with_hidden.retriever.search(question, sources=sources):
            for place in (hit.chunk, *hit.copies):
                assert not world.visible_to[place.source].isdisjoint(principals)


@settings(max_examples=25, deadline=None)
@given(worlds(), worlds(), AUDIENCES, QUESTIONS)
def test_nor_does_it_show_when_it_changes(
    tmp_path_factory: pytest.TempPathFactory,
    world: World,
    other: World,
    principals: frozenset[str],
    questions: list[str],
) -> None:
    """The same process before and after a sync of hidden sources only, with its indexes on disk."""
    sources = visible_sources(world.visible_to, principals)
    hidden = world.visible_to.keys() - sources
    changed = World(
        world.visible_to,
        (
            *(one for one in world.passages if one.source in sources),
            *(one for one in other.passages if one.source in hidden),
        ),
    )
    running = Running(world, tmp_path_factory.mktemp("words"))
    before = running.learns(sources, questions)
    running.become(changed)
    assert running.learns(sources, questions) == before


@given(st.dictionaries(st.sampled_from(SOURCES), AUDIENCES), AUDIENCES, AUDIENCES)
def test_more_readers_see_more_and_everyone_is_only_whom_it_is_said_of(
    visible_to: dict[str, frozenset[str]], principals: frozenset[str], others: frozenset[str]
) -> None:
    seen = visible_sources(visible_to, principals)
    assert seen == {name for name, audience in visible_to.items() if audience & principals}
    assert seen <= visible_sources(visible_to, principals | others)
    assert visible_sources(visible_to, frozenset()) == frozenset()


def test_a_word_of_a_hidden_source_corrects_nothing_and_counts_nowhere() -> None:
    world = World(
        {"handbook": frozenset({EVERYONE}), "board": frozenset({"slack:C2"})},
        (
            chunk("Salaries are paid monthly.", source="handbook", key="pay"),
            chunk("Project Nightingale: the acquisition of Acme.", source="board", key="deal"),
        ),
    )
    running = Running(world)
    everyone = visible_sources(world.visible_to, {EVERYONE})
    running.retriever.prepare()
    words = running.retriever.lexical.within(everyone)
    assert words.corrected("nightingael acquisiton") == "nightingael acquisiton"
    assert words.document_frequency(["nightingal", "acquisit", "acm"]) == {
        "nightingal": 0,
        "acquisit": 0,
        "acm": 0,
    }
    assert {
        hit.chunk.key for hit in running.retriever.search("nightingale acquisition", sources=everyone)
    } == {"pay"}
    board = visible_sources(world.visible_to, {EVERYONE, "slack:C2"})
    assert running.retriever.lexical.corrected("nightingael", sources=board) == "nightingale"
