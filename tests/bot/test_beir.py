"""Test collections: read, searched as anybody's documents are, and judged."""

import json
from pathlib import Path

import pytest

from bot.beir import Collection, Figures, read_collection, search
from bot.config import KnowledgeSettings
from bot.errors import UsageError
from knowledge.planning import Progress

DOCUMENTS = {
    "hotels": ("Hotels", "A hotel room in Vienna may cost up to 148 EUR per night."),
    "leave": ("Leave", "Full-time employees get 28 days of paid leave a year."),
    "untitled": ("", "The coffee machine in the kitchen is cleaned on Fridays."),
    "empty": ("", "  "),
}
QUERIES = {"q1": "What may a hotel cost?", "q2": "When is the coffee machine cleaned?", "q3": "not judged"}


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    rows = [{"_id": id_, "title": title, "text": text} for id_, (title, text) in DOCUMENTS.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    asked = [{"_id": id_, "text": text, "metadata": {}} for id_, text in QUERIES.items()]
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, asked)) + "\n\n", encoding="utf-8")
    judge(tmp_path, "query-id\tcorpus-id\tscore\nq1\thotels\t2\nq1\tleave\t0\nq2\tuntitled\t1\n")
    return tmp_path


def judge(folder: Path, judgements: str) -> None:
    (folder / "qrels.tsv").write_text(judgements, encoding="utf-8")


def test_a_collection_is_searched_like_anybodys_documents(collection: Path) -> None:
    seen: list[Progress] = []
    read = read_collection(collection)
    run = search(read, knowledge=KnowledgeSettings(), on_progress=seen.append)
    assert {query: ranked[0] for query, ranked in run.rankings.items()} == {"q1": "hotels", "q2": "untitled"}
    assert set(run.rankings["q1"]) <= {"hotels", "leave", "untitled"}
    assert (run.documents, run.passages) == (3, 3)  # what holds no text is not indexed
    assert run.embedding_model.startswith("all-MiniLM-L6-v2@")
    assert [one.done for one in seen if one.stage == "evaluate"] == [0, 1]
    figures = Figures.of(read, run.rankings)
    assert figures.ndcg_at_10.value == figures.mrr.value == figures.recall_at_5.value == 1


def test_many_passages_of_a_document_are_one_place_of_the_ranking(collection: Path) -> None:
    sections = "\n\n".join(
        f"## Part {n}\n\nA hotel may cost {n} EUR. " + "Nothing else is said here. " * 30 for n in range(8)
    )
    with (collection / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n" + json.dumps({"_id": "long", "title": "Prices", "text": sections}))
    run = search(read_collection(collection), knowledge=KnowledgeSettings())
    assert run.passages >= 8 + 3
    assert sorted(run.rankings["q1"]) == ["hotels", "leave", "long", "untitled"]


def test_only_judged_queries_and_relevant_documents_count(collection: Path) -> None:
    read = read_collection(collection)
    assert list(read.queries) == ["q1", "q2"]
    assert read.gains == {"q1": {"hotels": 2.0}, "q2": {"untitled": 1.0}}
    judge(collection, "q1\tleave\t1\nq1\tnowhere\t1\nq9\tleave\t1\n")
    assert read_collection(collection).gains == {"q1": {"leave": 1.0}}


def test_judgements_where_beir_keeps_them(collection: Path) -> None:
    (collection / "qrels").mkdir()
    (collection / "qrels.tsv").rename(collection / "qrels" / "test.tsv")
    assert list(read_collection(collection).queries) == ["q1", "q2"]


def test_what_is_wrong_with_a_collection_is_said(collection: Path) -> None:
    judge(collection, "q1\thotels\t2\nq1 leave 1\n")
    with pytest.raises(UsageError, match=r"qrels\.tsv, line 2: write query, document and a grade"):
        read_collection(collection)
    judge(collection, "query-id\tcorpus-id\tscore\n")
    with pytest.raises(UsageError, match="check that all three use the same ids"):
        read_collection(collection)
    (collection / "queries.jsonl").write_text('{"_id": "q1", "text": "hotel"}\n{"_id": 7}', encoding="utf-8")
    with pytest.raises(UsageError, match=r"queries\.jsonl, line 2: give the object `_id` and `text`"):
        read_collection(collection)
    (collection / "queries.jsonl").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=r"queries\.jsonl, line 1: this is no JSON object"):
        read_collection(collection)
    (collection / "corpus.jsonl").unlink()
    with pytest.raises(UsageError, match=r"corpus\.jsonl cannot be read; a collection has corpus\.jsonl"):
        read_collection(collection)


def test_figures_by_hand() -> None:
    read = Collection({}, {"a": "", "b": ""}, {"a": {"x": 2.0, "y": 1.0}, "b": {"z": 1.0}})
    figures = Figures.of(read, {"a": ["y", "n", "x"], "b": ["n", "m"]})
    # (1 + 2 / 2) / (2 + 1 / log2(3)) for the first query, nothing for the second
    assert figures.ndcg_at_10.value == pytest.approx(2 / 2.6309297535714573 / 2)
    assert figures.recall_at_5.value == figures.recall_at_20.value == 0.5
    assert figures.mrr.value == 0.5
    assert figures.mrr.interval.low <= 0.5 <= figures.mrr.interval.high
