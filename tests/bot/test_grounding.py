from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.evidence import Evidence
from bot.facts import numbers
from bot.grounding import Checked, Grounding, is_decline, sentences
from bot.llm.protocol import Delta
from bot.quotes import best_quotes
from bot.ranking import feature_matrix, scores
from tests.bot.conftest import LEAVE, TRAVEL, VPN, FakeSearch, chunk

EVERYTHING = frozenset({"handbook"})


def grounding(question: str, search: FakeSearch) -> Grounding:
    hits = search.search(question, sources=EVERYTHING, top_k=3)
    evidence = Evidence(question, hits, embedder=search.embedder, vocabulary=search.vocabulary)
    return Grounding(evidence, scores(feature_matrix(evidence)))


def check(
    sentence: str, search: FakeSearch, *, question: str = "What is the hotel limit in Vienna?"
) -> Checked:
    return grounding(question, search).check(sentence)


def test_a_sentence_that_the_passages_say_is_released_with_a_citation(search: FakeSearch) -> None:
    checked = check("Receipts must be handed in within 30 days.", search)
    assert checked.text == "Receipts must be handed in within 30 days. [1]"
    assert checked.cited == (1,)


@pytest.mark.parametrize(
    "sentence",
    [
        "Receipts must be handed in within 45 days.",
        "Receipts must be handed in within forty-five days.",
        "Receipts must be handed in within 30 days to Paula.",
        "Receipts must be handed in within 30 days on Friday.",
        "Receipts must be handed in within 30 days at receipts@nest.example.",
        "Receipts must be handed in within 30 days with `nestctl receipts`.",
        "Receipts must not be handed in within 30 days.",
        "Alcohol is reimbursed.",
        "Bananas grow on tropical islands far away.",
        "Must receipts be handed in within 30 days?",
        "Yes.",
        "> | Receipts |",
        "...",
    ],
)
def test_a_sentence_with_anything_made_up_is_dropped_with_a_reason(sentence: str, search: FakeSearch) -> None:
    checked = check(sentence, search)
    assert checked.text == ""
    assert checked.dropped


def test_a_number_of_another_row_is_not_support(search: FakeSearch) -> None:
    question = "What is the limit per night in Vienna?"
    assert check("Limit per night for the city Vienna: 148 EUR.", search, question=question).text
    assert check("Limit per night for the city Vienna: 160 EUR.", search, question=question).dropped


def test_a_figure_of_the_question_alone_does_not_become_the_answer(search: FakeSearch) -> None:
    question = "Must receipts be handed in within 99 days?"
    assert check("Receipts must be handed in within 99 days.", search, question=question).dropped


def test_a_citation_that_matches_no_passage_is_removed(search: FakeSearch) -> None:
    assert check("Receipts must be handed in within 30 days [7].", search).text.endswith("days. [1]")


def test_a_sentence_is_said_once(search: FakeSearch) -> None:
    checker = grounding("When are receipts due?", search)
    assert checker.check("Receipts must be handed in within 30 days.").text
    assert checker.check("Receipts must be handed in within 30 days.").dropped


DUE = "Receipts must be handed in within 30 days."
ALCOHOL = "Alcohol is not reimbursed."


def left_out(search: FakeSearch, said: list[str], *, behind: float) -> list[str]:
    """The quotes beside those sentences, when the deadline ranks first and alcohol that far behind it."""
    hits = search.search("When are receipts due?", sources=EVERYTHING, top_k=3)
    evidence = Evidence(
        "When are receipts due?", hits, embedder=search.embedder, vocabulary=search.vocabulary
    )
    rank = {DUE: 9.0, ALCOHOL: 9.0 - behind}
    ranked = np.array([rank.get(s.unit.text, 0.0) for s in evidence.statements])
    checker = Grounding(evidence, ranked)
    for sentence in said:
        checker.check(sentence)
    return [quote.statement.unit.text for quote in checker.left_out(best_quotes(evidence, ranked))]


def test_nothing_stands_beside_an_answer_that_tells_the_best_statement(search: FakeSearch) -> None:
    assert left_out(search, [DUE], behind=3.5) == []


def test_a_statement_that_may_as_well_be_the_answer_stands_beside_it(search: FakeSearch) -> None:
    assert left_out(search, [DUE], behind=1.0) == [ALCOHOL]
    assert left_out(search, [DUE, ALCOHOL], behind=1.0) == []


@pytest.mark.parametrize(
    "said", [[ALCOHOL], [DUE, "Receipts must be handed in within 45 days."], ["Receipts must be handed in."]]
)
def test_all_quotes_stand_beside_an_answer_that_may_miss_the_point(
    said: list[str], search: FakeSearch
) -> None:
    assert left_out(search, said, behind=1.0) == [DUE, ALCOHOL]


def test_white_space_after_a_sentence_is_kept(search: FakeSearch) -> None:
    assert check("Receipts must be handed in within 30 days.\n\n", search).text.endswith(" [1]\n\n")


def test_without_passages_nothing_is_released() -> None:
    search = FakeSearch([chunk("empty", "")])
    assert check("Receipts must be handed in.", search).dropped


WORDS = sorted({*f"{TRAVEL} {LEAVE} {VPN}".replace("|", " ").split(), "Paris", "17", "seven", "never", "Zoe"})


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
def test_no_released_sentence_holds_a_number_that_was_not_retrieved(words: list[str]) -> None:
    search = FakeSearch([chunk("travel", TRAVEL), chunk("leave", LEAVE), chunk("vpn", VPN)])
    checked = check(" ".join(words) + ".", search, question="What is the limit?")
    shown = checked.text.partition(" [")[0]
    assert numbers(shown) <= numbers(f"{TRAVEL}\n{LEAVE}\n{VPN}")
    assert not {"Paris", "Zoe"} & set(shown.rstrip(".").split())


async def stream(*pieces: str, finish: str = "stop") -> AsyncIterator[Delta]:
    for piece in pieces:
        yield Delta(piece)
    yield Delta("", "length" if finish == "length" else "stop")


async def test_a_stream_is_cut_into_sentences_whatever_the_pieces() -> None:
    cut = [s async for s in sentences(stream("It costs 2.", "50 EUR a d", "ay. Ask f", "irst. Done"))]
    assert [s.strip() for s in cut] == ["It costs 2.50 EUR a day.", "Ask first.", "Done"]


async def test_half_a_sentence_at_the_token_limit_is_left_out() -> None:
    cut = [s async for s in sentences(stream("It is allowed. But only if you", finish="length"))]
    assert [s.strip() for s in cut] == ["It is allowed."]


@pytest.mark.parametrize("text", ["I don't know.", "I do not know", "The passages do not mention a limit."])
def test_a_decline_is_recognised(text: str) -> None:
    assert is_decline(text)


def test_an_answer_is_no_decline() -> None:
    assert not is_decline("You do not know the password of others, and must not ask for it.")
