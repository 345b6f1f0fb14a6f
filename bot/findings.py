"""What the documents have on a question: search, statements, their order, and how likely they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bot import quotes, ranking, relevance
from bot.evidence import Evidence, Vocabulary
from bot.followup import search_query
from bot.prompt import Passage
from knowledge.documents import Hit
from knowledge.embedding import Embedder
from knowledge.lexical import content


class Search(Protocol):
    """The part of the knowledge layer that answering needs; its methods block."""

    def search(self, query: str, *, sources: frozenset[str], top_k: int) -> list[Hit]: ...

    @property
    def embedder(self) -> Embedder: ...

    @property
    def vocabulary(self) -> Vocabulary: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What the documents have on a question."""

    evidence: Evidence
    scores: npt.NDArray[np.float64]
    """Of the evidence's statements, see `bot.ranking`."""
    relevance: float
    quotes: list[quotes.Quote]

    @property
    def is_doubtful(self) -> bool:
        """Whether what was found is near the question, and perhaps no answer to it."""
        quoted = {quote.statement.n for quote in self.quotes}
        return self.relevance < relevance.ANSWER or bool(relevance.unmentioned(self.evidence, quoted))

    @property
    def passages(self) -> list[Passage]:
        """The passages of the best statements, best first, under the numbers they are cited by."""
        numbers = dict.fromkeys(quote.statement.n for quote in self.quotes)
        return [(n, self.evidence.hits[n - 1]) for n in numbers]


def find(
    search: Search, question: str, *, earlier: Sequence[str], sources: frozenset[str], top_k: int
) -> Found:
    """Search those sources for the question, with the thread's `earlier` ones when it leans on them.

    Blocking work, for a thread. Raises `KnowledgeError`.
    """
    vocabulary = search.vocabulary
    query = search_query(
        vocabulary.corrected(question),
        earlier=earlier,
        analyse=lambda text: vocabulary.analyse(content(text)),
    )
    hits = search.search(query, sources=sources, top_k=top_k)
    evidence = Evidence(query, hits, embedder=search.embedder, vocabulary=vocabulary, asked=question)
    scores = ranking.scores(ranking.feature_matrix(evidence))
    return Found(
        evidence,
        scores,
        relevance=relevance.probability(scores),
        quotes=quotes.best_quotes(evidence, scores),
    )
