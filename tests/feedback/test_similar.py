"""What people mean the same by is put together, and what they do not is kept apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.similar import Group, grouped


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I reset my VPN password?", "how can I reset the vpn password"),
        ("Where is the coffee machine?", "Where's the coffee machine"),
        ("Who approves travel?", "who aproves travels"),
        ("What's the wifi password in Lisbon", "what is the Wi-Fi password in Lisbon?"),
        ("Is there a gym discount", "is there a discount for the gym?"),
        ("Wie beantrage ich Urlaub?", "Wie kann ich Urlaub beantragen?"),
        ("What is this?", "what is this"),
    ],
)
def test_the_same_in_nearly_the_same_words(one: str, other: str) -> None:
    assert grouped([one, other]) == [Group(one, 2)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How many days of leave do I get in Munich?", "How many days of leave do I get in Lisbon?"),
        ("Who approves travel?", "Who approves training?"),
        ("What is error 401?", "What is error 403?"),
        ("How do I book a meeting room?", "How do I book a flight?"),
        ("What is this?", "Who is that?"),
        ("???", "!"),
    ],
)
def test_another_word_makes_another_question(one: str, other: str) -> None:
    assert grouped([one, other]) == [Group(one, 1), Group(other, 1)]


def test_the_usual_wording_stands_for_the_group_and_the_frequent_come_first() -> None:
    asked = ["Dogs?", "Gym discount?", "a discount for the gym", "Gym discount?", "Cats?"]
    assert grouped(asked) == [Group("Gym discount?", 3), Group("Dogs?", 1), Group("Cats?", 1)]
    assert grouped([]) == []


@given(st.lists(st.text("ab c?", max_size=12), max_size=30))
def test_every_question_is_in_one_group_that_bears_a_question_of_its_own(asked: list[str]) -> None:
    groups = grouped(asked)
    assert sum(group.times for group in groups) == len(asked)
    assert {group.question for group in groups} <= set(asked)
    assert len({group.question for group in groups}) == len(groups)


def test_beyond_what_is_compared_questions_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.similar._MOST", 2)
    asked = ["gym", "gym", "gyms", "dog", "dogs"]
    assert grouped(asked) == [Group("gym", 3), Group("dog", 1), Group("dogs", 1)]
