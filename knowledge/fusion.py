"""From two lists of candidates to one order, and from that to the few that are shown. Pure functions.

    s₁ = cos(q, v) + LEXICAL_WEIGHT · BM25 / best BM25
    s₂ = cos(q′, v) + LEXICAL_WEIGHT · BM25 / best BM25,   q′ = q + FEEDBACK · mean of v over the best of s₁
    s  = (1 - KINSHIP) · s₂ + KINSHIP · mean of s₂ over the nearest candidates, weighted by their cosines

The sum keeps how far apart candidates are, which ranks throw away (Bruch, Gai and Ingber 2023,
https://doi.org/10.1145/3596512). Moving the query towards what it found first is Rocchio's feedback, here without
anybody's judgement; a few passages, and the query at least as heavy as they, do best (Li et al. 2021,
https://arxiv.org/abs/2108.11044). That passages near each other answer the same questions is the cluster hypothesis;
scores are evened out between them (Diaz 2005, https://doi.org/10.1145/1099554.1099722).
The parameters hold for all documents alike; what was tried is in docs/experiments.md.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from knowledge.documents import Hit
from knowledge.embedding import Vectors

LEXICAL_WEIGHT = 0.35
"""Of the best BM25 against a cosine of 1."""
FEEDBACK = 0.3
"""Of the best candidates' mean vector against the query's."""
KINSHIP = 0.15
"""Of the neighbours' score against a candidate's own."""
_FEEDING = 5
_NEIGHBOURS = 10
_MOST_PER_DOCUMENT = 3
_NEARLY_SAME = 0.9
_MOST_ALIKE = 2
"""Of one text under several titles: two may be the rule for two cases, three are a footer."""

Scores = npt.NDArray[np.float32]
_Words = tuple[frozenset[str], frozenset[str]]
"""All of a text's, and those with digits."""


def fuse(query: Vectors, vectors: Vectors, words: Scores) -> Scores:
    """One score for each candidate, shape (n,), higher is better.

    `query` is a unit vector, shape (d,), `vectors` has one for each candidate, shape (n, d), and `words` its BM25, 0
    where the lexical search did not find it. A row of zeros is a candidate whose vector is not there.
    """
    if not len(vectors):
        return np.zeros(0, dtype=np.float32)
    lexical = LEXICAL_WEIGHT * words / max(float(words.max()), 1e-9)
    first = vectors @ query + lexical
    fed = query + FEEDBACK * vectors[np.argsort(-first, kind="stable")[:_FEEDING]].mean(axis=0)
    scores = vectors @ (fed / max(float(np.linalg.norm(fed)), 1e-9)) + lexical
    return np.asarray((1 - KINSHIP) * scores + KINSHIP * _among_kin(vectors, scores), dtype=np.float32)


def _among_kin(vectors: Vectors, scores: Scores) -> Scores:
    """For each candidate the mean score of its nearest others; its own where it has none."""
    cosines = np.maximum(vectors @ vectors.T, 0.0)
    np.fill_diagonal(cosines, 0.0)
    if len(cosines) > _NEIGHBOURS:
        least = np.partition(cosines, -_NEIGHBOURS, axis=1)[:, -_NEIGHBOURS, None]
        cosines = np.where(cosines >= least, cosines, 0.0)
    weights = cosines.sum(axis=1)
    return np.where(weights > 0, cosines @ scores / np.maximum(weights, 1e-9), scores)


def diversify(ranked: Iterable[Hit], *, top_k: int) -> list[Hit]:
    """The first `top_k` that neither repeat an earlier one nor are the fourth of their document.

    One that repeats a hit is told as one of its copies, and so is a text that came under two other titles before.
    """
    chosen: list[Hit] = []
    per_document: Counter[str] = Counter()
    seen: list[_Words] = []
    texts: dict[str, list[int]] = {}
    for hit in ranked:
        if len(chosen) >= top_k:
            break
        words = _words(hit.chunk.contextual_text)
        alike = texts.setdefault(" ".join(hit.chunk.text.casefold().split()), [])
        same = next((n for n, other in enumerate(seen) if _nearly_same(words, other)), None)
        if same is None and len(alike) >= _MOST_ALIKE:
            same = alike[0]
        if same is not None:
            chosen[same] = replace(chosen[same], copies=(*chosen[same].copies, hit.chunk, *hit.copies))
        elif per_document[hit.chunk.document_id] < _MOST_PER_DOCUMENT:
            per_document[hit.chunk.document_id] += 1
            alike.append(len(chosen))
            seen.append(words)
            chosen.append(hit)
    return chosen


def _words(text: str) -> _Words:
    words = re.findall(r"\w+", text.casefold())
    return frozenset(words), frozenset(word for word in words if any(map(str.isdigit, word)))


def _nearly_same(ours: _Words, theirs: _Words) -> bool:
    """Nine tenths of the words are shared, and all the numbers: last year's limits are not this year's."""
    union = len(ours[0] | theirs[0])
    return ours[1] == theirs[1] and len(ours[0] & theirs[0]) >= _NEARLY_SAME * union
