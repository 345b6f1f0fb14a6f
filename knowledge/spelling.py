"""Words of a question that no document has, replaced by the word they were probably meant to be.

Cautious on purpose: only longer words, the same first letter, and one or two slips of the fingers. A wrong guess
would find the wrong documents; a word that stays as it is only finds nothing.
"""

import re
from collections.abc import Callable, Mapping

_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST = 5
_LONG = 8
"""From this many letters two slips are allowed, below it one."""


def correct(text: str, *, known: Callable[[str], Mapping[str, int]], is_known: Callable[[str], bool]) -> str:
    """The text with its unknown words corrected.

    `known` gives the words of the documents that begin with a letter, in lower case, with how often they come, which
    decides between words that are equally near; `is_known` also knows their other forms.
    """

    def replacement(match: re.Match[str]) -> str:
        word = match.group()
        if len(word) < _SHORTEST or word[0].isupper() or is_known(word):
            return word
        folded = word.casefold()
        return _nearest(folded, known(folded[:1])) or word

    return _WORD.sub(replacement, text)


def _nearest(word: str, known: Mapping[str, int]) -> str | None:
    from rapidfuzz.distance import DamerauLevenshtein
    from rapidfuzz.process import extract

    slips = 2 if len(word) >= _LONG else 1
    candidates = [other for other in known if abs(len(other) - len(word)) <= slips]
    found = extract(word, candidates, scorer=DamerauLevenshtein.distance, score_cutoff=slips, limit=None)
    return min(found, key=lambda one: (one[1], -known[one[0]], one[0]))[0] if found else None
