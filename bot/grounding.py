"""No sentence of a model is shown before it has been checked against the retrieved text.

The stream is cut into sentences. As each one completes, it is released with a citation when

* every number, date, amount, address, piece of code and proper name in it stands in the passages (numbers in a
  statement that is about the same thing, and in a table in a row that is named), or in the question where the
  question's own words are no claim;
* its meaning is close to a statement of the passages, and most of its words are theirs or the question's;
* that statement is among those that answer the question best, so that a model cannot ramble along the text;
* it does not deny what that statement affirms, or the other way round.

Anything else is dropped. This does not prove that a sentence is true or that it answers the question; it makes
sure that nothing in it was made up. The statements are compared by an embedding model, so the thresholds below
belong to the shipped one; other models are close enough that the facts decide.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bot.evidence import Evidence, Statement
from bot.facts import STARTERS, citations, facts, fold, numbers, strip_citations, words
from bot.llm.protocol import Delta
from bot.quotes import Quote
from knowledge.lexical import QUESTION_WORDS
from knowledge.passages import split_sentences

CLOSE = 0.5
"""Least cosine of a sentence and its best statement."""
NUMBER_CLOSE = 0.35
"""Least cosine of a sentence and a statement that lends it a number …"""
NUMBER_MARGIN = 0.2
"""… which is also at most this far behind the best statement."""
OFF_QUESTION = 4.0
"""A sentence rests on a statement whose rank score is at most this far below the best."""
RIVAL = 2.5
"""A statement whose rank score is at most this far below the best may well be the answer instead: of the second
and third statements one in six is it within this distance, one in a hundred beyond."""
FEWEST_WORDS = 3
"""Of a sentence that holds no figure, address or code."""
SHARED_WORDS = 0.6
"""Least share of a sentence's content words found in its passages or the question."""

