import numpy as np

from bot.evidence import Evidence
from bot.quotes import best_quotes, render
from bot.ranking import feature_matrix, scores
from tests.bot.conftest import FakeSearch, chunk


def best(question: str, search: FakeSearch) -> list[str]:
    hits = search.search(question, sources=frozenset({"handbook"}), top_k=3)
    evidence = Evidence(question, hits, embedder=search.embedder, vocabulary=search.vocabulary)
    return [quote.statement.unit.display for quote in best_quotes(evidence, scores(feature_matrix(evidence)))]


def test_the_statement_that_answers_comes_first(search: FakeSearch) -> None:
    assert best("Within how many days must receipts be handed in?", search)[0].startswith("Receipts")


def test_a_row_is_quoted_under_its_header(search: FakeSearch) -> None:
    assert best("What is the limit per night in Vienna?", search)[0].splitlines() == [
        "| City | Limit per night |",
        "|---|---|",
        "| Vienna | 148 EUR |",
    ]


def test_the_current_version_goes_before_the_archived_unless_the_old_is_asked_for() -> None:
    old = chunk("travel policy (archived)", "The hotel limit is 120 EUR a night.")
    new = chunk("travel policy", "The hotel limit is 140 EUR a night.")
    search = FakeSearch([old, new])
    assert "140" in best("What is the hotel limit?", search)[0]
    hits = search.search(
        "What was the hotel limit in the old policy?", sources=frozenset({"handbook"}), top_k=2
    )
    evidence = Evidence(
        "What was the old hotel limit?", hits, embedder=search.embedder, vocabulary=search.vocabulary
    )
    assert not feature_matrix(evidence)[:, 6].any()


def test_the_same_words_are_quoted_once_and_never_more_than_three() -> None:
    same = "Receipts are due in 30 days. Receipts are due in 30 days. Trips are due. Claims are due. Bills are due."
    search = FakeSearch([chunk("a", same), chunk("b", same)])
    quoted = best("When are receipts due?", search)
    assert len(quoted) == len(set(quoted)) <= 3


def test_quotes_are_block_quotes_with_the_number_of_their_passage(search: FakeSearch) -> None:
    hits = search.search("receipts handed in", sources=frozenset({"handbook"}), top_k=1)
    evidence = Evidence("receipts", hits, embedder=search.embedder, vocabulary=search.vocabulary)
    first = best_quotes(evidence, scores(feature_matrix(evidence)), most=1)
    assert render(first) == "> Receipts must be handed in within 30 days.\n>\n> [1]"


def test_no_evidence_has_no_features() -> None:
    search = FakeSearch([])
    evidence = Evidence("anything", [], embedder=search.embedder, vocabulary=search.vocabulary)
    assert feature_matrix(evidence).shape == (0, 9)
    assert np.array_equal(scores(feature_matrix(evidence)), np.zeros(0))
