"""The copies of sequences: which one begins as a prompt does, and which one makes room."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bot.llm.shelf import Shelf, State

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=6)


def _state(size: int = 10) -> State:
    return np.zeros(size, dtype=np.uint8)


def _common(one: list[int], other: list[int]) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


@given(held=st.lists(TOKENS, max_size=12), prompt=TOKENS, whole=st.booleans(), most=st.integers(0, 80))
def test_the_longest_beginning_is_found_and_the_size_is_kept(
    held: list[list[int]], prompt: list[int], whole: bool, most: int
) -> None:
    shelf = Shelf(most=most, whole=whole)
    for tokens in held:
        if shelf.wants(tokens, 10):
            shelf.put(tokens, _state())
        assert shelf.size == 10 * len(shelf) <= most
    there = held if most >= 10 * len(held) else []  # else some had to go
    if there or not most:
        assert shelf.common(prompt) == max((_common(prompt, tokens) for tokens in there), default=0)
    usable = [
        _common(prompt, tokens) for tokens in there if not whole or _common(prompt, tokens) == len(tokens)
    ]
    copy = shelf.match(prompt)
    if there or not most:
        assert (copy.length if copy else 0) == max(usable, default=0)
    if copy is not None:
        tokens, _ = shelf.take(copy)
        assert tokens[: copy.length] == prompt[: copy.length]


def test_the_least_recently_used_makes_room() -> None:
    shelf = Shelf(most=20)
    shelf.put([1, 1], _state())
    shelf.put([2, 2], _state())
    one = shelf.match([1, 1, 5])
    assert one
    shelf.take(one)
    shelf.put([3, 3], _state())
    assert [bool(shelf.match([token])) for token in (1, 2, 3)] == [True, False, True]


def test_the_beginning_of_something_longer_is_not_kept_beside_it() -> None:
    shelf = Shelf(most=100)
    shelf.put([1, 2], _state())
    shelf.put([1, 2, 3], _state())
    assert len(shelf) == 1
    assert not shelf.wants([1, 2], 10)
    assert shelf.wants([1, 2, 4], 10)
    assert not shelf.wants([9], 101)  # larger than the shelf
