import pytest

from bot.followup import search_query
from knowledge.lexical import QUESTION_WORDS


def content_words(text: str) -> list[str]:
    return [word for word in text.lower().strip("?").split() if word not in QUESTION_WORDS]


@pytest.mark.parametrize(
    "question", ["and for part-timers?", "what about interns?", "how long does it take?", "why?"]
)
def test_a_question_that_leans_on_the_thread_is_searched_with_it(question: str) -> None:
    earlier = ["How much holiday do employees get each year?"]
    assert search_query(question, earlier=earlier, analyse=content_words) == f"{earlier[0]} {question}"


def test_a_chain_of_follow_ups_goes_back_to_the_question_that_stands_alone() -> None:
    earlier = ["How much holiday do full-time employees get?", "and part-timers?"]
    assert (
        search_query("and interns?", earlier=earlier, analyse=content_words) == f"{earlier[0]} and interns?"
    )


def test_a_question_that_stands_alone_is_left_alone() -> None:
    question = "Which hotel limit applies to Munich trips in summer?"
    assert search_query(question, earlier=["How much holiday do I get?"], analyse=content_words) == question


def test_the_first_question_of_a_thread_is_left_alone() -> None:
    assert search_query("and now?", earlier=[], analyse=content_words) == "and now?"
