"""How good are the answers to a set of questions? Knows neither models nor documents.

A question set is JSON Lines, one question on a line:

    id         unique in the file
    question   what is asked
    documents  paths of the documents that hold the answer; any of them will do; empty when there is none
    answer     the right answer for people to read; empty or absent when the documents do not hold it
    fact       what an answer must contain to be right, all of them; "|" separates spellings of one
    tags       groups for the report
    holdout    true for questions that nobody looks at while improving the assistant
    history    earlier questions of the same thread, oldest first

A question without `fact` is unanswerable: the right answer is to decline.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from feedback.claims import plain, unsupported
from feedback.errors import QuestionFileError
from feedback.metrics import Mean, Proportion, mean, rank_of_first
from feedback.records import Mode

RECALL_K = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalQuestion:
    """One line of a question set; see the module's description."""

    id: str
    question: str
    documents: tuple[str, ...] = ()
    answer: str = ""
    fact: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    holdout: bool = False
    history: tuple[str, ...] = ()

    @property
    def answerable(self) -> bool:
        return bool(self.fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalAnswer:
    """What the assistant did with a question."""

    mode: Mode
    text: str
    ranked: tuple[str, ...]
    """Paths of the documents of the retrieved passages, best first; one entry for each passage."""
    sources: tuple[str, ...]
    """Texts of the cited passages, with title and heading where people see them."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One question, judged."""

    question: EvalQuestion
    mode: Mode
    rank: int | None
    """Of the first passage from an expected document, from 1."""
    correct: bool
    """Answered, and every fact is in the answer."""
    declined: bool
    shown: bool
    """Every fact is in the text, also where the assistant said that it does not know and showed what is near."""
    unsupported: tuple[str, ...]
    """What the answer claims and neither the cited texts nor the question say; see `feedback.claims`."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The figures for a group of questions."""

    questions: int
    recall: Proportion
    """An expected document among the first `RECALL_K` passages, of the answerable that name documents."""
    mrr: Mean
    """Over the same questions."""
    answered: Proportion
    """Correct, of the answerable."""
    shown: Proportion
    """Of the answerable, those whose fact is in the text in whatever way; never less than `answered`."""
    abstained: Proportion
    """Declined, of the unanswerable."""
    wrong: tuple[str, ...]
    """Ids of the unanswerable questions that were answered."""
    missed: tuple[str, ...]
    """Ids of the answerable questions that were answered without the fact; those declined are not here."""
    unsupported: int
    """Unsupported claims in all answers."""
    with_unsupported: tuple[str, ...]
    """Ids of the questions whose answers hold one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures for all questions, by tag, and for the two halves."""

    overall: Section
    by_tag: dict[str, Section]
    development: Section
    holdout: Section


def load_questions(path: Path) -> list[EvalQuestion]:
    """Read a question set; blank lines are skipped.

    Raises:
        QuestionFileError: names the file, the line and the key.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionFileError(f"{path} cannot be read as UTF-8 text; check the path.") from error
    questions: dict[str, EvalQuestion] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            question = _question(json.loads(line))
        except json.JSONDecodeError as error:
            raise QuestionFileError(f"{path}, line {number}: not JSON ({error.msg}).") from error
        except _BadKeyError as error:
            raise QuestionFileError(f"{path}, line {number}: {error}.") from error
        if question.id in questions:
            raise QuestionFileError(f"{path}, line {number}: `id` {question.id!r} is on an earlier line.")
        questions[question.id] = question
    return list(questions.values())


def judge(question: EvalQuestion, answer: EvalAnswer) -> Judgement:
    """Compare an answer with what was expected."""
    declined = answer.mode == "unknown" or not answer.text.strip()
    right = question.answerable and all(contains(answer.text, fact) for fact in question.fact)
    asked = "\n".join((*question.history, question.question))
    claimed = (
        []
        if declined and not answer.sources
        else unsupported(answer.text, sources=answer.sources, question=asked)
    )
    return Judgement(
        question=question,
        mode=answer.mode,
        rank=rank_of_first(answer.ranked, question.documents),
        correct=right and not declined,
        declined=declined,
        shown=right,
        unsupported=tuple(claimed),
        seconds=answer.seconds,
    )


def contains(text: str, fact: str) -> bool:
    """Whether one of the fact's spellings is in the text, whatever the case, blanks, emphasis and pipes.

    Words and numbers must match whole, but for a plural s: "14" is not in "140" or "14.5".
    """
    words = _flat(text)
    return any(re.search(_whole(_flat(spelling)), words) for spelling in fact.split("|") if _flat(spelling))


def summarise(judgements: Iterable[Judgement]) -> Report:
    """The figures that a release is compared by."""
    judgements = list(judgements)
    tags = sorted(set(chain.from_iterable(one.question.tags for one in judgements)))
    return Report(
        overall=_section(judgements),
        by_tag={tag: _section([one for one in judgements if tag in one.question.tags]) for tag in tags},
        development=_section([one for one in judgements if not one.question.holdout]),
        holdout=_section([one for one in judgements if one.question.holdout]),
    )


def _section(judgements: list[Judgement]) -> Section:
    answerable = [one for one in judgements if one.question.answerable]
    unanswerable = [one for one in judgements if not one.question.answerable]
    findable = [one for one in answerable if one.question.documents]
    found = sum(one.rank is not None and one.rank <= RECALL_K for one in findable)
    return Section(
        questions=len(judgements),
        recall=Proportion(found, len(findable)),
        mrr=mean([1 / one.rank if one.rank else 0.0 for one in findable]),
        answered=Proportion(sum(one.correct for one in answerable), len(answerable)),
        shown=Proportion(sum(one.shown for one in answerable), len(answerable)),
        abstained=Proportion(sum(one.declined for one in unanswerable), len(unanswerable)),
        wrong=tuple(one.question.id for one in unanswerable if not one.declined),
        missed=tuple(one.question.id for one in answerable if not one.declined and not one.correct),
        unsupported=sum(len(one.unsupported) for one in judgements),
        with_unsupported=tuple(one.question.id for one in judgements if one.unsupported),
    )


def _flat(text: str) -> str:
    return " ".join(plain(text).casefold().split())


def _whole(words: str) -> str:
    """A pattern that ends inside no word or number, in scripts with spaces (taken to be those with case)."""

    def cased(letter: str) -> bool:
        return letter.isdigit() or letter.lower() != letter.upper()

    before = (r"(?<!\w)" if cased(words[0]) else "") + (r"(?<!\d[.,])" if words[0].isdigit() else "")
    after = (
        ("s?" if words[-1].isalpha() else "")
        + (r"(?!\w)" if cased(words[-1]) else "")
        + (r"(?![.,]\d)" if words[-1].isdigit() else "")
    )
    return before + re.escape(words) + after


class _BadKeyError(Exception):
    """A line's key is missing, unknown or of the wrong type."""


_TEXT_KEYS = {"id": True, "question": True, "answer": False}
"""Whether the key must be there and not be empty."""
_LIST_KEYS = ("documents", "fact", "tags", "history")


def _question(line: Any) -> EvalQuestion:
    if not isinstance(line, dict):
        raise _BadKeyError("not a JSON object")
    if unknown := sorted(line.keys() - _TEXT_KEYS.keys() - set(_LIST_KEYS) - {"holdout"}):
        raise _BadKeyError(f"unknown key `{unknown[0]}`")
    values: dict[str, Any] = {key: value for key, value in line.items() if value is not None}
    for key, needed in _TEXT_KEYS.items():
        if not isinstance(values.get(key, ""), str):
            raise _BadKeyError(f"`{key}` must be a text")
        if needed and not values.get(key, "").strip():
            raise _BadKeyError(f"`{key}` is missing or empty")
    for key in _LIST_KEYS:
        items = values.get(key, [])
        if not isinstance(items, list) or not all(
            isinstance(item, str) and item.strip(" |") for item in items
        ):
            raise _BadKeyError(f"`{key}` must be a list of texts that are not empty")
        values[key] = tuple(items)
    if not isinstance(values.get("holdout", False), bool):
        raise _BadKeyError("`holdout` must be true or false")
    if values.get("answer") and not values["fact"]:
        raise _BadKeyError("`fact` is missing though there is an `answer`")
    return EvalQuestion(**values)
