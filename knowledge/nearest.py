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


def nearest(
    store: VectorStore,
    vector: Vectors,
    wanted: Mapping[str, AbstractSet[str]],
    *,
    generation: str,
    limit: int,
) -> dict[str, Vectors]:
    """The `limit` nearest of the keys that are `wanted` of each source, with their vectors, best first.

    Raises as the store does.
    """
    found: dict[str, Vectors] = {}
    for source, keys in wanted.items():
        if keys:
            found |= _nearest(store, collection_name(generation, source), vector, keys, limit)
    return _best(found, vector, limit)


def compared(
    store: VectorStore,
    vector: Vectors,
    wanted: Mapping[str, AbstractSet[str]],
    *,
    generation: str,
    limit: int,
) -> dict[str, Vectors]:
    """As `nearest`, exactly: every vector is fetched."""
    found: dict[str, Vectors] = {}
    for source, keys in wanted.items():
        found |= store.vectors(collection_name(generation, source), sorted(keys))
    return _best(found, vector, limit)


def _nearest(
    store: VectorStore, collection: str, vector: Vectors, keys: AbstractSet[str], limit: int
) -> dict[str, Vectors]:
    k, attempts = limit, 1
    while True:
        near = store.query(collection, vector, k)
        found = {key: one for key, one in near.items() if key in keys}
        if len(found) >= min(limit, len(keys)) or len(near) < k:
            return found
        if attempts >= _ATTEMPTS and len(keys) <= FEW:
            return store.vectors(collection, sorted(keys))
        k, attempts = _DEEPER * k, attempts + 1


def _best(found: Mapping[str, Vectors], vector: Vectors, limit: int) -> dict[str, Vectors]:
    if not found:
        return {}
    similarities = np.array(list(found.values()), dtype=np.float32) @ vector
    ranked = sorted(zip(-similarities, found, strict=True))
    return {key: found[key] for _, key in ranked[:limit]}
