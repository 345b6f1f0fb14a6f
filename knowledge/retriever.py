"""Finding the passages for a query: dense and lexical search, fused, and thinned out.

Only the sources that are asked for are searched, and only chunks that are live in the manifest are returned.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

import numpy as np

from knowledge.documents import Chunk, Hit
from knowledge.embedding import Embedder, Vectors
from knowledge.errors import IndexOutdatedError
from knowledge.lexical import Lexical
from knowledge.store import VectorStore
from knowledge.versions import State, collection_name

LEXICAL_WEIGHT = 0.35
"""Of BM25 against cosine; see docs/experiments.md."""
_MOST_PER_DOCUMENT = 3
_CANDIDATES_PER_RESULT = 8
_FEWEST_CANDIDATES = 50
_NEARLY_SAME = 0.9


class Shelf(Protocol):
    """The chunks that are searched: those live in `knowledge.manifest.Manifest`, or those of an `Edition`."""

    def state(self) -> State:
        """Of the index; another revision has other chunks."""

    def live_chunks(self) -> list[Chunk]:
        """All of them."""

    def find_live(self, ids: Iterable[str]) -> dict[str, Chunk]:
        """Some of them, by id."""


class Retriever:
    """Searches the index; used from any thread."""

    def __init__(self, shelf: Shelf, store: VectorStore, embedder: Embedder, lexical: Lexical) -> None:
        """`lexical` belongs to this shelf alone. Cheap; the model and the store are opened by the first search."""
        self._shelf = shelf
        self._store = store
        self._embedder = embedder
        self._lexical = lexical

    @property
    def lexical(self) -> Lexical:
        """The words of what is searched, as of the last search or `prepare`."""
        return self._lexical

    def search(self, query: str, *, sources: AbstractSet[str], top_k: int = 6) -> list[Hit]:
        """The best `top_k` live chunks of `sources`, best first.

        At most three of them are from one document, and texts that say the same in the same words come once.

        Raises:
            IndexOutdatedError: the index was built with another embedding model.
            IndexDamagedError: the store or the database fails.
        """
        return next(self.search_each([query], sources=sources, top_k=top_k))

    def search_each(
        self, queries: Sequence[str], *, sources: AbstractSet[str], top_k: int = 6
    ) -> Iterator[list[Hit]]:
        """`search` for every query in turn; embedding them together takes a tenth of the time on a busy CPU."""
        state = self.prepare()
        if not state.generation or not sources:
            yield from ([] for _ in queries)
            return
        vectors = self._embedder.embed_queries(queries)
        for query, vector in zip(queries, vectors, strict=True):
            yield self._search(query, vector, state, sources=sources, top_k=top_k) if query.strip() else []

    def _search(
        self, query: str, vector: Vectors, state: State, *, sources: AbstractSet[str], top_k: int
    ) -> list[Hit]:
        limit = max(_FEWEST_CANDIDATES, top_k * _CANDIDATES_PER_RESULT)
        dense = self._dense(vector, generation=state.generation, sources=sources, limit=limit)
        lexical = self._lexical.search(query, sources=sources, k=limit)
        chunks = self._shelf.find_live({*dense, *(id_ for id_, _ in lexical)})
        allowed = [chunk for chunk in chunks.values() if chunk.source in sources]
        similarities = self._similarities(allowed, vector, dense, generation=state.generation)
        fused = fuse({chunk.id: similarities[chunk.id] for chunk in allowed}, dict(lexical))
        chosen = diversify((chunks[id_] for id_ in fused), top_k=top_k)
        return [
            Hit(chunk=chunk, score=fused[chunk.id], similarity=similarities[chunk.id]) for chunk in chosen
        ]

    def prepare(self) -> State:
        """See what the last sync published; the first search after a sync does it by itself (seconds).

        Raises:
            IndexOutdatedError: see `search`.
        """
        state = self._shelf.state()
        if state.generation and state.embedder != self._embedder.fingerprint:
            raise IndexOutdatedError(
                f"The index was built with the embedding model {state.embedder}, but the configured one is "
                f"{self._embedder.fingerprint}. Run `parley reindex`."
            )
        if self._lexical.revision != state.revision:
            self._store.refresh()
            self._lexical.rebuild(self._shelf.live_chunks(), revision=state.revision)
        return state

    def _dense(
        self, vector: Vectors, *, generation: str, sources: AbstractSet[str], limit: int
    ) -> dict[str, float]:
        """The nearest live chunks with their similarity, best first."""
        found: dict[str, float] = {}
        for source in sources:
            collection = collection_name(generation, source)
            wanted = limit
            while True:
                nearest = self._store.query(collection, vector, wanted)
                live = self._shelf.find_live(id_ for id_, _ in nearest)
                if len(live) >= limit or len(nearest) < wanted:
                    break
                wanted *= 2  # a sync has written new versions, or is about to collect old ones
            found.update((id_, similarity) for id_, similarity in nearest if id_ in live)
        best = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return dict(best[:limit])

    def _similarities(
        self, chunks: Iterable[Chunk], vector: Vectors, known: dict[str, float], *, generation: str
    ) -> dict[str, float]:
        """The cosine for every chunk, also for those that only the lexical search found."""
        similarities = dict(known)
        missing: dict[str, list[str]] = {}
        for chunk in chunks:
            if chunk.id not in known:
                missing.setdefault(chunk.source, []).append(chunk.id)
        for source, ids in missing.items():
            stored = self._store.vectors(collection_name(generation, source), ids)
            similarities.update(
                (id_, float(np.dot(stored[id_], vector)) if id_ in stored else 0.0) for id_ in ids
            )
        return similarities


def fuse(similarities: Mapping[str, float], lexical: Mapping[str, float]) -> dict[str, float]:
    """Cosine plus `LEXICAL_WEIGHT` times BM25 relative to the best BM25; best first, ties by id.

    A convex combination keeps how far apart the candidates are, which ranks throw away (Bruch, Gai and Ingber
    2023, https://doi.org/10.1145/3596512).
    """
    top = max(lexical.values(), default=0.0)
    scores = {
        id_: similarity + LEXICAL_WEIGHT * (lexical.get(id_, 0.0) / top if top > 0 else 0.0)
        for id_, similarity in similarities.items()
    }
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))


def diversify(ranked: Iterable[Chunk], *, top_k: int) -> list[Chunk]:
    """The first `top_k` that neither repeat an earlier one nor are the fourth of their document."""
    chosen: list[Chunk] = []
    per_document: Counter[str] = Counter()
    seen: list[tuple[frozenset[str], frozenset[str]]] = []
    for chunk in ranked:
        if len(chosen) >= top_k:
            break
        words = _words(chunk.contextual_text)
        if per_document[chunk.document_id] >= _MOST_PER_DOCUMENT or any(
            _nearly_same(words, other) for other in seen
        ):
            continue
        per_document[chunk.document_id] += 1
        seen.append(words)
        chosen.append(chunk)
    return chosen


def _words(text: str) -> tuple[frozenset[str], frozenset[str]]:
    words = re.findall(r"\w+", text.casefold())
    return frozenset(words), frozenset(word for word in words if any(map(str.isdigit, word)))


def _nearly_same(
    ours: tuple[frozenset[str], frozenset[str]], theirs: tuple[frozenset[str], frozenset[str]]
) -> bool:
    """Nine tenths of the words are shared, and all the numbers: last year's limits are not this year's."""
    union = len(ours[0] | theirs[0])
    return ours[1] == theirs[1] and len(ours[0] & theirs[0]) >= _NEARLY_SAME * union
