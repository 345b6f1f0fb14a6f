"""Questions are read strictly, answers judged by what they say."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.errors import QuestionFileError
from feedback.evaluate import EvalAnswer, EvalQuestion, contains, judge, load_questions, summarise
from feedback.metrics import Proportion

ASKED = EvalQuestion(
    id="q1", question="How many days?", documents=("leave.md",), answer="30 days", fact=("30 days|a month",)
)
NOT_THERE = EvalQuestion(id="q2", question="Who won?", tags=("offtopic",), holdout=True)


def _answer(text: str, **changes: Any) -> EvalAnswer:
    values: dict[str, Any] = {"mode": "written", "text": text, "ranked": (), "sources": (), "seconds": 0.5}
    return EvalAnswer(**values | changes)


def _write(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "eval.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_questions_are_read(tmp_path: Path) -> None:
    full: dict[str, Any] = {
        "id": "a",
        "question": "and then?",
        "documents": ["x.md"],
        "answer": "30",
        "fact": ["30"],
        "tags": ["t"],
        "holdout": True,
        "history": ["before?"],
    }
    first, second = load_questions(
        _write(tmp_path, full, "", {"id": "b", "question": "why?", "answer": None})
    )
    lists = {key: tuple(value) for key, value in full.items() if isinstance(value, list)}
    assert first == EvalQuestion(**full | lists)
    assert (first.answerable, second.answerable) == (True, False)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ({"question": "x"}, "`id`"),
        ({"id": "b", "question": " "}, "`question`"),
        ({"id": "b", "question": 3}, "`question`"),
        ({"id": "b", "question": "x", "facts": []}, "`facts`"),
        ({"id": "b", "question": "x", "fact": "30"}, "`fact`"),
        ({"id": "b", "question": "x", "fact": [" | "]}, "`fact`"),
        ({"id": "b", "question": "x", "answer": "30"}, "`fact`"),
        ({"id": "b", "question": "x", "holdout": 1}, "`holdout`"),
        ({"id": "a", "question": "x"}, "'a' is on an earlier line"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: object, message: str) -> None:
    path = _write(tmp_path, {"id": "a", "question": "x"}, "", line)
    with pytest.raises(QuestionFileError, match="line 3") as caught:
        load_questions(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(QuestionFileError, match="check the path"):
        load_questions(tmp_path / "none.jsonl")
    (tmp_path / "bad").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(QuestionFileError, match="UTF-8"):
        load_questions(tmp_path / "bad")


@pytest.mark.parametrize(
    ("text", "fact", "expected"),
    [
        ("You get **30\u00a0Days**.", "30 days", True),
        ("| 5 to 9 | 30 days |", "5 to 9 30 days", True),
        ("130 days", "30 days", False),
        ("140 EUR", "14", False),
        ("14.5 EUR", "14", False),
        ("It is 14.", "14", True),
        ("on Tuesdays", "Tuesday", True),
        ("daily", "dai", False),
        ("a  \n month", "30 days|a month", True),
        ("東京です", "東京", True),
    ],
)
def test_contains(text: str, fact: str, *, expected: bool) -> None:
    assert contains(text, fact) is expected


def test_judgement() -> None:
    right = judge(ASKED, _answer("A month, says Weber.", ranked=("x.md", "leave.md"), sources=("A month.",)))
    assert (right.rank, right.correct, right.declined, right.unsupported) == (2, True, False, ("Weber",))
    declined = judge(ASKED, _answer("30 days", mode="unknown"))
    assert (declined.rank, declined.correct, declined.declined, declined.unsupported) == (
        None,
        False,
        True,
        (),
    )
    wrong = judge(NOT_THERE, _answer("Nobody."))
    assert (wrong.correct, wrong.declined) == (False, False)


def test_report() -> None:
    report = summarise(
        [
            judge(ASKED, _answer("30 days", ranked=("leave.md",), sources=("30 days",))),
            judge(NOT_THERE, _answer("Weber won in 1987.")),
            judge(NOT_THERE, _answer("", mode="unknown")),
        ]
    )
    assert report.overall.recall == report.overall.answered == Proportion(1, 1)
    assert report.overall.mrr.value == 1
    assert report.overall.abstained == Proportion(1, 2)
    assert report.overall.wrong == ("q2",)
    assert (report.overall.unsupported, report.overall.with_unsupported) == (1, ("q2",))
    assert report.by_tag["offtopic"].questions == report.holdout.questions == 2
    assert report.development.questions == 1
    assert report.holdout.mrr.value is None


@given(
    st.text(), st.sampled_from(["written", "quotes", "unknown"]), st.lists(st.sampled_from(["leave.md", "x"]))
)
def test_judgements_are_consistent(text: str, mode: str, ranked: list[str]) -> None:
    one = judge(ASKED, _answer(text, mode=mode, ranked=tuple(ranked), sources=(text,)))
    assert not (one.correct and one.declined)
    assert one.unsupported == ()
    assert one.rank is None or ranked[one.rank - 1] == "leave.md"
