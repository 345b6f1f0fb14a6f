"""Evaluating a source, forcing a new state through, and going back, in the terminal."""

import json
from pathlib import Path

from tests.cli.conftest import Parley


def test_a_drop_is_shown_forced_and_taken_back(parley: Parley, folder: Path) -> None:
    assert "No source has questions" in parley("eval", "retrieval").err
    assert "no earlier state" in parley("rollback").err
    questions = [
        {
            "id": "q1",
            "question": "What may a hotel in Vienna cost?",
            "documents": ["travel.md"],
            "fact": ["148"],
        },
        {
            "id": "q2",
            "question": "How many days of leave do I get?",
            "documents": ["leave.md"],
            "fact": ["28"],
        },
    ]
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, questions)), encoding="utf-8")
    with (folder / "parley.toml").open("a", encoding="utf-8") as file:
        file.write('evaluation = "questions.jsonl"\n')
    parley("reindex")
    measured = parley("eval", "retrieval", "docs", "--json").json
    assert (measured[0]["found"], measured[0]["questions"], measured[0]["missed"]) == (2, 2, [])
    assert "tradeoff" not in measured[0]
    rows = parley("eval", "retrieval", "--tradeoff", "--json").json[0]["tradeoff"]
    assert {row["in_use"] for row in rows} == {None, "answer", "show"}
    assert all(row["answerable"] == row["unanswerable"] == 2 for row in rows)
    told = parley("eval", "retrieval", "--tradeoff").out
    assert "docs: 2 questions with an answer, 2 without" in told
    assert "answered from here on" in told

    (folder / "docs" / "travel.md").unlink()
    stopped = parley("reindex")
    assert stopped.code == 1
    assert "- What may a hotel in Vienna cost?" in stopped.err
    assert "`parley reindex --force` shows the new state anyway" in stopped.err
    assert "docs: the new state finds 1 of 2 questions" in stopped.err
    assert "2 of 2 questions find their document" in parley("eval", "retrieval").out

    assert "1 removed" in parley("reindex", "--force").out
    told = parley("eval", "retrieval").out
    assert "docs: 1 of 2 questions find their document among the first 5 passages (50%, 95% interval" in told
    assert "not found: q1" in told

    assert "docs: of its documents 1 would come back" in parley("rollback", "--dry-run").out
    assert parley("rollback", "--json").json["sources"] == [
        {"name": "docs", "added": 1, "changed": 0, "deleted": 0}
    ]
    assert parley("eval", "retrieval", "--json").json[0]["found"] == 2


def test_questions_that_cannot_be_read_are_told_of(parley: Parley, folder: Path) -> None:
    with (folder / "parley.toml").open("a", encoding="utf-8") as file:
        file.write('evaluation = "missing.jsonl"\n')
    done = parley("reindex")
    assert done.code == 0
    assert "Its questions were not tried" in done.out
    assert "missing.jsonl cannot be read" in parley("eval", "retrieval", "docs").err
