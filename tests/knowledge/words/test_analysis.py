import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.words.analysis import STEMMERS, WHOLE, stemmed_as, terms, variants


def test_words_are_cut_to_stems() -> None:
    assert terms("Trains, training: 2.5!", "en") == ["train", "train", "2", "5"]
    assert terms("Die Häuser der Häuser", "de") == ["die", "haus", "der", "haus"]
    assert terms("Trains, training", WHOLE) == ["trains", "training"]


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("de", "Kündigungsfristen", "Kündigungsfrist"),
        ("es", "habitaciones", "habitación"),
        ("fr", "remboursements", "remboursement"),
        ("it", "rimborsi", "rimborso"),
        ("nl", "kamers", "kamer"),
        ("pt", "reembolsos", "reembolso"),
        ("ru", "гостиницы", "гостиница"),
    ],
)
def test_forms_of_a_word_are_one_term(language: str, one: str, other: str) -> None:
    assert terms(one, language) == terms(other, language)


def test_every_stemmer_is_there() -> None:
    assert all(terms("words 42", language)[-1] == "42" for language in STEMMERS)


def test_scripts_without_spaces_are_found_by_pairs_of_characters() -> None:
    assert terms("東京都のホテル VPN", "") == ["東京", "京都", "都の", "のホ", "ホテ", "テル", "vpn"]
    assert set(terms("ホテル", "")) <= set(terms("東京都のホテルは高い", ""))
    assert terms("本", "") == ["本"]
    assert set(terms("โรงแรม", "")) <= set(terms("ค่าโรงแรมต่อคืน", ""))


def test_marks_do_not_cut_words_and_one_letter_has_one_form() -> None:
    assert terms("नमस्ते दुनिया", "") == ["नमस्ते", "दुनिया"]
    assert terms("Mu\u0308nchen", "") == terms("München", "") == ["münchen"]
    assert terms("\uff36\uff30\uff2e", "") == ["vpn"]
    assert terms("snake_case don't", "") == ["snake", "case", "don", "t"]


def test_a_language_that_is_not_known_is_taken_for_another_and_one_without_stemmer_for_none() -> None:
    assert stemmed_as("", otherwise="en") == "en"
    assert stemmed_as("", otherwise="") == WHOLE
    assert stemmed_as("ja", otherwise="en") == WHOLE
    assert stemmed_as("pt-BR", otherwise="en") == "pt"


def test_a_word_has_a_form_for_each_language_and_none_twice() -> None:
    assert variants("kosten", ["", "de", "en"]) == ("kosten", "kost")
    assert variants("vpn", ["", "de", "en"]) == ("vpn",)


@given(st.text(), st.sampled_from(["", "en", "de"]))
def test_any_text_has_terms_that_are_found_again(text: str, language: str) -> None:
    found = terms(text, language)
    assert all(term and not any(one.isspace() or one == "\x1f" for one in term) for term in found)
    assert found == terms(f" {text}\n", language)
