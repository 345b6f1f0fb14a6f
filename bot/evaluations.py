"""How well the questions of a source find their documents: measured, remembered, and held against a new state.

Measured is the search alone, as an answer would begin with it: whether a document that holds the answer is among the
first passages. Nothing is said about the answers themselves; `feedback.evaluate` judges those. Questions marked as
`holdout` are left out everywhere, so that nothing is ever chosen by them.

Everything here blocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import fsum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bot.config import SourceSettings
from bot.database import transaction
from bot.followup import leans_on, search_query
from bot.tables import evaluations
from feedback.errors import QuestionFileError
from feedback.evaluate import RECALL_K, EvalQuestion, load_questions
from feedback.metrics import rank_of_first
from knowledge.errors import EvaluationDropError, IndexOutdatedError
from knowledge.lexical import Words, content

if TYPE_CHECKING:
    from knowledge.candidate import Candidate
    from knowledge.retriever import Retriever

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The questions of one source, tried on one revision of the index."""

    at: datetime
    source: str
    revision: int
    questions: int
    found: int
    """Those with a right document among the first `RECALL_K` passages."""
    mrr: float
    """Mean of 1 / rank of the first passage from a right document."""
    missed: tuple[str, ...]
    """Ids of the questions that are not among the found."""

    @property
    def recall(self) -> float:
        """The share of the questions that were found; there is always at least one question."""
        return self.found / self.questions


class Evaluations:
    """What was measured, kept for good. Every method may raise `DatabaseError`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, evaluation: Evaluation) -> None:
        """Remember it."""
        row = asdict(evaluation) | {"missed": list(evaluation.missed)}
        with transaction(self._engine) as connection:
            connection.execute(sa.insert(evaluations), row)

    def latest(self, source: str) -> Evaluation | None:
        """The newest of a source; None when it has never been evaluated."""
        return next(iter(self.history(source, limit=1)), None)

    def history(self, source: str, *, limit: int) -> list[Evaluation]:
        """The last ones of a source, newest first."""
        table = evaluations
        names = ("at", "source", "revision", "questions", "found", "mrr", "missed")
        query = (
            sa.select(*(table.c[name] for name in names))
            .where(table.c.source == source)
            .order_by(table.c.at.desc(), table.c.id.desc())
            .limit(limit)
        )
        with transaction(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [Evaluation(**{**row, "missed": tuple(row["missed"])}) for row in rows]


def retrieval_questions(file: Path) -> list[EvalQuestion]:
    """The questions of a set that name documents, without the holdout; at least one. Raises `QuestionFileError`."""
    questions = [one for one in load_questions(file) if one.documents and not one.holdout]
    if not questions:
        raise QuestionFileError(
            f"{file} has no question to search for: give one of them `documents`, and do not mark it as `holdout`."
        )
    return questions


def evaluate(
    retriever: "Retriever",
    questions: Sequence[EvalQuestion],
    *,
    source: str,
    revision: int,
    top_k: int,
    tick: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Search a source for every question; `tick` is called before each. Raises `KnowledgeError`.

    `documents` of the questions are paths within the source.
    """
    from knowledge.loaders import document_id

    sources = frozenset({source})
    retriever.prepare(sources)
    words = retriever.lexical.within(sources)
    queries = [_query(question, words) for question in questions]
    found = retriever.search_each(queries, sources=sources, top_k=max(top_k, RECALL_K))
    ranks: dict[str, int | None] = {}
    for question in questions:
        tick()
        wanted = {document_id(source, PurePosixPath(path).as_posix()) for path in question.documents}
        ranks[question.id] = rank_of_first([hit.chunk.document_id for hit in next(found)], wanted)
    missed = tuple(id_ for id_, rank in ranks.items() if rank is None or rank > RECALL_K)
    return Evaluation(
        at=datetime.now(UTC),
        source=source,
        revision=revision,
        questions=len(questions),
        found=len(questions) - len(missed),
        mrr=fsum(1 / rank for rank in ranks.values() if rank) / len(questions),
        missed=missed,
    )


def _query(question: EvalQuestion, words: Words) -> str:
    """What is searched for when somebody asks this, see `bot.understanding`."""
    own = words.corrected(question.question)
    previous = leans_on(own, earlier=question.history, analyse=lambda text: words.analyse(content(text)))
    return search_query(own, previous)


class RetrievalGate:
    """Stops a new state of the index in which a source's questions find too much less, see `knowledge.candidate`.

    A source that is indexed for the first time has nothing to fall from. A question set that cannot be used stops
    nothing: a slip in a file of questions must not keep the documents from being current.
    """

    def __init__(
        self,
        sources: Sequence[SourceSettings],
        stored: Evaluations,
        *,
        top_k: int,
        force: bool,
        on_question: Callable[[str, int, int], None],
    ) -> None:
        """`force`: measure, and stop nothing. `on_question` gets the source, how many are done, and of how many."""
        self._sources = [source for source in sources if source.evaluation]
        self._stored = stored
        self._top_k = top_k
        self._force = force
        self._on_question = on_question
        self.results: list[Evaluation] = []
        """Of the new state; true once it has become visible."""
        self.notes: dict[str, str] = {}
        """By source, why it could not be evaluated: a sentence."""

    def __call__(self, candidate: "Candidate") -> None:
        """Raises `EvaluationDropError` for the first source whose questions find too much less."""
        for source in self._sources:
            if source.evaluation and source.name in candidate.changed:
                try:
                    questions = retrieval_questions(source.evaluation)
                except QuestionFileError as error:
                    self.notes[source.name] = f"Its questions were not tried: {error}"
                else:
                    self._compare(candidate, source, questions)

    def _compare(self, candidate: "Candidate", source: SourceSettings, questions: list[EvalQuestion]) -> None:
        total = len(questions) * (1 if source.name in candidate.new else 2)
        done = 0

        def tick() -> None:
            nonlocal done
            self._on_question(source.name, done, total)
            done += 1

        def tried(retriever: "Retriever", revision: int) -> Evaluation:
            return evaluate(
                retriever, questions, source=source.name, revision=revision, top_k=self._top_k, tick=tick
            )

        after = tried(candidate.after, candidate.revision)
        self.results.append(after)
        if source.name in candidate.new:
            return
        before: Evaluation | None
        try:
            before = tried(candidate.before, candidate.revision - 1)
        except IndexOutdatedError:  # the embedding model has changed, and the old one is not at hand
            before = self._stored.latest(source.name)
        if before is None or self._force or before.recall - after.recall <= source.tolerance + _ROUNDING:
            return
        raise EvaluationDropError(
            source=source.name,
            before=(before.found, before.questions),
            after=(after.found, after.questions),
            tolerance=source.tolerance,
            missed=[
                one.question for one in questions if one.id in after.missed and one.id not in before.missed
            ],
        )
