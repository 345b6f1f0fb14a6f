"""The copies of sequences: which one begins as a prompt does, and which one makes room."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.llm.context import State
from bot.llm.copies import Copies

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
    copies = Copies(most=most, whole=whole)
    for tokens in held:
        if copies.make_room(tokens, 10):
            copies.put(tokens, _state())
        assert copies.size == 10 * len(copies) <= most
    there = held if most >= 10 * len(held) else []  # else some had to go
    if there or not most:
        assert copies.common(prompt) == max((_common(prompt, tokens) for tokens in there), default=0)
    usable = [
        _common(prompt, tokens) for tokens in there if not whole or _common(prompt, tokens) == len(tokens)
    ]
    copy = copies.match(prompt)
    if there or not most:
        assert (copy.length if copy else 0) == max(usable, default=0)
    if copy is not None:
        tokens, _ = copies.take(copy)
        assert tokens[: copy.length] == prompt[: copy.length]


def test_the_least_recently_used_makes_room() -> None:
    copies = Copies(most=20)
    copies.put([1, 1], _state())
    copies.put([2, 2], _state())
    one = copies.match([1, 5])
    assert one
    copies.take(one)
    assert copies.make_room([3, 3], 10)
    copies.put([3, 3], _state())
    assert [bool(copies.match([token])) for token in (1, 2, 3)] == [True, False, True]


def test_the_beginning_of_something_longer_is_not_kept_beside_it() -> None:
    copies = Copies(most=100)
    for tokens in ([1, 2], [1, 2, 3]):
        assert copies.make_room(tokens, 10)
        copies.put(tokens, _state())
    assert len(copies) == 1
    assert not copies.make_room([1, 2], 10)
    assert copies.make_room([1, 2, 4], 10)
    assert not copies.make_room([9], 101)  # larger than all of it


@pytest.mark.parametrize("whole", [True, False])
def test_who_takes_all_of_a_copy_takes_it_away_unless_only_whole_ones_are_of_use(whole: bool) -> None:
    copies = Copies(most=100, whole=whole)
    copies.put([1, 2], _state())
    copy = copies.match([1, 2, 3])
    assert copy
    copies.take(copy)
    assert len(copies) == whole
    assert copies.size == 10 * whole
