"""How likely it is that the evidence answers the question at all: the ground for "I don't know".

Logistic regression on two features of the best-ranked statements, fitted by `benchmarks/fit_ranking.py`. Both
ways of answering use the one threshold, so that they abstain alike. An embedding model and word statistics cannot
tell a question that is close to the documents from one that they answer, so this is wrong now and then in both
directions; the figures are in the README.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.evidence import Evidence

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the logistic model."""

    bias: float
    score: float
    """Of the best statement's rank score, see `bot.ranking`."""
    similarity: float
    """Of the highest cosine of the question and a statement under its headings."""


WEIGHTS = Weights(bias=-6.4, score=0.76, similarity=0.57)


def probability(evidence: Evidence, scores: npt.NDArray[np.float64], *, weights: Weights = WEIGHTS) -> float:
    """Estimated probability that the evidence answers the question, 0 to 1.

    `scores` are those of `bot.ranking.scores`, one for each statement.
    """
    if not len(scores):
        return 0.0
    z = weights.bias + weights.score * float(scores.max())
    z += weights.similarity * float(evidence.similarities.max())
    return 1 / (1 + math.exp(-z))
