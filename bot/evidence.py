"""The retrieved passages cut into statements, each with its vector and its weight for the question.

Everything that decides what may be shown (quotes, the relevance estimate, the check of written sentences) reads
from one `Evidence`, so that they cannot disagree on what was found.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from knowledge.documents import Hit
from knowledge.embedding import Embedder
from knowledge.lexical import content
from knowledge.passages import Unit, units

Vectors = npt.NDArray[np.float32]
"""Shape (n, d), rows of length 1."""


class Vocabulary(Protocol):
    """The words of the sources that may be searched, and of no other; see `knowledge.lexical.Words`."""

    @property
    def document_count(self) -> int: ...

    def analyse(self, text: str, *, language: str = "") -> list[str]:
        """Stems of the text, in order, as a text of that language (ISO 639-1) is indexed."""

    def corrected(self, query: str) -> str:
        """The query without slips of the fingers."""

    def document_frequency(self, terms: Sequence[str]) -> Mapping[str, int]:
        """In how many chunks each stem occurs."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence, list item, table row or line of code within a passage."""

    n: int
    """The passage it stands in, numbered from 1 in the order of the hits."""
    unit: Unit
    context: str
    """Title and headings above it."""

    @property
    def in_context(self) -> str:
        """The statement with everything needed to understand it alone."""
        return f"{self.context}: {self.unit.contextual_text}"


@dataclass(frozen=True, slots=True)
class QuestionTerms:
    """The stems a question is about, each with its weight (inverse document frequency)."""

    weights: Mapping[str, float]

    @classmethod
    def of(cls, question: str, *, vocabulary: Vocabulary, language: str = "") -> "QuestionTerms":
        """BM25's idf, ln(1 + (N - n + 0.5) / (n + 0.5)) (Robertson & Zaragoza 2009, eq. 3.11, kept positive)."""
        stems = list(dict.fromkeys(vocabulary.analyse(content(question), language=language)))
        frequency = vocabulary.document_frequency(stems)
        total = vocabulary.document_count
        return cls({
            stem: math.log(1 + (total - frequency.get(stem, 0) + 0.5) / (frequency.get(stem, 0) + 0.5))
            for stem in stems
        })  # fmt: skip

    def coverage(self, stems: frozenset[str]) -> float:
        """The share of the question's weight that the stems cover, 0 to 1; 0 for a question of no content."""
        total = sum(self.weights.values())
        return sum(w for stem, w in self.weights.items() if stem in stems) / total if total else 0.0


class Evidence:
    """What was found for a question."""

    def __init__(
        self,
        question: str,
        hits: Sequence[Hit],
        *,
        embedder: Embedder,
        vocabulary: Vocabulary,
        asked: str = "",
    ) -> None:
        """Embeds every statement of the hits once: blocking work, for a thread.

        `question` is what was searched for; `asked`, when it differs, is the person's own words without those of
        the thread.
        """
        self.question = question
        self.asked = asked or question
        self.hits = tuple(hits)
        self.statements = tuple(
            Statement(n, unit, f"{hit.chunk.context} › {unit.heading}" if unit.heading else hit.chunk.context)
            for n, hit in enumerate(hits, start=1)
            for unit in units(hit.chunk.text)
        )
        self._embedder = embedder
        self._vocabulary = vocabulary
        self._language = _language(self.hits)
        self.terms = QuestionTerms.of(question, vocabulary=vocabulary, language=self._language)
        self.question_vector: npt.NDArray[np.float32] = embedder.embed_queries([question])[0]
        self.vectors: Vectors = self.embed([s.in_context for s in self.statements])
        """Statements in context, in the order of `statements`."""

    @cached_property
    def stems(self) -> tuple[frozenset[str], ...]:
        """Stems of each statement in context."""
        return tuple(frozenset(self.analyse(s.in_context)) for s in self.statements)

    @cached_property
    def passage_stems(self) -> tuple[frozenset[str], ...]:
        """Stems of each passage under its headings, in the order of the hits."""
        return tuple(frozenset(self.analyse(hit.chunk.contextual_text)) for hit in self.hits)

    @cached_property
    def similarities(self) -> npt.NDArray[np.float32]:
        """Cosine of the question and each statement in context, shape (m,)."""
        return self.vectors @ self.question_vector

    @cached_property
    def coverages(self) -> npt.NDArray[np.float32]:
        """Share of the question's weight that each statement in context covers, shape (m,)."""
        return np.array([self.terms.coverage(stems) for stems in self.stems], dtype=np.float32)

    @cached_property
    def bare_stems(self) -> tuple[frozenset[str], ...]:
        """Stems of each statement without its headings."""
        return tuple(frozenset(self.analyse(s.unit.contextual_text)) for s in self.statements)

    @cached_property
    def bare_coverages(self) -> npt.NDArray[np.float32]:
        """Share of the question's weight that each statement covers without its headings, shape (m,)."""
        return np.array([self.terms.coverage(stems) for stems in self.bare_stems], dtype=np.float32)

    @cached_property
    def bare_vectors(self) -> Vectors:
        """Statements without their headings: what a written sentence is compared with, shape (m, d)."""
        return self.embed([s.unit.contextual_text for s in self.statements])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of statements, shape (n, d)."""
        if not texts:
            return np.zeros((0, self._embedder.dimension), dtype=np.float32)
        return self._embedder.embed_documents(texts)

    def analyse(self, text: str) -> list[str]:
        """Stems in the language that most of the hits are in, so that all that is compared is cut alike."""
        return self._vocabulary.analyse(text, language=self._language)


def _language(hits: Sequence[Hit]) -> str:
    counted = Counter(hit.chunk.language for hit in hits if hit.chunk.language)
    return counted.most_common(1)[0][0] if counted else ""
