import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.spelling import correct

KNOWN = {
    "company": 9,
    "kilometre": 1,
    "evacuation": 1,
    "offer": 1,
    "often": 2,
    "hotel": 3,
    "trip": 3,
}


def beginning(letter: str) -> dict[str, int]:
    return {word: count for word, count in KNOWN.items() if word.startswith(letter)}


def fix(text: str) -> str:
    return correct(text, known=beginning, is_known=lambda word: word.casefold() in KNOWN)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("what does the compnay pay", "what does the company pay"),
        ("per kilomter?", "per kilometre?"),
        ("evacuatoin drills", "evacuation drills"),
        ("how offen", "how often"),
    ],
)
def test_slips_of_the_fingers_are_corrected(typed: str, meant: str) -> None:
    assert fix(typed) == meant


@pytest.mark.parametrize("text", ["a hotel in Hostel", "trap", "giraffes", "motel rooms", "companies"])
def test_other_words_stay_as_they_are(text: str) -> None:
    assert fix(text) == text


@given(st.text())
def test_without_known_words_nothing_changes(text: str) -> None:
    assert correct(text, known=lambda _: {}, is_known=lambda _: False) == text
