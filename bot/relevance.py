"""How likely it is that the passages answer the question at all: the ground for "I don't know".

A logistic model of a few features that need no knowledge of the documents' subject. The weights are fitted by
`benchmarks/fit_relevance.py`; both modes of answering use the one threshold, so that they abstain alike.
"""

import math
from dataclasses import astuple, dataclass

from bot.evidence import Evidence

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Features:
    """What the estimate is made from; every value between about 0 and 1, higher for more relevant passages."""

    similarity: float
    """Cosine of the question and the best statement under its headings."""
    passage_similarity: float
    """Cosine of the question and the best passage."""
    coverage: float
    """Share of the question's weight covered by the best passage."""
    statement_coverage: float
    """Share of the question's weight covered by the best statement under its headings."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Logistic regression: bias and one weight for each feature, in the order of `Features`."""

    bias: float
    features: tuple[float, ...]


WEIGHTS = Weights(bias=-6.0, features=(4.0, 4.0, 2.0, 2.0))


def features(evidence: Evidence) -> Features:
    """The features of what was found; all zero when nothing was."""
    if not evidence.statements:
        return Features(0.0, 0.0, 0.0, 0.0)
    return Features(
        similarity=float(evidence.similarities.max()),
        passage_similarity=max(hit.similarity for hit in evidence.hits),
        coverage=max(evidence.terms.coverage(stems) for stems in evidence.passage_stems),
        statement_coverage=float(evidence.coverages.max()),
    )


def probability(evidence: Evidence, *, weights: Weights = WEIGHTS) -> float:
    """Estimated probability that the evidence answers the question, 0 to 1."""
    values = astuple(features(evidence))
    z = weights.bias + sum(w * x for w, x in zip(weights.features, values, strict=True))
    return 1 / (1 + math.exp(-z))
