from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.documents import Chunk, Hit
from knowledge.fusion import diversify, fuse


def test_shared_words_count_beside_meaning() -> None:
    query = np.array([1, 0, 0], dtype=np.float32)
    apart = np.array(
        [[0.5, 0.8660254, 0], [0.4, -0.9165151, 0]], dtype=np.float32
    )  # no neighbours of each other
    alike, other = fuse(query, apart, np.zeros(2, dtype=np.float32))
    assert alike > other
    alike, other = fuse(query, apart, np.array([0, 8], dtype=np.float32))
    assert alike < other


def test_what_is_near_the_best_is_drawn_up() -> None:
    def unit(*values: float) -> list[float]:
        return list(np.array(values) / np.linalg.norm(values))

    query = np.array(unit(1, 0, 0, 0), dtype=np.float32)
    best = [unit(4, 4 + n / 10, 0, 0) for n in range(5)]
    kin, stranger = unit(2, 5, 0, 0), unit(2, 0, 5, 0)
    vectors = np.array([*best, kin, stranger], dtype=np.float32)
    assert vectors[5] @ query == pytest.approx(vectors[6] @ query)
    scores = fuse(query, vectors, np.zeros(7, dtype=np.float32))
    assert scores[5] > scores[6] + 0.1
    assert int(scores.argmax()) < 5


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(0, 50, width=32)), max_size=12),
    st.integers(0, 2**32 - 1),
)
def test_every_candidate_gets_a_score(candidates: list[tuple[int, float]], seed: int) -> None:
    def unit(seed: int) -> list[float]:
        vector = np.random.default_rng(seed).standard_normal(8)
        return list(vector / np.linalg.norm(vector))

    vectors = np.array([unit(one) for one, _ in candidates], dtype=np.float32).reshape(-1, 8)
    words = np.array([score for _, score in candidates], dtype=np.float32)
    query = np.array(unit(seed), dtype=np.float32)
    scores = fuse(query, vectors, words)
    assert scores.shape == (len(candidates),)
    assert np.isfinite(scores).all()
    lost = fuse(query, np.zeros_like(vectors), words)  # a store without its vectors
    assert np.isfinite(lost).all()
    assert not len(words) or int(lost.argmax()) == int(words.argmax())


def chunk(name: str, text: str, *, document: str = "", title: str = "T") -> Chunk:
    return Chunk(name, document or name, "docs", 0, title, "", f"/{name}", text)


def hits(chunks: Sequence[Chunk]) -> list[Hit]:
    return [Hit(chunk=chunk, score=-n, similarity=0.0) for n, chunk in enumerate(chunks)]


def names(found: Sequence[Hit]) -> list[str]:
    return [hit.chunk.id for hit in found]


def test_at_most_three_of_one_document() -> None:
    many = [chunk(f"a{n}", f"text {n}", document="a") for n in range(5)] + [chunk("b", "other")]
    assert names(diversify(hits(many), top_k=6)) == ["a0", "a1", "a2", "b"]
    assert names(diversify(hits(many), top_k=2)) == ["a0", "a1"]


def test_copies_come_once_but_other_numbers_and_titles_are_other_texts() -> None:
    text = "The travel limit for a hotel in Paris is set to 180 euros a night from now on"
    chunks = [
        chunk("original", text),
        chunk("copy", text.replace("Paris", "PARIS") + "."),
        chunk("next-year", text.replace("180", "190")),
        chunk("other-title", text, title="Contractors and guests"),
    ]
    found = diversify(hits(chunks), top_k=6)
    assert names(found) == ["original", "next-year", "other-title"]
    assert [[other.id for other in hit.copies] for hit in found] == [["copy"], [], []]


def test_a_footer_under_many_titles_does_not_crowd_out_the_rest() -> None:
    footer = "Was this page of help? Tell the people who keep it, in the channel of the docs."
    chunks = [chunk(f"page-{n}", footer, title=f"Page {n} of the docs about thing {n}") for n in range(9)]
    found = diversify(hits([*chunks, chunk("answer", "The limit is 180 euros.")]), top_k=6)
    assert names(found) == ["page-0", "page-1", "answer"]
    assert len(found[0].copies) == 7
