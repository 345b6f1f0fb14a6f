"""Finding the passages for a query: dense and lexical search, fused, and thinned out.

Only the sources that are asked for are searched, and only chunks that are live in the manifest are returned.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np

from knowledge.documents import Chunk, Hit
from knowledge.embedding import Embedder, Vectors
from knowledge.errors import IndexOutdatedError
from knowledge.filters import EVERYTHING, Filter
from knowledge.fusion import diversify, fuse
from knowledge.lexical import Lexical
from knowledge.nearest import FEW, compared, nearest
from knowledge.recency import Recency
from knowledge.reranking import Reranker, rerank
from knowledge.store import VectorStore
from knowledge.versions import State, collection_name

CANDIDATES = 50
"""At least so many from each of the two searches."""
_CANDIDATES_PER_RESULT = 8
_DEEPER = 8
"""How much deeper is looked each time a filter leaves too little."""
_PAGE = 500
_SHOWN = 24
"""Of the ranked candidates so many are read at once; mostly a search is content with the first of them."""
_ATTEMPTS = 3
"""At a search while syncs publish."""

_T = TypeVar("_T")


class Shelf(Protocol):
    """The chunks that are searched: those live in `knowledge.manifest.Manifest`, or those of an `Edition`."""

    def state(self) -> State:
        """Of the index; another revision has other chunks."""

    def live_keys(self) -> Mapping[str, AbstractSet[str]]:
        """For each source the keys of its chunks."""

    def described(self, sources: AbstractSet[str]) -> Mapping[str, tuple[str, Mapping[str, str]]]:
        """For each version of a document of those sources its source and metadata."""

    def version_keys(self, versions: Iterable[str]) -> Mapping[str, AbstractSet[str]]:
        """For each version the keys of its chunks; only where there are any."""

    def find_keys(self, keys: Iterable[str], *, sources: AbstractSet[str]) -> dict[str, list[Chunk]]:
        """By key the chunks of those sources, in order of uri and position; only keys that have any."""


@dataclass(frozen=True, slots=True)
class _Candidates:
    sources: Mapping[str, str]
    """By key a source that has it; of all candidates, by words and by meaning."""
    lexical: Mapping[str, float]
    dense: Mapping[str, Vectors | None] = field(default_factory=dict)
    """Those found by meaning, with vectors that came along."""
    places: Mapping[str, Sequence[Chunk]] | None = None
    """Of all of them, where they had to be read to choose them."""
    has_moved: bool = False
    """A sync has published since it was asked what is live."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the store and the lists of what is live were opened at."""

    revision: int = -1
    restores: int = -1
    generation: str = ""
    live: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    """By source the keys."""


@dataclass(frozen=True, slots=True)
class _Ranked:
    key: str
    score: float
    similarity: float


