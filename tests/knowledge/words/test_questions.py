import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.words.questions import content, is_question_word


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("What is the limit for a hotel?", "limit hotel?"),
        ("Wie hoch ist die Kündigungsfrist?", "hoch Kündigungsfrist?"),
        ("Was kostet ein Hotel in Wien?", "kostet Hotel Wien?"),
        ("¿Cuántos días de vacaciones tengo?", "días vacaciones"),
        ("Combien coûte l'hôtel ?", "coûte l'hôtel"),
        ("Qu'est-ce que le télétravail ?", "Qu'est-ce télétravail"),
        ("Quanti giorni di ferie ho?", "giorni ferie"),
        ("Hoeveel vakantiedagen heb ik?", "vakantiedagen"),
        ("Quantos dias de férias tenho?", "dias férias"),
        ("VPN", "VPN"),
    ],
)
def test_what_a_question_is_about_stays(question: str, about: str) -> None:
    assert content(question).rstrip(" ?") == about.rstrip(" ?")


def test_a_word_of_one_language_stays_in_another() -> None:
    assert content("When did the war end, and who was the son?") == "war end, son?"


def test_a_question_of_nothing_else_stays_as_it_is() -> None:
    assert content("what is it?") == "what is it?"


@given(st.text())
def test_no_word_is_made_up(text: str) -> None:
    assert set(content(text).split()) <= set(text.split())


def test_question_words_of_every_language_are_known() -> None:
    assert all(map(is_question_word, ["What", "warum", "cuánto", "combien", "perché", "quantos", "hoeveel"]))
    assert not is_question_word("hotel")
