"""Where to draw the line between answering and "I don't know": what each threshold would do to a source's questions.

Measured on the source's own set of questions. Those without documents have no answer there; and each of the others is
asked once more with the documents that answer it hidden, which is what a question near the documents looks like. It is
counted whether an answer would be given at all, not whether it is right. Questions marked as `holdout` are left out.

Everything here blocks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from bot import quotes, ranking, relevance
from bot.evidence import Evidence
from bot.findings import Search
from bot.understanding import understand
from feedback.evaluate import EvalQuestion
from feedback.metrics import Proportion
from knowledge.documents import Hit
from knowledge.loaders import document_id

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one threshold would do."""

    threshold: float
    answered: Proportion
    """Of the questions with an answer."""
    declined: Proportion
    """Of those without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tradeoff:
    """The estimates for the questions of a source, each 0 to 1."""

    source: str
    answerable: tuple[float, ...]
    unanswerable: tuple[float, ...]

    def at(self, threshold: float) -> Row:
        return Row(
            threshold=threshold,
            answered=Proportion(sum(p >= threshold for p in self.answerable), len(self.answerable)),
            declined=Proportion(sum(p < threshold for p in self.unanswerable), len(self.unanswerable)),
        )

    @property
    def rows(self) -> list[Row]:
        """Of several thresholds and the two that are in use, in rising order."""
        return [self.at(one) for one in sorted({*THRESHOLDS, relevance.ANSWER, relevance.SHOW})]

    @property
    def rows_json(self) -> list[dict[str, object]]:
        return [
            {
                "threshold": row.threshold,
                "answered": row.answered.count,
                "answerable": row.answered.total,
                "declined": row.declined.count,
                "unanswerable": row.declined.total,
                "in_use": {relevance.ANSWER: "answer", relevance.SHOW: "show"}.get(row.threshold),
            }
            for row in self.rows
        ]


def measure(
    search: Search,
    questions: Sequence[EvalQuestion],
    *,
    source: str,
    top_k: int,
    tick: Callable[[], None] = lambda: None,
) -> Tradeoff:
    """Estimate every question of the set, with and without what answers it; `tick` is called before each.

    `documents` of the questions are paths within the source. Raises `KnowledgeError`.
    """
    answerable: list[float] = []
    unanswerable: list[float] = []
    for question in questions:
        if question.holdout:
            continue
        tick()
        estimates = list(_estimates(search, question, source=source, top_k=top_k))
        if question.documents:
            answerable.append(estimates[0])
        unanswerable.append(estimates[-1])
    return Tradeoff(source=source, answerable=tuple(answerable), unanswerable=tuple(unanswerable))


def lines(tradeoff: Tradeoff) -> Iterator[str]:
    """As text for people: a line for each threshold, those in use marked."""
    yield (
        f"{tradeoff.source}: {len(tradeoff.answerable)} questions with an answer, {len(tradeoff.unanswerable)} "
        "without (the first once more with their documents hidden among them)"
    )
    yield "  threshold   answered          declined"
    in_use = {relevance.ANSWER: "  answered from here on", relevance.SHOW: "  shown as doubtful from here on"}
    for row in tradeoff.rows:
        shares = f"{_share(row.answered):<16}  {_share(row.declined):<16}"
        yield f"  {row.threshold:<9.2f}   {shares}{in_use.get(row.threshold, '')}".rstrip()


def _share(part: Proportion) -> str:
    return f"{part.count} of {part.total} ({part.count / part.total:.0%})" if part.total else "none"


def _estimates(search: Search, question: EvalQuestion, *, source: str, top_k: int) -> Iterator[float]:
    """For the question as it is, and where it has documents, for the same with those hidden."""
    understood = understand(search, question.question, earlier=question.history, sources=frozenset({source}))
    wanted = {document_id(source, PurePosixPath(path).as_posix()) for path in question.documents}
    found = search.search(
        understood.query, sources=frozenset({source}), top_k=3 * top_k, where=understood.where
    )

    def estimate(hits: Sequence[Hit]) -> float:
        evidence = Evidence(
            understood.query,
            hits[:top_k],
            embedder=search.embedder,
            vocabulary=search.vocabulary_of(frozenset({source})),
            asked=understood.asked,
        )
        scores = ranking.scores(ranking.feature_matrix(evidence))
        quoted = {quote.statement.n for quote in quotes.best_quotes(evidence, scores)}
        # A name that is not mentioned is declined whatever the estimate.
        return 0.0 if relevance.unmentioned(evidence, quoted) else relevance.probability(scores)

    yield estimate(found)
    if wanted:
        yield estimate([hit for hit in found if hit.chunk.document_id not in wanted])
