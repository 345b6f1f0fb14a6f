from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.embedding import Vectors
from knowledge.nearest import FEW, compared, nearest
from knowledge.store import Near
from knowledge.versions import collection_name
from tests.knowledge.fakes import MemoryStore

GENERATION = "g"
QUESTION = np.random.default_rng(7).standard_normal(8).astype(np.float32)


class Counting(MemoryStore):
    """Remembers how many vectors each question asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.fetched = 0

    def query(self, collection: str, vector: Vectors, k: int, *, with_vectors: bool = False) -> list[Near]:
        self.asked.append(k)
        return super().query(collection, vector, k, with_vectors=with_vectors)

    def vectors(self, collection: str, ids: Sequence[str]) -> dict[str, Vectors]:
        self.fetched += len(ids)
        return super().vectors(collection, ids)

    def fill(self, source: str, keys: Sequence[str], *, near: bool = False) -> None:
        rows = np.random.default_rng(list(source.encode())).standard_normal((len(keys), 8)).astype(np.float32)
        self.add(collection_name(GENERATION, source), keys, rows + 9 * QUESTION if near else rows)


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{n}" for n in range(count)]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 300)), max_size=120, unique=True),
    st.integers(1, 20),
)
def test_it_finds_the_nearest_that_are_wanted(wanted: list[tuple[str, int]], limit: int) -> None:
    store = Counting()
    for source in ("a", "b"):
        store.fill(source, names(source, 250))
    keys = {source: {f"{source}{n}" for name, n in wanted if name == source} for source in ("a", "b")}
    every = {
        key: float(store.data[collection_name(GENERATION, source)][key] @ QUESTION)
        for source, found in keys.items()
        for key in found
        if key in store.data[collection_name(GENERATION, source)]
    }
    best = sorted(every, key=lambda key: (-every[key], key))[:limit]
    for search in (nearest, compared):
        found = search(store, QUESTION, keys, generation=GENERATION, limit=limit)
        assert list(found) == best
        stored = {key: one for data in store.data.values() for key, one in data.items()}
        assert all(one is None or one is stored[key] for key, one in found.items())


def test_a_collection_of_which_nothing_is_wanted_is_not_looked_at() -> None:
    store = Counting()
    store.fill("staged", names("s", 500))
    assert nearest(store, QUESTION, {"staged": set()}, generation=GENERATION, limit=50) == {}
    assert store.asked == []


def test_the_vectors_come_along_where_they_will_be_needed() -> None:
    """Of one source; those of many sources are mostly not among the nearest of all."""
    store = Counting()
    for source in ("a", "b"):
        store.fill(source, names(source, 60))
    one = nearest(store, QUESTION, {"a": set(names("a", 60)), "b": set()}, generation=GENERATION, limit=5)
    both = {source: set(names(source, 60)) for source in ("a", "b")}
    two = nearest(store, QUESTION, both, generation=GENERATION, limit=5)
    assert [vector is not None for vector in one.values()] == [True] * 5
    assert list(two.values()) == [None] * 5


def test_a_few_among_many_are_compared_one_by_one() -> None:
    store = Counting()
    store.fill("docs", names("staged", 9_000), near=True)
    store.fill("docs", names("live", 70))
    found = nearest(store, QUESTION, {"docs": set(names("live", 70))}, generation=GENERATION, limit=50)
    assert len(found) == 50
    assert store.asked == [50, 200, 800]
    assert store.fetched == 70


def test_many_among_more_are_found_too() -> None:
    store = Counting()
    store.fill("docs", names("staged", 4_000), near=True)
    store.fill("docs", names("live", FEW + 1))
    live = set(names("live", FEW + 1))
    found = nearest(store, QUESTION, {"docs": live}, generation=GENERATION, limit=50)
    assert len(found) == 50
    assert store.fetched == 0
    assert len(store.asked) <= 5
