"""Which statement of the evidence answers the question best.

A linear score over a few features that know nothing of the documents' subject, with weights fitted on pairs of
statements (right and wrong for the same question) by `benchmarks/fit_ranking.py`. Quotes are the best statements;
the relevance estimate is made from the same features, so that what is quoted and whether anything is said at all
come from one judgement.
"""

import re
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from bot.answer_types import matcher
from bot.evidence import Evidence

_OLD = re.compile(r"\b(?:archived?|superseded|obsolete|deprecated|archiv)\b", re.IGNORECASE)
_ASKS_FOR_OLD = re.compile(
    r"\b(?:old|older|former|formerly|previous|previously|archived?|used to|back then|early|earlier|last year|"
    r"(?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_SHORT = 4
"""A statement of fewer words is a label more often than an answer."""


@dataclass(frozen=True, slots=True)
class StatementFeatures:
    """What a statement is judged by, 0 to 1 each (cosines may be slightly negative)."""

    similarity: float
    """Cosine of the question and the statement under its headings."""
    coverage: float
    """Share of the question's weight in the statement's own words."""
    coverage_in_context: float
    """The same with its headings."""
    answer_type: float
    """Whether it holds what the question asks for (a number, a date, a name, …)."""
    neighbour: float
    """Cosine of the question and the statement before or after it, whichever is closer."""
    outdated: float
    """1 when its document says that it is archived or replaced, and the question does not ask for the old."""
    short: float
    """1 when it has fewer than four words."""
    passage_similarity: float
    """Cosine of the question and its passage."""
    passage_coverage: float
    """Share of the question's weight in its passage."""


WEIGHTS = StatementFeatures(
    similarity=6.8,
    coverage=3.18,
    coverage_in_context=1.69,
    answer_type=3.32,
    neighbour=0.94,
    outdated=-2.9,
    short=-1.07,
    passage_similarity=2.18,
    passage_coverage=2.02,
)

Matrix = npt.NDArray[np.float64]


def feature_matrix(evidence: Evidence) -> Matrix:
    """Features of each statement, shape (m, 9), columns in the order of `StatementFeatures`."""
    if not evidence.statements:
        return np.zeros((0, len(fields(StatementFeatures))))
    holds_answer = matcher(evidence.asked)
    wants_old = bool(_ASKS_FOR_OLD.search(evidence.question))
    outdated = [not wants_old and _is_outdated(hit.chunk.context, hit.chunk.uri) for hit in evidence.hits]
    passage_coverages = [evidence.terms.coverage(stems) for stems in evidence.passage_stems]
    texts = [statement.unit.contextual_text for statement in evidence.statements]
    rows = zip(
        evidence.similarities,
        evidence.bare_coverages,
        evidence.coverages,
        map(holds_answer, texts),
        _neighbours(evidence),
        (outdated[s.n - 1] for s in evidence.statements),
        (len(text.split()) < _SHORT for text in texts),
        (evidence.hits[s.n - 1].similarity for s in evidence.statements),
        (passage_coverages[s.n - 1] for s in evidence.statements),
        strict=True,
    )
    return np.array(list(rows), dtype=np.float64)


def scores(features: Matrix, *, weights: StatementFeatures = WEIGHTS) -> npt.NDArray[np.float64]:
    """One score for each statement, shape (m,); higher is better, comparable between questions."""
    values = np.array([getattr(weights, field.name) for field in fields(weights)], dtype=np.float64)
    found: npt.NDArray[np.float64] = features @ values
    return found


def _is_outdated(context: str, uri: str) -> bool:
    return bool(_OLD.search(context) or _OLD.search(uri.rpartition("/")[0].rpartition("/")[2]))


def _neighbours(evidence: Evidence) -> list[float]:
    statements, similarities = evidence.statements, evidence.similarities
    return [
        max(
            (
                float(similarities[j])
                for j in (i - 1, i + 1)
                if 0 <= j < len(statements) and statements[j].n == statements[i].n
            ),
            default=0.0,
        )
        for i in range(len(statements))
    ]
