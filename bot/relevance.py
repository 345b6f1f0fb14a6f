"""How likely it is that the evidence answers the question at all: the ground for "I don't know".

Logistic regression on the score of the best statement, fitted by `benchmarks/fit_ranking.py`. Both ways of
answering use it, so that they abstain alike. An embedding model and word statistics cannot always tell a question
that is near the documents from one that they answer; therefore there are two thresholds, and between them the
nearest passages are shown under an "I don't know". The figures are in the README.
"""

import math

import numpy as np
import numpy.typing as npt

BIAS = -5.72
SLOPE = 0.39

ANSWER = 0.55
"""From here on the question is answered."""
SHOW = 0.25
"""Below this, nothing is shown but titles."""


def probability(scores: npt.NDArray[np.float64]) -> float:
    """Estimated probability that one of the statements answers the question, 0 to 1.

    `scores` are those of `bot.ranking.scores`, one for each statement.
    """
    if not len(scores):
        return 0.0
    return 1 / (1 + math.exp(-(BIAS + SLOPE * float(scores.max()))))
