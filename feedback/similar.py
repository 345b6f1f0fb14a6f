"""Questions that ask the same in nearly the same words, put together.

Two are alike when they have the same words but for small ones ("how do I", "the") and slips of the fingers; a number
must be the same. That "Lisbon" and "Munich" stand in otherwise equal questions keeps them apart; other words for the
same thing do, too. The small words are English and German. Pure.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rapidfuzz import fuzz, process

_MOST = 1000
"""Different questions that are compared with each other, which takes up to a second; further ones stand alone."""
_NEAR = 75
"""How alike two questions must be as a whole (rapidfuzz's ratio, 0 to 100) for their words to be compared."""
_SAME_WORD = 80
"""How alike two words must be to be one: "travel" and "travels" are 92, "space" and "spot" 67."""

_JOINED = re.compile(r"['’](?:s|re|m|ve|d|ll)\b|['’‐‑-]")
"""What is left out of words: "where's" is "where", "wi-fi" is "wifi"."""
_SMALL = frozenset(
    "a an and any are as at be by can could did do does for from get give go got has have how i if in into is it its "
    "many may me much must my need of on or our please s shall should so some tell than that the their there this to "
    "up us was we were what when where which who whom whose why will with would you your "
    "am auf aus bei bekomme bekommen bitte das dem den der des die dies du ein eine einen einer eines er es für gibt "
    "hab habe haben hat ich ihr im ist kann kannst können man mein meine mich mir mit muss müssen nach oder sie sind "
    "soll uns unser und viel viele vom von wann warum was wäre welche welcher welches wem wen wenn wer wie wieso wir "
    "wird wo woher wohin zu zum zur".split()
)


@dataclass(frozen=True, slots=True)
class Group:
    """Questions that are alike."""

    question: str
    """As it was asked most often, or first."""
    times: int


def grouped(questions: Iterable[str]) -> list[Group]:
    """The questions put together, those asked most often first, else in order; every question is in one group."""
    wordings: dict[str, Counter[str]] = {}
    for question in questions:
        wordings.setdefault(_key(question), Counter())[question] += 1
    groups: dict[str, Counter[str]] = {}
    # The most frequent lead, so that others join them; sorting keeps the order of what is equal.
    for n, key in enumerate(sorted(wordings, key=lambda key: -wordings[key].total())):
        leader = _leader(key, list(groups)) if n < _MOST else None
        groups.setdefault(leader or key, Counter()).update(wordings[key])
    found = [Group(asked.most_common(1)[0][0], asked.total()) for asked in groups.values()]
    return sorted(found, key=lambda group: -group.times)


def _key(question: str) -> str:
    """Its words, each once, in alphabetical order, without small ones unless there are no others."""
    words = re.findall(r"\w+", _JOINED.sub("", question.casefold()))
    return " ".join(sorted(set(words) - _SMALL or set(words))) or question


def _leader(key: str, leaders: list[str]) -> str | None:
    near = process.extract(key, leaders, scorer=fuzz.ratio, score_cutoff=_NEAR, limit=5)
    return next((leader for leader, _, _ in near if _alike(key.split(), leader.split())), None)


def _alike(one: list[str], other: list[str]) -> bool:
    return all(_has(other, word) for word in one) and all(_has(one, word) for word in other)


def _has(words: list[str], wanted: str) -> bool:
    if any(character.isdigit() for character in wanted):
        return wanted in words
    return any(fuzz.ratio(word, wanted) >= _SAME_WORD for word in words)
