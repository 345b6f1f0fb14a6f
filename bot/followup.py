"""Questions that lean on the ones before them: "and for part-timers?", "how long does it take?", and on what people
said to each other before the assistant was called: "can somebody answer this?".

A rule, not a model: it looks for the signs of a follow-up and then searches with the earlier question in front.
It does not rewrite the question the model reads; the model sees the thread.
"""

import re
from collections.abc import Callable, Sequence
from itertools import dropwhile

from bot.facts import STARTERS
from bot.messages import Said

_OPENERS = re.compile(
    r"^\s*(?:and|but|or|so|also|then|ok(?:ay)?|what about|how about|what if|same for|und|aber|was ist mit)\b",
    re.IGNORECASE,
)
_REFERENCES = re.compile(
    r"\b(?:it|its|they|them|their|that|this|those|these|there|one|ones|same|he|she|him|her|"
    r"er|sie|es|das|dort|dafür)\b",
    re.IGNORECASE,
)
_PLACED_NAME = re.compile(
    r"\b(?:in|at|for|from|to|with|on|about|of|bei|für|mit|nach|aus|von|im|am|zum|zur)\s+"
    r"(?:(?:the|our|my|der|die|das|den|dem|unser\w*)\s+)?([A-ZÄÖÜ][\w'&-]*(?:\s+[A-ZÄÖÜ][\w'&-]*)*)"
)
"""A name after a preposition; a German noun elsewhere in the sentence is none."""
_GREETING = re.compile(r"^\s*(?:hi|hello|hey|dear|hallo)\b(?:\s+\w+)?\s*[,!.:]\s*", re.IGNORECASE)
_MENTION = re.compile(r"<@[^<>\s]*>[,:]?|(?<!\w)@\w[\w.'-]*((?:\s+[A-Z][\w'-]*)*)[,:]?")
"""A name may have several words; the group has those that look like it."""
_MOST_SAID = 10
_LONGEST_SAID = 300
"""Characters; a model on a CPU reads some 800 in a second, and it is not what the answer is made of."""
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


def leans_on(question: str, *, earlier: Sequence[str], analyse: Callable[[str], list[str]]) -> str | None:
    """The one of the `earlier` questions, oldest first, without which this one says too little; None when it does not.

    A chain of follow-ups goes back to the question that stands alone: "how much leave do I get?" … "and
    part-timers?" … "and interns?".
    """
    if not earlier or not depends_on_thread(question, content_words=analyse(question)):
        return None
    for previous in reversed(earlier):
        if not depends_on_thread(previous, content_words=analyse(previous)):
            return previous
    return earlier[-1]


def search_query(question: str, previous: str | None) -> str:
    """What to search for: the question, with the `previous` one that it leans on in front.

    A question that names something else asks the same of that: after "which hotel do we use in Vienna?", "and in
    Prague?" does not ask about Vienna.
    """
    return question if previous is None else f"{_about(question, previous)} {question}"


def _about(question: str, previous: str) -> str:
    """The `previous` question about what this one names, where each names one thing."""
    new, old = set(_PLACED_NAME.findall(question)), set(_PLACED_NAME.findall(previous))
    if len(new) != 1 or len(old) != 1 or new == old:
        return previous
    return previous.replace(old.pop(), new.pop())


def talk(context: Sequence[Said], *, questions: Sequence[str]) -> list[Said]:
    """The last of what people said to each other, cut, without the thread's `questions` to the assistant."""
    known = {own_words(question) for question in questions}
    said = [one for one in context if one.text.strip() and own_words(one.text) not in known]
    return [Said(one.author, _cut(one.text)) for one in said[-_MOST_SAID:]]


def earlier_texts(context: Sequence[Said], *, questions: Sequence[str]) -> list[str]:
    """What a question may lean on, as `search_query` takes it: the thread's questions, and what people said.

    Questions count before remarks, and among them the later one. What people asked is taken for later than the
    `questions` to the assistant, unless one of those follows it in the `context`.
    """
    texts = [_cut(text) for one in context if (text := own_words(one.text))]
    known = {_cut(own_words(question)) for question in questions}
    said = [(i, text) for i, text in enumerate(texts) if text not in known]
    last = max((i for i, text in enumerate(texts) if text in known), default=-1)
    return [
        *(text for _, text in said if "?" not in text),
        *(text for i, text in said if "?" in text and i < last),
        *questions,
        *(text for i, text in said if "?" in text and i > last),
    ]


def own_words(said: str) -> str:
    """What somebody said, without whom they said it to; else that name would seem to be what is asked about."""
    return " ".join(_GREETING.sub("", _MENTION.sub(_after_name, said)).split())


def _after_name(mention: re.Match[str]) -> str:
    """ "@Ann Lee Can you" is "Can you"."""
    return " ".join(dropwhile(lambda word: word.casefold() not in STARTERS, (mention[1] or "").split()))


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_SAID else f"{text[: _LONGEST_SAID - 1].rstrip()}…"
