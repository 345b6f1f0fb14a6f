"""Exports hold everything, and a spreadsheet runs nothing."""

import csv
import io
import json
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from feedback.export import CSV_FIELDS, write_csv, write_jsonl
from feedback.records import SourceRecord, Turn, Vote
from feedback.store import RatedTurn
from tests.feedback.conftest import START, make_turn

texts = st.text(st.characters(codec="utf-8"))
rated_turns = st.lists(
    st.builds(
        lambda question, answer, score, comments: RatedTurn(
            make_turn(question=question, answer=answer, first_text_ms=score, error=question or None),
            tuple(
                Vote(turn_id="t0000", user_id=str(n), score=1, comment=comment, created_at=START)
                for n, comment in enumerate(comments)
            ),
        ),
        texts,
        texts,
        st.none() | st.integers(0, 10**6),
        st.lists(texts, max_size=3),
    ),
    max_size=5,
)


def _read(line: str) -> RatedTurn:
    record: dict[str, Any] = json.loads(line)
    votes = [
        vote | {"created_at": datetime.fromisoformat(vote["created_at"])} for vote in record.pop("votes")
    ]
    record["started_at"] = datetime.fromisoformat(record["started_at"])
    for key in ("sources", "retrieved"):
        record[key] = tuple(SourceRecord(**source) for source in record[key])
    record["dropped"] = tuple(record["dropped"])
    return RatedTurn(Turn(**record), tuple(Vote(**vote) for vote in votes))


@given(rated_turns)
def test_jsonl_loses_nothing(rated: list[RatedTurn]) -> None:
    stream = io.StringIO(newline="\n")
    assert write_jsonl(rated, stream) == len(rated)
    assert [_read(line) for line in stream.getvalue().split("\n")[:-1]] == rated


@given(rated_turns)
def test_csv_cells_are_the_text_or_guarded(rated: list[RatedTurn]) -> None:
    stream = io.StringIO(newline="")
    assert write_csv(rated, stream) == len(rated)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))
    assert len(rows) == len(rated)
    for row, one in zip(rows, rated, strict=True):
        assert row["answer"].removeprefix("'") == one.turn.answer.removeprefix("'")
        assert int(row["up"]) == len(one.votes)
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())


def test_formulas_get_an_apostrophe() -> None:
    nasty = ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1", "＝1", "\n+1"]
    stream = io.StringIO(newline="")
    write_csv([RatedTurn(make_turn(question=text), ()) for text in [*nasty, "1-1", "'=1"]], stream)
    rows = csv.DictReader(io.StringIO(stream.getvalue(), newline=""))
    assert [row["question"] for row in rows] == [*[f"'{text}" for text in nasty], "1-1", "'=1"]


def test_nothing_to_export_is_a_header() -> None:
    stream = io.StringIO()
    assert write_csv([], stream) == 0
    assert stream.getvalue().strip() == ",".join(CSV_FIELDS)