_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot|except|unless|forbidden|prohibited|"
    r"nicht|kein|keine|keinen|nie|niemals|ohne)\b|n't\b",
    re.IGNORECASE,
)
_LABEL = re.compile(r"^\s*(?:answer|a|response|antwort)\s*:\s*", re.IGNORECASE)
_DECLINE = re.compile(
    r"\bi (?:do not|don't|don’t) know\b|\bich weiß es nicht\b|"
    r"\b(?:passages?|documents?|context|text|information)\b.{0,40}\b(?:do(?:es)? not|don't|doesn't|no)\b.{0,40}"
    r"\b(?:answer|mention|contain|provide|say|specify|include|information)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict on one sentence."""

    text: str
    """The sentence as shown, citations last; empty when it was dropped."""
    cited: tuple[int, ...]
    """Passages it rests on, numbered from 1."""
    dropped: str = ""
    """Why it was dropped; empty when it was released."""


def is_decline(text: str) -> bool:
    """Whether the model said that it does not know."""
    return bool(_DECLINE.search(text))


class Grounding:
    """Checks sentences against one set of evidence. Not for several threads at once."""

    def __init__(self, evidence: Evidence, scores: npt.NDArray[np.float64]) -> None:
        """`scores` are those of `bot.ranking.scores` for the evidence's statements."""
        self._evidence = evidence
        self._scores = scores
        self._released: set[str] = set()
        self._rests_on: set[int] = set()
        self._said: set[str] = set()
        self._faults = 0

    def left_out(self, quotes: Sequence[Quote]) -> list[Quote]:
        """Those of the quotes, best first, that should stand beside what was released.

        All of them when a sentence was dropped or the best one was not used: what was released is then true to the
        documents, but may miss the point. Otherwise those that may as well be the answer and were not told.
        """
        told = [self._is_told(quote.statement) for quote in quotes]
        if self._faults or not any(told[:1]):
            return list(quotes)
        rivals = [quote.score >= quotes[0].score - RIVAL for quote in quotes]
        return [quote for quote, was, rival in zip(quotes, told, rivals, strict=True) if rival and not was]

    def _is_told(self, statement: Statement) -> bool:
        """Whether a released sentence rests on it and its figures were said; of a row one is enough."""
        if not any(self._evidence.statements[index] == statement for index in self._rests_on):
            return False
        text = statement.unit.text
        own = (numbers(text) | facts(text).technical) - self._question_numbers
        return not own or (bool(own & self._said) if statement.unit.kind == "row" else own <= self._said)

    def check(self, sentence: str) -> Checked:
        """Release or drop one sentence. Embeds it: blocking work, for a thread."""
        bare = _LABEL.sub("", strip_citations(sentence)).strip()
        if reason := self._form_fault(bare):
            return Checked("", (), reason)
        checked = self._check(sentence, bare)
        self._faults += bool(checked.dropped)
        return checked

    def _check(self, sentence: str, bare: str) -> Checked:
        similarities = self._similarities(bare)
        if not similarities.size or similarities.max() < CLOSE:
            return Checked("", (), "its meaning is not close to any passage")
        best = int(similarities.argmax())
        supporting, reason = self._supporting_statements(bare, similarities, best)
        if not reason and max(self._scores[supporting]) < self._scores.max() - OFF_QUESTION:
            reason = "it does not answer the question"
        if not reason and not self._says_something(bare, supporting):
            reason = "it says nothing of its own"
        if reason:
            return Checked("", (), reason)
        passages = self._passages(supporting, cited=citations(sentence), similarities=similarities)
        reason = self._name_fault(bare, passages) or self._wording_fault(bare, passages)
        if not reason and self._contradicts(bare, best):
            reason = "it denies what the passage affirms, or the other way round"
        if reason:
            return Checked("", (), reason)
        self._released.add(fold(bare))
        self._rests_on.update(supporting)
        self._said |= numbers(bare) | facts(bare).technical
        return Checked(_with_citations(_LABEL.sub("", strip_citations(sentence)), passages), passages)

    def _form_fault(self, bare: str) -> str:
        if not re.search(r"\w", bare):
            return "it says nothing"
        if bare.endswith("?"):
            return "it is a question"
        if len(words(bare)) < FEWEST_WORDS and not (numbers(bare) or facts(bare).technical):
            return "it is a fragment"
        if fold(bare) in self._released:
            return "it was said already"
        return ""

    def _similarities(self, bare: str) -> npt.NDArray[np.float32]:
        """Cosine of the sentence and each statement, the better of with and without headings, shape (m,)."""
        if not self._evidence.statements:
            return np.zeros(0, dtype=np.float32)
        vector = self._evidence.embed([bare])[0]
        found: npt.NDArray[np.float32] = np.maximum(
            self._evidence.bare_vectors @ vector, self._evidence.vectors @ vector
        )
        return found

    def _supporting_statements(
        self, bare: str, similarities: npt.NDArray[np.float32], best: int
    ) -> tuple[list[int], str]:
        """The best statement and those that lend the sentence its numbers, or why one number has none."""
        wanted = facts(bare).numbers
        floor = max(NUMBER_CLOSE, float(similarities[best]) - NUMBER_MARGIN)
        about = set(self._evidence.analyse(bare)) | self._question_stems
        supporting = [best]
        found: frozenset[str] = frozenset()
        for index in np.argsort(-similarities, kind="stable"):
            if found == wanted or similarities[index] < floor:
                break
            lent = (wanted - found) & self._statement_numbers[index]
            if lent and self._is_about(int(index), about):
                supporting += [int(index)] if int(index) != best else []
                found |= lent
        missing = wanted - found
        # A figure of the question may be repeated beside one of the documents ("200 is over the limit of 140"),
        # but alone it would turn the question into the answer.
        if missing and not (found and missing <= self._question_numbers):
            return [], f"not in a passage about this: {', '.join(sorted(missing))}"
        return supporting, ""

    def _is_about(self, index: int, stems: AbstractSet[str]) -> bool:
        """Whether a table row is one that the sentence or the question names: Munich's limit is not Vienna's."""
        unit = self._evidence.statements[index].unit
        if unit.kind != "row" or not unit.cells:
            return True
        label = set(self._evidence.analyse(unit.cells[0]))
        return not label or bool(label & stems)

    def _passages(
        self, supporting: Sequence[int], *, cited: Sequence[int], similarities: npt.NDArray[np.float32]
    ) -> tuple[int, ...]:
        """Passages to cite: those of the supporting statements, and the model's own citations where they fit."""
        numbers_of = [self._evidence.statements[index].n for index in supporting]
        for n in cited:
            own = [i for i, s in enumerate(self._evidence.statements) if s.n == n]
            if own and similarities[own].max() >= CLOSE:
                numbers_of.append(n)
        return tuple(sorted(dict.fromkeys(numbers_of)))

    def _name_fault(self, bare: str, passages: Sequence[int]) -> str:
        stated = facts(bare)
        text = " ".join(fold(self._evidence.hits[n - 1].chunk.contextual_text) for n in passages)
        question = fold(self._evidence.question)
        missing = {t for t in stated.technical if t not in text and t not in question}
        known = set(words(text))
        unknown = {name for name in stated.names if not set(words(name)) & known}
        # A name from the question may be repeated only to say that it is not there.
        if unknown <= set(words(question)) and _NEGATION.search(bare):
            unknown = set()
        missing |= unknown
        return f"not in the cited passage: {', '.join(sorted(missing))}" if missing else ""

    def _wording_fault(self, bare: str, passages: Sequence[int]) -> str:
        content = " ".join(w for w in words(bare) if w not in QUESTION_WORDS and w not in STARTERS)
        stems = set(self._evidence.analyse(content))
        known = self._question_stems.union(*(self._evidence.passage_stems[n - 1] for n in passages))
        share = len(stems & known) / max(len(stems), 1)
        return (
            ""
            if share >= SHARED_WORDS
            else "too many of its words are neither the passage's nor the question's"
        )

    def _says_something(self, bare: str, supporting: Sequence[int]) -> bool:
        """Whether it has a word of its statements that is not merely the question's or a heading's."""
        stems = set(self._evidence.analyse(" ".join(words(bare)))) | numbers(bare)
        told = set[str]().union(*(self._evidence.bare_stems[index] for index in supporting))
        told |= set[str]().union(*(self._statement_numbers[index] for index in supporting))
        text = " ".join(fold(self._evidence.statements[index].unit.text) for index in supporting)
        return bool(stems & told - self._question_stems) or any(t in text for t in facts(bare).technical)

    def _contradicts(self, bare: str, best: int) -> bool:
        statement = self._evidence.statements[best].unit.contextual_text
        return bool(_NEGATION.search(bare)) != bool(_NEGATION.search(statement))

    @cached_property
    def _statement_numbers(self) -> tuple[frozenset[str], ...]:
        return tuple(numbers(f"{s.unit.lead_in} {s.in_context}") for s in self._evidence.statements)

    @cached_property
    def _question_numbers(self) -> frozenset[str]:
        return numbers(self._evidence.question)

    @cached_property
    def _question_stems(self) -> frozenset[str]:
        return frozenset(self._evidence.analyse(self._evidence.question))


def _with_citations(sentence: str, passages: Sequence[int]) -> str:
    """Marks before the white space that ends the sentence, so that the pieces join as they were written."""
    body = sentence.rstrip()
    tail = sentence[len(body) :]
    return body + " " + "".join(f"[{n}]" for n in passages) + tail


async def sentences(deltas: AsyncIterator[Delta]) -> AsyncGenerator[str]:
    """The stream in sentences, white space kept; the last one may be cut short by the token limit and is then
    left out, because half a sentence can say the opposite of the whole."""
    held = ""
    cut_short = False
    async for delta in deltas:
        held += delta.content
        cut_short = delta.finish_reason == "length"
        *complete, held = split_sentences(held) or [""]
        for sentence in complete:
            yield sentence
    if held.strip() and not (cut_short and not re.search(r"[.!?:`|)\]]\s*$", held)):
        yield held
