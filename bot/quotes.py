"""Answers taken word for word from the documents.

They serve when there is no model, when it is down, and when what it wrote did not survive the check.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.evidence import Evidence, Statement

MOST = 3
MARGIN = 4.0
"""A further statement is quoted when its score is at most this far below the best."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A statement worth showing."""

    statement: Statement
    score: float

    def markdown(self) -> str:
        """The words as they stand in the document, as a block quote with the passage's number."""
        lines = self.statement.unit.display.strip().splitlines()
        return "\n".join(f"> {line}" for line in lines) + f"\n>\n> [{self.statement.n}]"


def best_quotes(
    evidence: Evidence, scores: npt.NDArray[np.float64], *, most: int = MOST, margin: float = MARGIN
) -> list[Quote]:
    """The best one to `most` statements by `scores`, best first; the same words are never quoted twice."""
    chosen: list[Quote] = []
    seen: set[str] = set()
    for index in np.argsort(-scores, kind="stable"):
        statement, score = evidence.statements[index], float(scores[index])
        if chosen and score < chosen[0].score - margin:
            break
        words = " ".join(statement.unit.display.split())
        if words in seen:
            continue
        seen.add(words)
        chosen.append(Quote(statement, score))
        if len(chosen) == most:
            break
    return chosen


def render(quotes: Sequence[Quote]) -> str:
    """The quotes as one Markdown text."""
    return "\n\n".join(quote.markdown() for quote in quotes)
