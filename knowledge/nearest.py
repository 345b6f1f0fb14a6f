"""The nearest of the passages that may be found, among vectors of which many may be of passages that may not.

A collection also has the vectors of versions that are staged or about to be collected, and a filter may leave out most
of what is live. Collections in which nothing may be found are not looked at; where the store's own search brings too
little, it is asked for more, and soon the few that may be found are compared one by one. The store's search is
approximate, and so is this; what is compared one by one is exact.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import numpy as np

from knowledge.embedding import Vectors
from knowledge.store import VectorStore
from knowledge.versions import collection_name

FEW = 2_000
"""So many vectors of a source are fetched and compared at once: some 3 MB."""
_DEEPER = 4
_ATTEMPTS = 3
"""At the store's own search, before a few are compared one by one."""


_Found = dict[str, tuple[float, Vectors | None]]
"""By key its similarity and, where it came with that, its vector."""


def nearest(
    store: VectorStore,
    vector: Vectors,
    wanted: Mapping[str, AbstractSet[str]],
    *,
    generation: str,
    limit: int,
) -> dict[str, Vectors | None]:
    """The `limit` nearest of the keys that are `wanted` of each source, best first; with vectors that came along.

    Raises as the store does.
    """
    searched = {source: keys for source, keys in wanted.items() if keys}
    found: _Found = {}
    for source, keys in searched.items():
        collection = collection_name(generation, source)
        # Of several sources most of what is found is not among the nearest of all.
        found |= _nearest(store, collection, vector, keys, limit, with_vectors=len(searched) == 1)
    return _best(found, limit)


def compared(
    store: VectorStore,
    vector: Vectors,
    wanted: Mapping[str, AbstractSet[str]],
    *,
    generation: str,
    limit: int,
) -> dict[str, Vectors | None]:
    """As `nearest`, exactly: every vector is fetched."""
    found: _Found = {}
    for source, keys in wanted.items():
        found |= _compared(store, collection_name(generation, source), vector, keys)
    return _best(found, limit)


def _nearest(
    store: VectorStore,
    collection: str,
    vector: Vectors,
    keys: AbstractSet[str],
    limit: int,
    *,
    with_vectors: bool,
) -> _Found:
    k, attempts = limit, 1
    while True:
        pairs = store.query(collection, vector, k, with_vectors=with_vectors and attempts == 1)
        found = {near.id: (near.similarity, near.vector) for near in pairs if near.id in keys}
        if len(found) >= min(limit, len(keys)) or len(pairs) < k:
            return found
        if attempts >= _ATTEMPTS and len(keys) <= FEW:
            return _compared(store, collection, vector, keys)
        k, attempts = _DEEPER * k, attempts + 1


def _compared(store: VectorStore, collection: str, vector: Vectors, keys: AbstractSet[str]) -> _Found:
    found = store.vectors(collection, sorted(keys))
    if not found:
        return {}
    similarities = np.array(list(found.values()), dtype=np.float32) @ vector
    return {key: (float(one), found[key]) for key, one in zip(found, similarities, strict=True)}


def _best(found: _Found, limit: int) -> dict[str, Vectors | None]:
    ranked = sorted(found, key=lambda key: (-found[key][0], key))
    return {key: found[key][1] for key in ranked[:limit]}
