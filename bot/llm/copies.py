"""Sequences laid aside: copies of their state in ordinary memory, outside of the key-value cache.

On a CPU, attention passes over every cell in use, whoever's it is: 4,200 cells that nobody needed made reading
a prompt of a 0.5B model a sixth slower and writing a fifth. A copy of 1,500 tokens takes 20 MB there and 5 ms
each way; reading them again takes 12 s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bot.llm.context import State

_Tokens: TypeAlias = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that begins as a prompt does."""

    number: int
    length: int
    """Tokens that are the same."""
    held: int
    """Tokens that it has."""


class Copies:
    """Copies by their tokens, up to a size; the least recently used makes room."""

    def __init__(self, *, most: int, whole: bool = False) -> None:
        """
        Args:
            most: bytes that the copies may take together; 0 keeps none.
            whole: a copy can only be used from its beginning to its very end (see `PrefixTree`).
        """
        self._most = most
        self._whole = whole
        self._numbers = count()
        self._tokens: dict[int, _Tokens] = {}  # in the order of their last use
        self._states: dict[int, State] = {}
        self.size = 0
        """Bytes in use."""

    def __len__(self) -> int:
        return len(self._tokens)

    def match(self, tokens: Sequence[int]) -> Copy | None:
        """The copy with the longest beginning of `tokens` that can be used; None when there is none."""
        wanted = _array(tokens)
        best: Copy | None = None
        for number, held in self._tokens.items():
            common = _common(held, wanted)
            if common and not (self._whole and common < len(held)) and (not best or common >= best.length):
                best = Copy(number, common, len(held))
        return best

    def common(self, tokens: Sequence[int]) -> int:
        """Length of the longest beginning that is there, whether or not it can be used."""
        wanted = _array(tokens)
        return max((_common(held, wanted) for held in self._tokens.values()), default=0)

    def take(self, copy: Copy) -> tuple[list[int], State]:
        """A copy's tokens and its state. It stays for others that begin as it does, unless who takes it takes all."""
        held, state = self._tokens[copy.number], self._states[copy.number]
        if copy.length == copy.held and not self._whole:
            self.drop(copy)
        else:
            self._touch(copy.number)
        return held.tolist(), state

    def drop(self, copy: Copy) -> None:
        """Forget it, if it is there."""
        if copy.number in self._tokens:
            self._drop(copy.number)

    def make_room(self, tokens: Sequence[int], size: int) -> bool:
        """Make room for a copy of so many bytes; False when it is not worth one: it does not fit, or something here
        says the same and more."""
        if not 0 < size <= self._most:
            return False
        wanted = _array(tokens)
        for number, held in list(self._tokens.items()):
            common = _common(held, wanted)
            if common == len(wanted) and (len(held) == common or not self._whole):
                self._touch(number)
                return False
            if common == len(held) and not self._whole:  # it is only the beginning of the new one
                self._drop(number)
        while self._tokens and self.size + size > self._most:
            self._drop(next(iter(self._tokens)))
        return True

    def put(self, tokens: Sequence[int], state: State) -> None:
        """Keep a copy for which there is room."""
        number = next(self._numbers)
        self._tokens[number], self._states[number] = _array(tokens), state
        self.size += state.nbytes

    def _touch(self, number: int) -> None:
        self._tokens[number] = self._tokens.pop(number)

    def _drop(self, number: int) -> None:
        del self._tokens[number]
        self.size -= self._states.pop(number).nbytes


def _array(tokens: Sequence[int]) -> _Tokens:
    return np.asarray(tokens, dtype=np.int32)


def _common(one: _Tokens, other: _Tokens) -> int:
    """Length of the common beginning."""
    longest = min(len(one), len(other))
    different = one[:longest] != other[:longest]
    return int(different.argmax()) if different.any() else longest
