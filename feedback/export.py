"""Answers and votes as JSON Lines and CSV, for people and for other tools.

JSON Lines: one object for each turn, with every field of `feedback.records.Turn` under its own name, times in
ISO 8601, and `votes`, a list of objects with the fields of `Vote`. Nothing is left out.

CSV: one row for each turn, for a spreadsheet. The columns are `CSV_FIELDS`: the turn's own fields, and

    sources            addresses of the cited passages, one on a line
    dropped            sentences that failed the check, one on a line
    up, down           how many votes
    reasons, comments  of the votes that have one, one on a line

A cell that a spreadsheet could take for a formula gets a leading apostrophe, so CSV is not for reading back.

Both take an iterable (`FeedbackStore.iterate`), hold one turn at a time and return how many they wrote.
"""

import csv
import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import TextIO

from feedback.store import RatedTurn

CSV_FIELDS = (
    *("id", "started_at", "platform", "conversation_id", "thread_id", "user_id", "question", "answer"),
    *("mode", "outcome", "error", "up", "down", "reasons", "comments", "sources", "dropped"),
    *("model_id", "prompt_id", "retrieve_ms", "first_text_ms", "total_ms"),
)

_FORMULA = re.compile(r"[\s\x00-\x1f]*[=+\-@＝＋－＠]|[\t\r\n]")
"""OWASP, "CSV Injection": the four signs (also full-width, also behind blanks), tab and ends of lines."""


def write_jsonl(rated: Iterable[RatedTurn], stream: TextIO) -> int:
    """Write every field of every turn; open the stream with `encoding="utf-8"`."""
    count = 0
    for count, one in enumerate(rated, start=1):  # noqa: B007 - the last number is the result
        record = asdict(one.turn) | {"votes": [asdict(vote) for vote in one.votes]}
        stream.write(json.dumps(record, ensure_ascii=False, default=_moment) + "\n")
    return count


def write_csv(rated: Iterable[RatedTurn], stream: TextIO) -> int:
    """Write the flat view; open the stream with `encoding="utf-8", newline=""`."""
    writer = csv.DictWriter(stream, CSV_FIELDS)
    writer.writeheader()
    count = 0
    for count, one in enumerate(rated, start=1):  # noqa: B007 - the last number is the result
        writer.writerow({key: _cell(value) for key, value in _flat(one).items()})
    return count


def _flat(one: RatedTurn) -> dict[str, str | int | None]:
    derived: dict[str, str | int | None] = {
        "started_at": one.turn.started_at.isoformat(),
        "sources": "\n".join(source.uri for source in one.turn.sources),
        "dropped": "\n".join(one.turn.dropped),
        "up": sum(vote.score == 1 for vote in one.votes),
        "down": sum(vote.score == -1 for vote in one.votes),
        "reasons": "\n".join(vote.reason for vote in one.votes if vote.reason),
        "comments": "\n".join(vote.comment for vote in one.votes if vote.comment),
    }
    return {key: derived[key] if key in derived else getattr(one.turn, key) for key in CSV_FIELDS}


def _cell(value: str | int | None) -> str | int | None:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _moment(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no form in JSON")
