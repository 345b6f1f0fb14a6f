import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.evidence import Evidence
from bot.ranking import feature_matrix, scores
from bot.relevance import probability, unmentioned
from tests.bot.conftest import FakeSearch


def evidence(question: str, search: FakeSearch) -> Evidence:
    hits = search.search(question, sources=frozenset({"handbook"}), top_k=3)
    return Evidence(question, hits, embedder=search.embedder, vocabulary=search.vocabulary)


def test_a_question_of_the_documents_is_likelier_answered_than_one_of_the_world(search: FakeSearch) -> None:
    near, far = (
        probability(scores(feature_matrix(evidence(question, search))))
        for question in ("Within how many days are receipts handed in?", "Who won the world cup?")
    )
    assert near > far


def test_without_evidence_nothing_is_relevant() -> None:
    assert probability(np.zeros(0)) == 0


@given(st.lists(st.floats(-100, 100), min_size=1))
def test_an_estimate_is_a_probability_and_rises_with_the_best_score(values: list[float]) -> None:
    low = probability(np.array(values))
    assert 0 <= low <= probability(np.array([*values, max(values) + 1])) <= 1


@pytest.mark.parametrize(
    ("question", "missing"),
    [
        ("What is the hotel limit in Vienna?", set()),
        ("What is the hotel limit in Prague?", {"prague"}),
        ("Receipts are due when? And in Prague or Vienna?", {"prague"}),
        ("what may a room in Munich cost on Friday", set()),
    ],
)
def test_names_that_no_passage_mentions(question: str, missing: set[str], search: FakeSearch) -> None:
    assert unmentioned(evidence(question, search), [1, 2, 3]) == missing
