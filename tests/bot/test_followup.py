import pytest

from bot.followup import earlier_texts, leans_on, own_words, search_query, talk
from bot.messages import Said
from knowledge.lexical import QUESTION_WORDS


def content_words(text: str) -> list[str]:
    return [word for word in text.lower().strip("?").split() if word not in QUESTION_WORDS]


def searched(question: str, earlier: list[str]) -> str:
    """What is searched for a question in that thread."""
    return search_query(question, leans_on(question, earlier=earlier, analyse=content_words))


def test_mentions_without_end_are_read_at_once() -> None:
    assert own_words("<@A" * 200_000)


@pytest.mark.parametrize(
    "question", ["and for part-timers?", "what about interns?", "how long does it take?", "why?"]
)
def test_a_question_that_leans_on_the_thread_is_searched_with_it(question: str) -> None:
    earlier = ["How much holiday do employees get each year?"]
    assert searched(question, earlier) == f"{earlier[0]} {question}"


def test_a_chain_of_follow_ups_goes_back_to_the_question_that_stands_alone() -> None:
    earlier = ["How much holiday do full-time employees get?", "and part-timers?"]
    assert searched("and interns?", earlier) == f"{earlier[0]} and interns?"


def test_a_question_that_stands_alone_is_left_alone() -> None:
    question = "Which hotel limit applies to Munich trips in summer?"
    assert searched(question, ["How much holiday do I get?"]) == question


def test_the_first_question_of_a_thread_is_left_alone() -> None:
    assert searched("and now?", []) == "and now?"


def query(text: str, said: list[str], *, questions: tuple[str, ...] = ()) -> str:
    earlier = earlier_texts([Said("Ann", one) for one in said], questions=questions)
    return searched(text, earlier)


def test_a_call_for_help_is_searched_with_the_last_question_that_people_asked_each_other() -> None:
    said = [
        "Which cities have preferred hotels this year?",
        "<@U1> how long does the probation period last nowadays?",
        "My own contract says nothing useful there.",
        "anyone?",
    ]
    assert query("can somebody answer this?", said) == (
        "how long does the probation period last nowadays? can somebody answer this?"
    )


def test_without_a_question_it_is_what_somebody_told() -> None:
    said = ["The Vienna build fails with error 137 since yesterday.", "Has anybody seen this?", "no"]
    assert query("what could that be?", said) == f"{said[0]} what could that be?"


def test_a_question_to_the_assistant_counts_before_remarks_and_before_older_talk() -> None:
    asked = "hotel limit for Munich trips in summer"
    said = [
        "Where do people park near the office?",
        f"@Parley {asked}",
        "Perfect, exactly what Finance looked for.",
    ]
    assert query("and Vienna?", said, questions=(asked,)) == f"{asked} and Vienna?"
    assert query("and Vienna?", said[2:], questions=(asked,)) == f"{asked} and Vienna?"


def test_a_later_question_of_people_counts_before_an_older_one_to_the_assistant() -> None:
    asked = "How much holiday do full-time employees get?"
    said = [asked, "Great. Which laptop models can new people choose?"]
    assert query("any idea?", said, questions=(asked,)) == f"{said[1]} any idea?"
    assert query("any idea?", said[1:], questions=(asked,)) == f"{said[1]} any idea?"


def test_talk_is_bounded_and_without_the_questions_that_are_history() -> None:
    context = [Said("Ann", f"remark {n} " + "long " * 200) for n in range(30)] + [Said("Bob", "@Parley why?")]
    kept = talk(context, questions=["why?"])
    assert kept[-1].text.startswith("remark 29 ")
    assert sum(len(one.text) for one in kept) <= 3000
    assert all(one.text.endswith("…") for one in kept)


@pytest.mark.parametrize(
    ("said", "own"),
    [
        ("Hi Bob, do you know the limit?", "do you know the limit?"),
        ("<@U123> do you know?", "do you know?"),
        ("@bob @zoe: do you know?", "do you know?"),
        ("Hey @Ann Lee, do you know?", "Hey do you know?"),
        ("@Ann Van-Lee Can you help in Munich?", "Can you help in Munich?"),
        ("Write to help@nest.example instead.", "Write to help@nest.example instead."),
        ("High prices everywhere", "High prices everywhere"),
    ],
)
def test_own_words_are_without_the_person_they_were_said_to(said: str, own: str) -> None:
    assert own_words(said) == own


@pytest.mark.parametrize(
    ("previous", "question", "query"),
    [
        (
            "Can I bring my dog to the Munich office?",
            "is it the same in Lisbon?",
            "Can I bring my dog to the Lisbon office? is it the same in Lisbon?",
        ),
        ("How fast must we reply to S1?", "and to S2?", "How fast must we reply to S2? and to S2?"),
        (
            "Wie viel Budget habe ich für Reisen?",
            "und für Hardware?",
            "Wie viel Budget habe ich für Hardware? und für Hardware?",
        ),
        (
            "Wie hoch ist das Budget?",
            "und für Praktikanten?",
            "Wie hoch ist das Budget? und für Praktikanten?",
        ),
        (
            "How far is Graz from Linz?",
            "and with the train?",
            "How far is Graz from Linz? and with the train?",
        ),
        ("Who goes from Graz to Linz?", "and to Wels?", "Who goes from Graz to Linz? and to Wels?"),
    ],
)
def test_a_follow_up_that_names_something_else_asks_the_same_of_that(
    previous: str, question: str, query: str
) -> None:
    assert searched(question, [previous]) == query
