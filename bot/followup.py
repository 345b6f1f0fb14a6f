"""Questions that lean on the ones before them: "and for part-timers?", "how long does it take?".

A rule, not a model: it looks for the signs of a follow-up and then searches with the earlier question in front.
It does not rewrite the question the model reads; the model sees the thread.
"""

import re
from collections.abc import Callable, Sequence

_OPENERS = re.compile(
    r"^\s*(?:and|but|or|so|also|then|ok(?:ay)?|what about|how about|what if|same for|und|aber|was ist mit)\b",
    re.IGNORECASE,
)
_REFERENCES = re.compile(
    r"\b(?:it|its|they|them|their|that|this|those|these|there|one|ones|same|he|she|him|her|"
    r"er|sie|es|das|dort|dafür)\b",
    re.IGNORECASE,
)
_SHORT = 2
"""A question with at most this many words of its own says too little to stand alone."""


def depends_on_thread(question: str, *, content_words: Sequence[str]) -> bool:
    """Whether the question cannot be understood without the thread.

    `content_words` are its words without articles, pronouns and the like.
    """
    if _OPENERS.search(question):
        return True
    if len(content_words) <= _SHORT:
        return True
    return bool(_REFERENCES.search(question)) and len(content_words) <= 2 * _SHORT


def search_query(question: str, *, earlier: Sequence[str], analyse: Callable[[str], list[str]]) -> str:
    """What to search for: the question, with the earlier one in front when it leans on it.

    `earlier` are the thread's questions, oldest first. A chain of follow-ups goes back to the question that
    stands alone: "how much leave do I get?" … "and part-timers?" … "and interns?".
    """
    if not earlier or not depends_on_thread(question, content_words=analyse(question)):
        return question
    for previous in reversed(earlier):
        if not depends_on_thread(previous, content_words=analyse(previous)):
            return f"{previous} {question}"
    return f"{earlier[-1]} {question}"
