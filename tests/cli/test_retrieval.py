"""`parley eval retrieval --beir`, in the terminal."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Parley


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "collection"
    folder.mkdir()
    texts = {"a": "A hotel may cost 148 EUR.", "b": "The coffee machine is cleaned on Fridays."}
    rows = [{"_id": id_, "title": "", "text": text} for id_, text in texts.items()]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "what may a hotel cost"}', encoding="utf-8")
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta\t1\n", encoding="utf-8")
    return folder


def test_a_collection_is_measured_and_leaves_nothing_behind(parley: Parley, collection: Path) -> None:
    before = sorted(collection.parent.rglob("*"))
    told = parley("eval", "retrieval", "--beir", str(collection))  # there is no parley.toml
    assert told.code == 0
    assert "1 queries on 2 documents in 2 passages, all-MiniLM-L6-v2@" in told.out
    assert "nDCG@10    1.000  (1.000 to 1.000)" in told.out
    found = parley("eval", "retrieval", "--beir", str(collection), "--json").json
    assert (found["documents"], found["passages"], found["queries"]) == (2, 2, 1)
    assert found["figures"]["recall_at_20"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert set(found["figures"]) == {"ndcg_at_10", "recall_at_5", "recall_at_20", "mrr"}
    assert sorted(collection.parent.rglob("*")) == before


def test_the_settings_of_the_folder_are_used(parley: Parley, folder: Path, collection: Path) -> None:
    with (folder / "parley.toml").open("a", encoding="utf-8") as file:
        file.write('[knowledge]\nembedding_model = "nowhere/at-all"\n')
    assert "nowhere/at-all" in parley("eval", "retrieval", "--beir", str(collection)).err


def test_a_collection_is_no_source(parley: Parley, folder: Path) -> None:
    assert "not both" in parley("eval", "retrieval", "docs", "--beir", str(folder)).err
    assert "your own sources" in parley("eval", "retrieval", "--beir", str(folder), "--tradeoff").err
    assert "corpus.jsonl cannot be read" in parley("eval", "retrieval", "--beir", str(folder)).err