class Retriever:
    """Searches the index; used from any thread."""

    def __init__(
        self,
        shelf: Shelf,
        store: VectorStore,
        embedder: Embedder,
        lexical: Lexical,
        *,
        models: Callable[[str], Embedder | None] = lambda _: None,
        reranker: Reranker | None = None,
        recency: Recency | None = None,
    ) -> None:
        """`lexical` belongs to this shelf alone. Cheap; models and store are opened by the first search.

        `models` finds the embedding model with a fingerprint: that of an index which another one is about to replace.
        """
        self._shelf = shelf
        self._store = store
        self._embedder = embedder
        self._models = models
        self._lexical = lexical
        self._reranker = reranker
        self._recency = recency
        self._lock = threading.Lock()
        self._seen = _Seen()

    @property
    def lexical(self) -> Lexical:
        """The words of what is searched, as of the last search or `prepare`."""
        return self._lexical

    def search(
        self, query: str, *, sources: AbstractSet[str], top_k: int = 6, where: Filter = EVERYTHING
    ) -> list[Hit]:
        """The best `top_k` live chunks of `sources` that `where` admits, best first.

        At most three of them are from one document. Texts that say the same in the same words come once, and once more
        under another title.

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
    ) -> Iterator[Iterator[Hit]]:
        """For every query in turn all candidates, best first, as `search` has them before it thins them out.

        Candidates are the `limit` nearest by meaning and the `limit` best by words. Raises as `search`.
        """
        state = self.prepare(sources)
        if where.sources:
            sources, where = sources & where.sources, replace(where, sources=frozenset())
        if not state.generation or not sources:
            yield from (iter(()) for _ in queries)
            return
        vectors = self._embedder_of(state).embed_queries(queries)
        for query, vector in zip(queries, vectors, strict=True):
            if query.strip():
                yield self._rank(query, vector, state, sources=sources, limit=limit, where=where)
            else:
                yield iter(())

    def _rank(
        self,
        query: str,
        vector: Vectors,
        state: State,
        *,
        sources: AbstractSet[str],
        limit: int,
        where: Filter,
    ) -> Iterator[Hit]:
        ranked: list[_Ranked] = []
        places: Mapping[str, Sequence[Chunk]] = {}
        for _ in range(_ATTEMPTS):
            found = self._candidates(
                query, vector, generation=state.generation, sources=sources, limit=limit, where=where
            )
            ranked = self._fused(vector, found, generation=state.generation)
            # What is ordered once more may come from anywhere in the list.
            is_final = self._reranker is None and self._recency is None
            first = [one.key for one in (ranked[:_SHOWN] if is_final else ranked)]
            read = found.places
            places = self._shelf.find_keys(first, sources=sources) if read is None else read
            if not found.has_moved and places.keys() >= set(first):
                break
            before, state = state, self.prepare(sources)
            if state.embedder != before.embedder:
                (vector,) = self._embedder_of(state).embed_queries([query])
        hits = self._hits(ranked, places, sources=sources)
        if self._reranker:
            hits = iter(rerank(list(hits), query=query, reranker=self._reranker))
        if self._recency:
            hits = iter(prefer_young(hits, self._recency))
        return hits

    def _fused(self, vector: Vectors, found: _Candidates, *, generation: str) -> list[_Ranked]:
        keys = sorted(found.sources)
        vectors = self._vectors(keys, found, generation=generation, dimension=len(vector))
        words = np.array([found.lexical.get(key, 0.0) for key in keys], dtype=np.float32)
        scores, similarities = fuse(vector, vectors, words), vectors @ vector
        order = np.argsort(-scores, kind="stable")
        return [_Ranked(keys[n], float(scores[n]), float(similarities[n])) for n in order]

    def _hits(
        self,
        ranked: Iterable[_Ranked],
        places: Mapping[str, Sequence[Chunk]],
        *,
        sources: AbstractSet[str],
    ) -> Iterator[Hit]:
        """Those that are still there, read as they are asked for."""
        rest = iter(ranked)
        while page := list(islice(rest, _SHOWN)):
            if new := [one.key for one in page if one.key not in places]:
                places = {**places, **self._shelf.find_keys(new, sources=sources)}
            for one in page:
                if chunks := places.get(one.key):
                    yield Hit(
                        chunk=chunks[0],
                        score=one.score,
                        similarity=one.similarity,
                        copies=tuple(chunks[1:]),
                    )

    def prepare(self, sources: AbstractSet[str] | None = None) -> State:
        """See what the last sync published, in some `sources` or all; a search does it by itself for those it searches.

        Takes seconds when much has changed. While another thread does it for sources that were searched before, nobody
        waits for it: until it is done their words are those of the revision before.

        Raises:
            IndexOutdatedError: see `search`.
        """
        state = self._shelf.state()
        if state.generation:
            self._embedder_of(state)
        with self._lock:
            if (self._seen.revision, self._seen.restores) != (state.revision, state.restores):
                self._store.refresh()
                live = self._shelf.live_keys()
                self._seen = _Seen(state.revision, state.restores, state.generation, live)
            live = self._seen.live
        wanted = None if sources is None else sources & live.keys()
        self._lexical.update(self._shelf, revision=state.revision, sources=wanted)
        return state

    def _embedder_of(self, state: State) -> Embedder:
        """The model of what is live: the configured one, or the one before until that has taken over."""
        embedder = self._embedder
        if state.embedder == embedder.fingerprint:
            return embedder
        if (before := self._models(state.embedder)) is not None:
            return before
        raise IndexOutdatedError(
            f"The index was built with the embedding model {state.embedder}, but the configured one is "
            f"{embedder.fingerprint}. Run `parley reindex`."
        )

    def _candidates(
        self,
        query: str,
        vector: Vectors,
        *,
        generation: str,
        sources: AbstractSet[str],
        limit: int,
        where: Filter,
    ) -> _Candidates:
        """The best by words, and the nearest by meaning; of both `limit` that `where` admits.

        Where it admits few passages, only these are looked at. Otherwise the search goes deeper until enough of what it
        finds is admitted.
        """
        seen = self._seen
        if seen.generation != generation:  # another thread has seen what a sync has published since
            return _Candidates({}, {}, has_moved=True)
        live = {source: keys for source, keys in seen.live.items() if source in sources}
        if not where:
            lexical = dict(self._lexical.search(query, sources=sources, k=limit))
            dense = nearest(self._store, vector, live, generation=generation, limit=limit)
            return _Candidates(_sources_of({*lexical, *dense}, live), lexical, dense)
        admitted = self._admitted(sources, where)
        if admitted is not None:
            keys = frozenset[str]().union(*admitted.values())
            if not keys:
                return _Candidates({}, {})
            lexical = dict(self._lexical.search(query, sources=sources, k=limit, keys=keys))
            dense = compared(self._store, vector, admitted, generation=generation, limit=limit)
            found = self._shelf.find_keys({*lexical, *dense}, sources=sources)
            return _known(lexical, dense, _only(found, where), has_moved=not dense.keys() <= found.keys())
        depth, known, has_moved = limit, set[str](), False
        places: dict[str, list[Chunk]] = {}
        while True:
            lexical = dict(self._lexical.search(query, sources=sources, k=depth))
            dense = nearest(self._store, vector, live, generation=generation, limit=depth)
            new = {*lexical, *dense} - known
            found = self._shelf.find_keys(new, sources=sources)
            known |= new
            has_moved = has_moved or not (dense.keys() & new) <= found.keys()
            places |= _only(found, where)
            if len(places) >= limit or (len(lexical) < depth and len(dense) < depth):
                break
            depth *= _DEEPER
        lexical, dense = _first(lexical, places, limit), _first(dense, places, limit)
        places = {key: chunks for key, chunks in places.items() if key in lexical or key in dense}
        return _known(lexical, dense, places, has_moved=has_moved)

    def _admitted(self, sources: AbstractSet[str], where: Filter) -> dict[str, set[str]] | None:
        """By source the keys of what `where` admits; None when they are more than a few."""
        versions = {
            version: source
            for version, (source, metadata) in self._shelf.described(sources).items()
            if where.admits(_empty_chunk(version, source=source, metadata=metadata))
        }
        admitted: dict[str, set[str]] = {}
        total, rest = 0, iter(versions)
        while page := list(islice(rest, _PAGE)):
            for version, keys in self._shelf.version_keys(page).items():
                admitted.setdefault(versions[version], set()).update(keys)
                total += len(keys)
            if total > FEW:
                return None
        return admitted

    def _vectors(
        self, keys: Sequence[str], candidates: _Candidates, *, generation: str, dimension: int
    ) -> Vectors:
        """Shape (n, dimension); a row of zeros for a key that the store has lost."""
        found = {key: one for key, one in candidates.dense.items() if one is not None}
        by_source: dict[str, list[str]] = {}
        for key in keys:
            if key not in found:
                by_source.setdefault(candidates.sources[key], []).append(key)
        for source, wanted in by_source.items():
            found |= self._store.vectors(collection_name(generation, source), wanted)
        missing = np.zeros(dimension, dtype=np.float32)
        return np.array([found.get(key, missing) for key in keys], dtype=np.float32).reshape(
            len(keys), dimension
        )


def prefer_young(hits: Iterable[Hit], recency: Recency) -> list[Hit]:
    """With what their days add to their scores, best first."""
    aged = [replace(hit, score=hit.score + recency.bonus((hit.chunk, *hit.copies))) for hit in hits]
    return sorted(aged, key=lambda hit: -hit.score)


def _known(
    lexical: Mapping[str, float],
    dense: Mapping[str, Vectors | None],
    places: Mapping[str, Sequence[Chunk]],
    *,
    has_moved: bool,
) -> _Candidates:
    """Candidates that have all been read."""
    sources = {key: chunks[0].source for key, chunks in places.items()}
    return _Candidates(sources, lexical, dense, places, has_moved)


def _sources_of(keys: Iterable[str], live: Mapping[str, AbstractSet[str]]) -> dict[str, str]:
    """By key a source in which it is live; without those that are so nowhere."""
    found = ((key, next((source for source, has in live.items() if key in has), None)) for key in keys)
    return {key: source for key, source in found if source is not None}


def _only(places: Mapping[str, Sequence[Chunk]], where: Filter) -> dict[str, list[Chunk]]:
    """Those that `where` admits."""
    admitted = {key: [chunk for chunk in chunks if where.admits(chunk)] for key, chunks in places.items()}
    return {key: chunks for key, chunks in admitted.items() if chunks}


def _empty_chunk(version: str, *, source: str, metadata: Mapping[str, str]) -> Chunk:
    """Such as any of a document's is to a filter, which asks for nothing else."""
    return Chunk(version, version, source, 0, "", "", "", "", metadata=metadata, key=version)


def _first(ranked: Mapping[str, _T], places: Mapping[str, object], limit: int) -> dict[str, _T]:
    """The best `limit` of those that have a place."""
    return dict(islice(((key, score) for key, score in ranked.items() if key in places), limit))
