"""Questions and the documents they find: measured, remembered, and held against a new state of the index."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot import tables
from bot.config import SourceSettings
from bot.evaluations import Evaluation, Evaluations, RetrievalGate, evaluate, retrieval_questions
from feedback.errors import QuestionFileError
from feedback.evaluate import EvalQuestion
from knowledge.chunking import ChunkSettings
from knowledge.errors import EvaluationDropError
from knowledge.index import Index
from knowledge.lexical import Lexical
from knowledge.manifest import Manifest
from knowledge.planning import SyncReport
from knowledge.retriever import Retriever
from knowledge.schema import metadata
from knowledge.sources import FolderSource
from tests.knowledge.fakes import HashingEmbedder, MemoryStore

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)


def result(source: str = "docs", *, hours: int = 0, found: int = 3) -> Evaluation:
    return Evaluation(
        at=MORNING + timedelta(hours=hours),
        source=source,
        revision=hours + 1,
        questions=4,
        found=found,
        mrr=0.625,
        missed=("q2",),
    )


def test_results_are_remembered_by_source_newest_first(engine: sa.Engine) -> None:
    stored = Evaluations(engine)
    assert stored.latest("docs") is None
    for hours in (1, 3, 2):
        stored.add(result(hours=hours))
    stored.add(result("other", hours=4))
    assert stored.latest("docs") == result(hours=3)
    assert stored.history("docs", limit=2) == [result(hours=3), result(hours=2)]
    assert result(found=3).recall == 0.75


def write_questions(file: Path, *questions: dict[str, Any]) -> Path:
    file.write_text("\n".join(json.dumps(question) for question in questions), encoding="utf-8")
    return file


def asking(id_: str, question: str, *documents: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "question": question, "documents": documents, "fact": ["x"], **more}


def test_questions_without_documents_and_the_holdout_are_left_out(tmp_path: Path) -> None:
    file = write_questions(
        tmp_path / "q.jsonl",
        asking("q1", "alpha?", "a.md"),
        asking("q2", "unknown?"),
        asking("q3", "beta?", "b.md", holdout=True),
    )
    assert [question.id for question in retrieval_questions(file)] == ["q1"]
    write_questions(file, asking("q3", "beta?", "b.md", holdout=True))
    with pytest.raises(QuestionFileError, match="no question to search for: give one of them `documents`"):
        retrieval_questions(file)


class Shelf:
    """Documents in a folder, their index in memory, and a gate before it."""

    def __init__(self, folder: Path, engine: sa.Engine) -> None:
        self.root = folder / "docs"
        self.root.mkdir()
        self.questions = folder / "questions.jsonl"
        self.lock = folder / "lock"
        self.engine = engine
        metadata.create_all(engine)
        self.store = MemoryStore()
        self.embedder = HashingEmbedder(dimension=256)
        self.stored = Evaluations(engine)
        self.asked: list[tuple[str, int, int]] = []

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.root / f"{name}.md").write_text(text, encoding="utf-8")

    def gate(self, *, force: bool = False, tolerance: float = 0.05) -> RetrievalGate:
        source = SourceSettings.model_construct(
            name="docs", path=self.root, evaluation=self.questions, tolerance=tolerance
        )
        plain = SourceSettings.model_construct(name="plain", path=self.root, evaluation=None)
        return RetrievalGate(
            [plain, source],
            self.stored,
            top_k=8,
            force=force,
            on_question=lambda *where: self.asked.append(where),
        )

    def sync(self, gate: RetrievalGate) -> SyncReport:
        settings = ChunkSettings(capacity=40, minimum=5)
        index = Index(self.engine, self.store, self.embedder, settings, self.lock)
        return index.sync([FolderSource("docs", self.root, frozenset({"everyone"}))], gate=gate)

    @property
    def retriever(self) -> Retriever:
        return Retriever(Manifest(self.engine), self.store, self.embedder, Lexical())


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'shelf.db'}")
    tables.metadata.create_all(engine)
    made = Shelf(tmp_path, engine)
    made.write(
        hotels="# Hotels\n\nA hotel may cost 140 EUR a night.",
        trains="# Trains\n\nBook trains two weeks ahead.",
        coffee="# Coffee\n\nThe machine is cleaned on Fridays.",
    )
    write_questions(
        made.questions,
        asking("q1", "what may a hotel cost a night?", "hotels.md"),
        asking("q2", "how long ahead do I book trains?", "elsewhere.md", "./trains.md"),
        asking("q3", "and on Mondays?", "coffee.md", history=["when is the coffee machine cleaned?"]),
        asking("q4", "who drives the bus?", "missing.md"),
    )
    yield made
    engine.dispose()


def test_what_questions_find(shelf: Shelf) -> None:
    shelf.sync(shelf.gate())
    ticks: list[None] = []
    found = evaluate(
        shelf.retriever,
        retrieval_questions(shelf.questions),
        source="docs",
        revision=7,
        top_k=3,
        tick=lambda: ticks.append(None),
    )
    assert (found.source, found.revision, found.questions, found.found) == ("docs", 7, 4, 3)
    assert found.missed == ("q4",)
    assert found.mrr == 0.75
    assert len(ticks) == 4


def test_a_passage_after_the_fifth_is_not_found_but_counts_in_the_rank(shelf: Shelf) -> None:
    for number in range(5):
        shelf.write(**{f"near{number}": f"# Hotels\n\nhotel cost night number{number} {number}"})
    shelf.write(far="# Other\n\nhotel and something else entirely, with many other words in it")
    shelf.sync(shelf.gate())
    questions = [EvalQuestion(id="q1", question="hotel cost night", documents=("far.md",))]
    found = evaluate(shelf.retriever, questions, source="docs", revision=1, top_k=8)
    assert (found.found, found.missed) == (0, ("q1",))
    assert 0 < found.mrr <= 1 / 6


def test_the_first_state_of_a_source_is_measured_and_not_stopped(shelf: Shelf) -> None:
    (shelf.root / "hotels.md").unlink()
    gate = shelf.gate()
    shelf.sync(gate)
    (result,) = gate.results
    assert (result.source, result.revision, result.found, result.questions) == ("docs", 1, 2, 4)
    assert shelf.asked == [("docs", done, 4) for done in range(4)]


def test_a_fall_stops_the_new_state_and_names_the_questions(shelf: Shelf) -> None:
    shelf.sync(shelf.gate())
    (shelf.root / "hotels.md").unlink()
    shelf.asked.clear()
    with pytest.raises(
        EvaluationDropError, match=r"docs: the new state finds 2 of 4 .* 3 of 4, .* 5%"
    ) as caught:
        shelf.sync(shelf.gate())
    error = caught.value
    assert (error.source, error.before, error.after) == ("docs", (3, 4), (2, 4))
    assert error.missed == ("what may a hotel cost a night?",)
    assert Manifest(shelf.engine).live_counts()["docs"][0] == 3
    assert shelf.asked == [("docs", done, 8) for done in range(8)]

    gate = shelf.gate(force=True)
    assert shelf.sync(gate).embedded == 0
    assert [(result.found, result.revision) for result in gate.results] == [(2, 2)]
    assert Manifest(shelf.engine).live_counts()["docs"][0] == 2


def test_a_fall_within_the_tolerance_passes(shelf: Shelf) -> None:
    shelf.sync(shelf.gate())
    (shelf.root / "hotels.md").unlink()
    shelf.sync(shelf.gate(tolerance=0.25))
    assert Manifest(shelf.engine).live_counts()["docs"][0] == 2


def test_questions_that_were_never_found_stop_nothing(shelf: Shelf) -> None:
    shelf.sync(shelf.gate())
    shelf.write(more="# More\n\nSomething else.")
    gate = shelf.gate()
    shelf.sync(gate)
    assert gate.results[0].missed == ("q4",)


@pytest.mark.parametrize("text", [None, "no json", "", '{"id": "q1", "question": "?"}'])
def test_a_broken_question_set_is_told_of_and_stops_nothing(shelf: Shelf, text: str | None) -> None:
    shelf.sync(shelf.gate())
    (shelf.root / "hotels.md").unlink()
    shelf.questions.unlink()
    if text is not None:
        shelf.questions.write_text(text, encoding="utf-8")
    gate = shelf.gate()
    shelf.sync(gate)
    assert gate.results == []
    assert gate.notes["docs"].startswith(f"Its questions were not tried: {shelf.questions}")


def test_with_another_embedding_model_the_last_result_is_what_counts(shelf: Shelf) -> None:
    gate = shelf.gate()
    shelf.sync(gate)
    (shelf.root / "hotels.md").unlink()
    shelf.embedder = HashingEmbedder(name="other", dimension=256)
    shelf.stored.add(gate.results[0])
    with pytest.raises(EvaluationDropError) as caught:
        shelf.sync(shelf.gate())
    assert caught.value.before == (3, 4)
    assert caught.value.missed == ("what may a hotel cost a night?",)


def test_with_another_embedding_model_and_no_result_nothing_is_stopped(shelf: Shelf) -> None:
    shelf.sync(shelf.gate())
    (shelf.root / "hotels.md").unlink()
    shelf.embedder = HashingEmbedder(name="other", dimension=256)
    shelf.sync(shelf.gate())
    assert Manifest(shelf.engine).live_counts()["docs"][0] == 2
