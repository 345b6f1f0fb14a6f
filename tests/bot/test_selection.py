from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.evidence import Evidence
from bot.selection import GAP, excerpt, select
from knowledge.passages import units
from tests.bot.conftest import LEAVE, TRAVEL, VPN, FakeSearch, chunk

SEARCH = FakeSearch([chunk("travel", TRAVEL), chunk("leave", LEAVE), chunk("vpn", VPN)])
HITS = SEARCH.search("leave", sources=frozenset({"handbook"}), top_k=3)
EVIDENCE = Evidence("leave", HITS, embedder=SEARCH.embedder, vocabulary=SEARCH.vocabulary)


def count(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def chosen(best: Sequence[str], *, budget: int) -> dict[str, str]:
    """By title the texts that are read when the statements with these words are best, in this order."""
    scores = np.array([
        next((10.0 - n for n, words in enumerate(best) if words in statement.unit.text), 0.0)
        for statement in EVIDENCE.statements
    ])  # fmt: skip
    passages = select(EVIDENCE, scores, count_tokens=count, budget=budget)
    return {hit.chunk.title: hit.chunk.text for _, hit in passages}


def test_the_best_statements_are_read_each_under_its_title() -> None:
    found = chosen(["Part-time", "nestctl up"], budget=25)
    assert found == {
        "Leave": "Part-time employees get leave in proportion.",
        "Vpn": "Start the tunnel with `nestctl up`.",
    }


def test_what_stands_around_comes_along_while_there_is_room() -> None:
    assert chosen(["Part-time"], budget=100) == {"Leave": LEAVE}


def test_a_row_has_its_header_and_what_was_left_out_is_marked() -> None:
    found = chosen(["Vienna", "Alcohol"], budget=28)
    assert found["Travel"] == (
        f"| City | Limit per night |\n|---|---|\n| Vienna | 148 EUR |\n{GAP}\nAlcohol is not reimbursed."
    )


def test_the_best_statement_is_read_whatever_it_costs() -> None:
    assert chosen(["Receipts"], budget=1) == {"Travel": "Receipts must be handed in within 30 days."}


def test_without_statements_nothing_is_read() -> None:
    nothing = Evidence("leave", [], embedder=SEARCH.embedder, vocabulary=SEARCH.vocabulary)
    assert select(nothing, np.zeros(0), count_tokens=count) == []


def test_numbers_are_those_of_the_hits_and_all_else_of_a_hit_stays() -> None:
    scores = np.linspace(1, 0, len(EVIDENCE.statements))
    for n, hit in select(EVIDENCE, scores, count_tokens=count, budget=30):
        own = HITS[n - 1]
        assert replace(hit, chunk=replace(hit.chunk, text=own.chunk.text)) == own


@given(
    st.lists(st.floats(-5, 5), min_size=len(EVIDENCE.statements), max_size=len(EVIDENCE.statements)),
    st.integers(20, 200),
)
def test_the_budget_holds_and_the_best_statement_is_there(scores: list[float], budget: int) -> None:
    found = select(EVIDENCE, np.array(scores), count_tokens=count, budget=budget)
    best = EVIDENCE.statements[int(np.argmax(scores))]
    assert found[0][0] == best.n
    assert best.unit.text in found[0][1].chunk.text
    whole = [f"[{n}] {hit.chunk.context} {hit.chunk.text}" for n, hit in found]
    assert sum(count(whole)) <= budget


PASSAGE = """\
First sentence. Second sentence.

These hold:

- one
- two
- three

## More

Third sentence.

| a | b |
|---|---|
| 1 | 2 |
| 3 | 4 |
"""


@pytest.mark.parametrize(
    ("positions", "text"),
    [
        ({0, 1}, "First sentence. Second sentence."),
        ({2, 4}, "These hold:\n- one\n- three"),
        ({0, 3}, f"First sentence.\n{GAP}\nThese hold:\n- two"),
        ({5, 6, 7}, "## More\nThird sentence.\n## More\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"),
    ],
)
def test_an_excerpt_reads_as_the_passage_does(positions: set[int], text: str) -> None:
    assert excerpt(units(PASSAGE), positions) == text
