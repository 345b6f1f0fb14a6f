"""How likely it is that the evidence answers the question at all: the ground for "I don't know".

Logistic regression on the score of the best statement, fitted by `benchmarks/fit_ranking.py`. Both ways of
answering use it, so that they abstain alike. An embedding model and word statistics cannot always tell a question
that is near the documents from one that they answer; therefore there are two thresholds, and between them the
nearest passages are shown under an "I don't know". The figures are in the README.
"""

import math
import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from bot.evidence import Evidence
from bot.facts import WEEKDAYS, facts, words

BIAS = -6.2
SLOPE = 0.571

ANSWER = 0.38
"""From here on the question is answered."""
SHOW = 0.1
"""Below this, where one answerable question in a hundred ends, nothing is shown but titles."""

_FIRST_LETTER = re.compile(r"(?:^|[.!?]\s+)\W*\w")


def probability(scores: npt.NDArray[np.float64]) -> float:
    """Estimated probability that one of the statements answers the question, 0 to 1.

    `scores` are those of `bot.ranking.scores`, one for each statement.
    """
    if not len(scores):
        return 0.0
    return 1 / (1 + math.exp(-(BIAS + SLOPE * float(scores.max()))))


def unmentioned(evidence: Evidence, passages: Iterable[int]) -> frozenset[str]:
    """Names in the question (lower-case) that none of these passages mentions; `passages` are numbered from 1.

    What is said of Vienna does not answer a question about Prague, however near the two are in meaning. The days of
    the week are no such names: a rule for Monday to Friday, or for Tuesdays only, answers for Thursday too.
    """
    # The first word of a sentence is capitalised whether it names something or not.
    names = facts(_FIRST_LETTER.sub(lambda match: match.group().lower(), evidence.question)).names - WEEKDAYS
    said = {word for n in passages for word in words(evidence.hits[n - 1].chunk.contextual_text)}
    return frozenset(name for name in names if not set(words(name)) & said)
