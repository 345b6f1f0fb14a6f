"""The trade-off between answering and declining, on a library in memory."""

import pytest

from bot import relevance
from bot.tradeoff import Tradeoff, lines, measure
from feedback.evaluate import EvalQuestion
from knowledge.documents import Chunk
from knowledge.loaders import document_id
from tests.bot.conftest import LEAVE, TRAVEL, VPN, FakeSearch


def asked(question: str, *documents: str, holdout: bool = False) -> EvalQuestion:
    fact = ("x",) if documents else ()
    return EvalQuestion(
        id=question, question=question, documents=documents, fact=fact, holdout=holdout, history=()
    )


@pytest.fixture
def search() -> FakeSearch:
    texts = {"travel.md": TRAVEL, "leave.md": LEAVE, "vpn.md": VPN}
    return FakeSearch([
        Chunk(path, document_id("handbook", path), "handbook", 0, path, "", path, text)
        for path, text in texts.items()
    ])  # fmt: skip


def test_each_question_with_an_answer_is_asked_again_without_it(search: FakeSearch) -> None:
    ticks: list[None] = []
    questions = [
        asked("within how many days must receipts be handed in", "travel.md"),
        asked("who won the football world cup"),
        asked("what do part-time employees get", "leave.md", holdout=True),
    ]
    found = measure(search, questions, source="handbook", top_k=3, tick=lambda: ticks.append(None))
    assert (len(found.answerable), len(found.unanswerable), len(ticks)) == (1, 2, 2)
    assert found.answerable[0] > max(found.unanswerable)
    assert "what do part-time employees get" not in search.queries


def test_a_name_that_is_not_mentioned_is_declined_at_every_threshold(search: FakeSearch) -> None:
    question = asked("What is the limit per night for hotels in Prague?", "travel.md")
    found = measure(search, [question], source="handbook", top_k=3)
    assert found.at(0.01).answered.count == 0


def test_a_higher_threshold_answers_less_and_declines_more() -> None:
    found = Tradeoff(source="docs", answerable=(0.05, 0.3, 0.6, 0.9), unanswerable=(0.01, 0.2, 0.5))
    rows = found.rows
    assert {relevance.ANSWER, relevance.SHOW} <= {row.threshold for row in rows}
    answered, declined = [row.answered.count for row in rows], [row.declined.count for row in rows]
    assert answered == sorted(answered, reverse=True)
    assert declined == sorted(declined)
    assert (found.at(0.3).answered.count, found.at(0.3).declined.count) == (3, 2)
    told = list(lines(found))
    assert "4 questions with an answer, 3 without" in told[0]
    (answer,) = [line for line in told if line.endswith("answered from here on")]
    assert answer.split()[0] == f"{relevance.ANSWER:.2f}"
    assert found.rows_json[0]["answerable"] == 4


def test_a_set_without_such_questions_says_so() -> None:
    assert "none" in "\n".join(lines(Tradeoff(source="docs", answerable=(), unanswerable=(0.1,))))
