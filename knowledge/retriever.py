"""Finding the passages for a query: dense and lexical search, fused, and thinned out.

Only the sources that are asked for are searched, and only chunks that are live in the manifest are returned.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import islice
from typing import Protocol

import numpy as np

from knowledge.documents import Chunk, Hit
from knowledge.embedding import Embedder, Vectors
from knowledge.errors import IndexOutdatedError
from knowledge.filters import EVERYTHING, Filter
from knowledge.fusion import diversify, fuse
from knowledge.lexical import Lexical
from knowledge.recency import Recency
from knowledge.reranking import Reranker, rerank
from knowledge.store import VectorStore
from knowledge.versions import State, collection_name

CANDIDATES = 50
"""At least so many from each of the two searches."""
_CANDIDATES_PER_RESULT = 8
_DEEPER = 8
"""How much deeper is looked each time a filter leaves too little."""


class Shelf(Protocol):
    """The chunks that are searched: those live in `knowledge.manifest.Manifest`, or those of an `Edition`."""

    def state(self) -> State:
        """Of the index; another revision has other chunks."""

    def live_chunks(self) -> list[Chunk]:
        """All of them."""

    def live_keys(self) -> Mapping[str, AbstractSet[str]]:
        """For each source the keys of its chunks."""

    def find_keys(self, keys: Iterable[str], *, sources: AbstractSet[str]) -> dict[str, list[Chunk]]:
        """By key the chunks of those sources, in order of uri and position; only keys that have any."""


class Retriever:
    """Searches the index; used from any thread."""

    def __init__(
        self,
        shelf: Shelf,
        store: VectorStore,
        embedder: Embedder,
        lexical: Lexical,
        *,
        reranker: Reranker | None = None,
        recency: Recency | None = None,
    ) -> None:
        """`lexical` belongs to this shelf alone. Cheap; models and store are opened by the first search."""
        self._shelf = shelf
        self._store = store
        self._embedder = embedder
        self._lexical = lexical
        self._reranker = reranker
        self._recency = recency

    @property
    def lexical(self) -> Lexical:
        """The words of what is searched, as of the last search or `prepare`."""
        return self._lexical

    def search(
        self, query: str, *, sources: AbstractSet[str], top_k: int = 6, where: Filter = EVERYTHING
    ) -> list[Hit]:
        """The best `top_k` live chunks of `sources` that `where` admits, best first.

        At most three of them are from one document, and texts that say the same in the same words come once.

        Raises:
            IndexOutdatedError: the index was built with another embedding model.
            IndexDamagedError: the store or the database fails.
            RerankingModelError: there is a reranker, and it cannot be loaded.
        """
        return next(self.search_each([query], sources=sources, top_k=top_k, where=where))

    def search_each(
        self,
        queries: Sequence[str],
        *,
        sources: AbstractSet[str],
        top_k: int = 6,
        where: Filter = EVERYTHING,
    ) -> Iterator[list[Hit]]:
        """`search` for every query in turn; embedding them together takes a tenth of the time on a busy CPU."""
        limit = max(CANDIDATES, top_k * _CANDIDATES_PER_RESULT)
        for ranked in self.rank_each(queries, sources=sources, limit=limit, where=where):
            yield diversify(ranked, top_k=top_k)

    def rank_each(
        self,
        queries: Sequence[str],
        *,
        sources: AbstractSet[str],
        limit: int = CANDIDATES,
        where: Filter = EVERYTHING,
    ) -> Iterator[list[Hit]]:
        """For every query in turn all candidates, best first, as `search` has them before it thins them out.

        Candidates are the `limit` nearest by meaning and the `limit` best by words. Raises as `search`.
        """
        state = self.prepare(sources)
        sources = sources & where.sources if where.sources else sources
        if not state.generation or not sources:
            yield from ([] for _ in queries)
            return
        vectors = self._embedder.embed_queries(queries)
        for query, vector in zip(queries, vectors, strict=True):
            if query.strip():
                yield self._rank(query, vector, state, sources=sources, limit=limit, where=where)
            else:
                yield []

    def _rank(
        self,
        query: str,
        vector: Vectors,
        state: State,
        *,
        sources: AbstractSet[str],
        limit: int,
        where: Filter,
    ) -> list[Hit]:
        depth = limit
        while True:
            lexical = dict(self._lexical.search(query, sources=sources, k=depth))
            dense, places = self._dense(
                vector, lexical, generation=state.generation, sources=sources, limit=depth
            )
            if not where:
                break
            places = _admitted(places, where)
            if len(places) >= limit or (len(lexical) < depth and len(dense) < depth):
                lexical, dense = _first(lexical, places, limit), _first(dense, places, limit)
                places = {key: chunks for key, chunks in places.items() if key in lexical or key in dense}
                break
            depth *= _DEEPER
        keys = sorted(places)
        vectors = self._vectors(keys, places, generation=state.generation)
        words = np.array([lexical.get(key, 0.0) for key in keys], dtype=np.float32)
        scores, similarities = fuse(vector, vectors, words), vectors @ vector
        hits = [
            Hit(
                chunk=places[keys[n]][0],
                score=float(scores[n]),
                similarity=float(similarities[n]),
                copies=tuple(places[keys[n]][1:]),
            )
            for n in np.argsort(-scores, kind="stable")
        ]
        if self._reranker:
            hits = rerank(hits, query=query, reranker=self._reranker)
        if self._recency:
            hits = prefer_young(hits, self._recency)
        return hits

    def prepare(self, sources: AbstractSet[str] | None = None) -> State:
        """See what the last sync published, in some `sources` or all; a search does it by itself for those it searches.

        Takes seconds when much has changed.

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
        self._lexical.update(self._shelf, revision=state.revision, sources=sources)
        return state

    def _dense(
        self,
        vector: Vectors,
        others: Iterable[str],
        *,
        generation: str,
        sources: AbstractSet[str],
        limit: int,
    ) -> tuple[dict[str, float], dict[str, list[Chunk]]]:
        """The nearest live keys with their similarity, best first; and the chunks of these and of the `others`.

        One look into the manifest, unless a sync has just written new versions, or is about to collect old ones: then
        more vectors are asked for until enough of them are live.
        """
        wanted = dict.fromkeys(sources, limit)
        nearest: dict[str, list[tuple[str, float]]] = {}
        places: dict[str, list[Chunk]] = {}
        unknown = set(others)
        while wanted:
            for source, k in wanted.items():
                nearest[source] = self._store.query(collection_name(generation, source), vector, k)
                unknown.update(key for key, _ in nearest[source])
            places.update(self._shelf.find_keys(unknown - places.keys(), sources=sources))
            wanted = {
                source: 2 * k
                for source, k in wanted.items()
                if len(nearest[source]) == k and sum(key in places for key, _ in nearest[source]) < limit
            }
        found = {key: similarity for pairs in nearest.values() for key, similarity in pairs if key in places}
        best = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:limit]
        shown = {*others, *(key for key, _ in best)}
        return dict(best), {key: chunks for key, chunks in places.items() if key in shown}

    def _vectors(
        self, keys: Sequence[str], places: Mapping[str, Sequence[Chunk]], *, generation: str
    ) -> Vectors:
        """Shape (n, d); a row of zeros for a key that the store has lost."""
        by_source: dict[str, list[str]] = {}
        for key in keys:
            by_source.setdefault(places[key][0].source, []).append(key)
        found: dict[str, Vectors] = {}
        for source, wanted in by_source.items():
            found |= self._store.vectors(collection_name(generation, source), wanted)
        missing = np.zeros(self._embedder.dimension, dtype=np.float32)
        return np.array([found.get(key, missing) for key in keys], dtype=np.float32).reshape(
            len(keys), self._embedder.dimension
        )


def prefer_young(hits: Iterable[Hit], recency: Recency) -> list[Hit]:
    """With what their days add to their scores, best first."""
    aged = [replace(hit, score=hit.score + recency.bonus((hit.chunk, *hit.copies))) for hit in hits]
    return sorted(aged, key=lambda hit: -hit.score)


def _admitted(places: Mapping[str, Sequence[Chunk]], where: Filter) -> dict[str, list[Chunk]]:
    admitted = {key: [chunk for chunk in chunks if where.admits(chunk)] for key, chunks in places.items()}
    return {key: chunks for key, chunks in admitted.items() if chunks}


def _first(ranked: Mapping[str, float], places: Mapping[str, object], limit: int) -> dict[str, float]:
    """The best `limit` of those that have a place."""
    return dict(islice(((key, score) for key, score in ranked.items() if key in places), limit))
