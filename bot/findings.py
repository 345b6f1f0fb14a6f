"""What the documents have on a question: search, statements, their order, and how likely they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bot import quotes, ranking, relevance
from bot.attachments import Attached, Cutter
from bot.evidence import Evidence, Vocabulary
from bot.followup import earlier_texts, leans_on, search_query
from bot.messages import Said
from bot.prompt import Passage
from knowledge.documents import Hit
from knowledge.lexical import content


class Search(Cutter, Protocol):
    """The part of the knowledge layer that answering needs; its methods block."""

    def search(self, query: str, *, sources: frozenset[str], top_k: int) -> list[Hit]: ...

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
    is_outline: bool = False
    """Whether it stands for files that the question asks about as a whole."""

    @property
    def is_doubtful(self) -> bool:
        """Whether what was found is near the question, and perhaps no answer to it."""
        if self.is_outline:
            return False
        quoted = {quote.statement.n for quote in self.quotes}
        return self.relevance < relevance.ANSWER or bool(relevance.unmentioned(self.evidence, quoted))

    @property
    def passages(self) -> list[Passage]:
        """The passages of the best statements, best first, under the numbers they are cited by; all of an outline."""
        if self.is_outline:
            return list(enumerate(self.evidence.hits, start=1))
        numbers = dict.fromkeys(quote.statement.n for quote in self.quotes)
        return [(n, self.evidence.hits[n - 1]) for n in numbers]


def find(
    search: Search,
    question: str,
    *,
    earlier: Sequence[str],
    sources: frozenset[str],
    top_k: int,
    context: Sequence[Said] = (),
    files: Attached | None = None,
) -> Found:
    """Search those sources and the thread's `files` for the question.

    When it leans on the thread, then with one of its `earlier` questions or with what people said there (`context`).
    Blocking work, for a thread. Raises `KnowledgeError`.
    """
    if files and files.is_subject(question):
        return _outline(search, question, files, top_k=top_k)
    vocabulary = search.vocabulary
    own = question if files else vocabulary.corrected(question)  # a word of a file may be in no document
    previous = leans_on(
        own,
        earlier=earlier_texts(context, questions=earlier),
        analyse=lambda text: vocabulary.analyse(content(text)),
    )
    query = search_query(own, previous)
    # "Can somebody answer this?" does not ask for a permission: what people said says what is asked for.
    asked = question if previous is None or previous in earlier else query
    in_thread = query
    if files:
        query = files.without_mention(query)
    hits = search.search(query, sources=sources, top_k=top_k)
    if files:
        hits = files.join(hits, query=query, question=in_thread)
    evidence = Evidence(query, hits, embedder=search.embedder, vocabulary=vocabulary, asked=asked)
    scores = ranking.scores(ranking.feature_matrix(evidence))
    return Found(
        evidence,
        scores,
        relevance=relevance.probability(scores),
        quotes=quotes.best_quotes(evidence, scores),
    )


def _outline(search: Search, question: str, files: Attached, *, top_k: int) -> Found:
    """The statements of the files that are most like the whole; the question says nothing to compare them with."""
    hits, centre = files.outline(question, most=top_k)
    evidence = Evidence(question, hits, embedder=search.embedder, vocabulary=search.vocabulary)
    scores = (evidence.vectors @ centre).astype(np.float64)
    return Found(
        evidence,
        scores,
        relevance=float(bool(evidence.statements)),
        quotes=quotes.best_quotes(evidence, scores),
        is_outline=True,
    )
