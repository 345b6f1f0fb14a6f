from hypothesis import given
from hypothesis import strategies as st

from bot.llm.lookup import MAX_DRAFT, NGRAM, Lookup

TOKENS = st.lists(st.integers(1, 4), max_size=40)


def test_a_copy_is_followed() -> None:
    source = list(range(10, 30))
    lookup = Lookup([*source, 1, 2, *source[3 : 3 + NGRAM]])
    assert lookup.propose(4) == source[3 + NGRAM : 7 + NGRAM]
    for token in source[3 + NGRAM : 8 + NGRAM]:
        lookup.append(token)
    assert lookup.propose(3) == source[8 + NGRAM : 11 + NGRAM]


def test_nothing_is_guessed_where_nothing_was_said_before() -> None:
    assert Lookup([1, 2, 3, 4, 5]).propose(5) == []
    assert Lookup([]).propose(5) == []


def test_the_last_occurrence_counts() -> None:
    assert Lookup([1, 2, 3, 7, 1, 2, 3, 8, 1, 2, 3]).propose(1) == [8]


@given(TOKENS, TOKENS, st.integers(0, 20))
def test_guesses_are_what_followed_the_same_words(prompt: list[int], answer: list[int], most: int) -> None:
    lookup = Lookup(prompt)
    said = list(prompt)
    for token in answer:
        guess = lookup.propose(most)
        assert len(guess) <= min(most, MAX_DRAFT)
        if guess:
            end = said[-NGRAM:]
            places = [n for n in range(NGRAM, len(said)) if said[n - NGRAM : n] == end]
            assert guess in [said[n : n + len(guess)] for n in places]
        lookup.append(token)
        said.append(token)


def _misled(times: int) -> Lookup:
    """One that found the same three words again and again, and never what had followed them."""
    lookup = Lookup([1, 2, 3])
    for number in range(times):
        for token in (100 + number, 1, 2, 3):
            lookup.append(token)
    return lookup


def test_guessing_stops_where_it_does_not_pay() -> None:
    price = 0.4
    assert _misled(1).propose(4, price=price)
    assert not _misled(10).propose(4, price=price)


def test_guessing_begins_again_where_it_would_have_paid() -> None:
    lookup = _misled(10)
    text = list(range(200, 240))
    for token in text + text:
        lookup.append(token)
    assert lookup.propose(4, price=0.4) == text[:4]


def test_a_dear_guess_is_a_short_one() -> None:
    source = list(range(10, 40))
    lookup = Lookup([*source, 1, *source[:6]])
    lengths = [len(lookup.propose(MAX_DRAFT, price=price)) for price in (0.0, 0.3, 0.5, 0.9)]
    assert lengths[0] == MAX_DRAFT
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] == 0
