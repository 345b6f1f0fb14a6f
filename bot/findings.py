"""What the documents have on a question: search, statements, their order, and how likely they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from bot import quotes, ranking, relevance, selection
from bot.attachments import Attached, Cutter
from bot.evidence import Evidence
from bot.prompt import Passage
from bot.understanding import Understood, Words
from knowledge.documents import Hit
from knowledge.filters import Filter


class Search(Cutter, Words, Protocol):
    """The part of the knowledge layer that answering needs; its methods block."""

    def search(self, query: str, *, sources: frozenset[str], top_k: int, where: Filter) -> list[Hit]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What the documents have on a question."""

    evidence: Evidence
    scores: npt.NDArray[np.float64]
    """Of the evidence's statements, see `bot.ranking`."""
    relevance: float
    quotes: list[quotes.Quote]
    passages: list[Passage]
    """What the model reads of the passages, best first, under the numbers they are cited by; all of an outline."""
    is_outline: bool = False
    """Whether it stands for files that the question asks about as a whole."""

    @property
    def is_doubtful(self) -> bool:
        """Whether what was found is near the question, and perhaps no answer to it."""
        if self.is_outline:
            return False
        quoted = {quote.statement.n for quote in self.quotes}
        return self.relevance < relevance.ANSWER or bool(relevance.unmentioned(self.evidence, quoted))


def find(
    search: Search,
    question: Understood,
    *,
    sources: frozenset[str],
    top_k: int,
    files: Attached | None = None,
    context_tokens: int = selection.BUDGET,
) -> Found:
    """Search those sources and the thread's `files` for the question; the files only if it names no filter.

    Of the passages at most `context_tokens` are read by the model, as the embedding model counts them.

    Blocking work, for a thread. Raises `KnowledgeError`.
    """
    if question.where:
        files = None
    if files and files.is_subject(question.text):
        return _outline(search, question.text, files, sources=sources, top_k=top_k)
    query = files.without_mention(question.query) if files else question.query
    hits = search.search(query, sources=sources, top_k=top_k, where=question.where)
    if files:
        hits = files.join(hits, query=query, question=question.query)
    evidence = Evidence(
        query,
        hits,
        embedder=search.embedder,
        vocabulary=search.vocabulary_of(sources),
        asked=question.asked,
    )
    scores = ranking.scores(ranking.feature_matrix(evidence))
    return Found(
        evidence,
        scores,
        relevance=relevance.probability(scores),
        quotes=quotes.best_quotes(evidence, scores),
        passages=selection.select(
            evidence, scores, count_tokens=counter(search.embedder.tokenizer), budget=context_tokens
        ),
    )


def counter(tokenizer: Tokenizer) -> selection.CountTokens:
    """Counts with that tokenizer."""

    def count(texts: Sequence[str]) -> list[int]:
        return [len(one.ids) for one in tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    return count


def _outline(search: Search, question: str, files: Attached, *, sources: frozenset[str], top_k: int) -> Found:
    """The statements of the files that are most like the whole; the question says nothing to compare them with."""
    hits, centre = files.outline(question, most=top_k)
    vocabulary = search.vocabulary_of(sources)
    evidence = Evidence(question, hits, embedder=search.embedder, vocabulary=vocabulary)
    scores = (evidence.vectors @ centre).astype(np.float64)
    return Found(
        evidence,
        scores,
        relevance=float(bool(evidence.statements)),
        quotes=quotes.best_quotes(evidence, scores),
        passages=list(enumerate(evidence.hits, start=1)),
        is_outline=True,
    )
