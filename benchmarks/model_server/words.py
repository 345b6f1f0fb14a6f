"""A made-up language: texts of any length in which no passage repeats, the same ones in every run."""

import random
from collections.abc import Iterator
from itertools import islice

SPACE = "Ġ"
"""How a space is written in the vocabularies of GPT-2 and its followers."""
_CONSONANTS = "bcdfghjklmnpqrstvwxz"
_VOWELS = "aeiou"
_COMMON = 12_000


def growing() -> Iterator[str]:
    """Every word, the short ones first: b, c, … z, ba, be, … zu, bab, …; a word without its last letter is one, too."""
    longest = [""]
    letters, others = _CONSONANTS, _VOWELS
    while True:
        longest = [word + letter for word in longest for letter in letters]
        yield from longest
        letters, others = others, letters


_KNOWN = tuple(islice(growing(), _COMMON))


def text(words: int, *, seed: str) -> str:
    """Begins with a space, as every word then is a token of its own."""
    chosen = random.Random(seed)
    return "".join(f" {chosen.choice(_KNOWN)}" for _ in range(words))
