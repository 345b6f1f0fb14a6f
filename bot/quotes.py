"""Answers taken word for word from the documents.

They serve when there is no model, when it is down, and when what it wrote did not survive the check.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.evidence import Evidence, Statement

COVERAGE_WEIGHT = 0.5
"""Weight of shared words against meaning (cosine) in a statement's score."""
MARGIN = 0.12
"""A further statement is quoted when its score is at most this far below the best."""
MOST = 3


@dataclass(frozen=True, slots=True)
class Quote:
    """A statement worth showing."""

    statement: Statement
    score: float

    def markdown(self) -> str:
        """The words as they stand in the document, as a block quote with the passage's number."""
        lines = self.statement.unit.display.strip().splitlines()
        return "\n".join(f"> {line}" for line in lines) + f"\n> [{self.statement.n}]"


def scores(evidence: Evidence) -> npt.NDArray[np.float32]:
    """How well each statement answers the question, shape (m,); higher is better."""
    return evidence.similarities + np.float32(COVERAGE_WEIGHT) * evidence.coverages


def best_quotes(evidence: Evidence, *, most: int = MOST) -> list[Quote]:
    """The best one to `most` statements, best first; the same words are never quoted twice."""
    values = scores(evidence)
    chosen: list[Quote] = []
    for index in np.argsort(-values, kind="stable"):
        statement = evidence.statements[index]
        if chosen and values[index] < chosen[0].score - MARGIN:
            break
        if any(statement.unit.text.strip() == quote.statement.unit.text.strip() for quote in chosen):
            continue
        chosen.append(Quote(statement, float(values[index])))
        if len(chosen) == most:
            break
    return chosen


def render(quotes: Sequence[Quote]) -> str:
    """The quotes as one Markdown text."""
    return "\n\n".join(quote.markdown() for quote in quotes)
