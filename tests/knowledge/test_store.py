"""The contract of a vector store, on the fake and on Chroma."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from knowledge.embedding import Vectors
from knowledge.errors import IndexDamagedError
from knowledge.store import ChromaStore, VectorStore
from tests.knowledge.fakes import MemoryStore


@pytest.fixture(params=["memory", "chroma"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    if request.param == "memory":
        yield MemoryStore()
    else:
        chroma = ChromaStore(tmp_path / "chroma")
        yield chroma
        chroma.close()


def unit_vectors(count: int, *, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


VECTORS = unit_vectors(20)
IDS = [f"id{number}" for number in range(20)]


def test_the_nearest_come_first_with_their_cosine(store: VectorStore) -> None:
    store.add("parley-a", IDS, VECTORS)
    cosines = VECTORS @ VECTORS[3]
    expected = [IDS[row] for row in np.argsort(-cosines)[:4]]
    found = store.query("parley-a", VECTORS[3], 4)
    assert [id_ for id_, _ in found] == expected
    assert [similarity for _, similarity in found] == pytest.approx(sorted(cosines)[::-1][:4], abs=1e-5)


def test_asking_for_more_than_there_is_gives_all(store: VectorStore) -> None:
    store.add("parley-a", IDS[:3], VECTORS[:3])
    assert len(store.query("parley-a", VECTORS[0], 50)) == 3
    assert store.query("parley-a", VECTORS[0], 0) == []


def test_an_unknown_collection_is_empty(store: VectorStore) -> None:
    assert store.query("parley-a", VECTORS[0], 3) == []
    assert store.count("parley-a") == 0
    assert store.ids("parley-a") == set()
    assert store.vectors("parley-a", IDS) == {}
    store.delete("parley-a", IDS)
    store.drop("parley-a")
    assert store.collections() == set()


def test_adding_again_replaces(store: VectorStore) -> None:
    store.add("parley-a", IDS[:2], VECTORS[:2])
    store.add("parley-a", IDS[:1], VECTORS[5:6])
    assert store.count("parley-a") == 2
    np.testing.assert_allclose(store.vectors("parley-a", ["id0"])["id0"], VECTORS[5], atol=1e-6)


def test_collections_are_separate(store: VectorStore) -> None:
    store.add("parley-a", IDS[:2], VECTORS[:2])
    store.add("parley-b", IDS[2:4], VECTORS[2:4])
    assert store.collections() == {"parley-a", "parley-b"}
    assert store.ids("parley-b") == {"id2", "id3"}
    store.drop("parley-a")
    assert store.collections() == {"parley-b"}
    assert store.count("parley-a") == 0


def test_deleted_vectors_are_gone_and_unknown_ids_do_not_matter(store: VectorStore) -> None:
    store.add("parley-a", IDS, VECTORS)
    store.delete("parley-a", [*IDS[5:], "never"])
    assert store.ids("parley-a") == set(IDS[:5])
    assert {id_ for id_, _ in store.query("parley-a", VECTORS[10], 20)} == set(IDS[:5])
    assert set(store.vectors("parley-a", IDS)) == set(IDS[:5])


def test_refreshing_loses_nothing(store: VectorStore) -> None:
    store.add("parley-a", IDS, VECTORS)
    store.refresh()
    assert store.count("parley-a") == 20


def test_chroma_remembers_and_takes_more_than_one_page(tmp_path: Path) -> None:
    vectors = unit_vectors(2_500, seed=1)
    ids = [f"c{number}" for number in range(2_500)]
    store = ChromaStore(tmp_path)
    store.add("parley-a", ids, vectors)
    store.close()
    store = ChromaStore(tmp_path)
    assert store.count("parley-a") == 2_500
    assert len(store.vectors("parley-a", ids)) == 2_500
    assert store.query("parley-a", vectors[7], 1)[0][0] == "c7"
    store.close()


def test_chroma_is_searched_while_it_is_written_and_refreshed(tmp_path: Path) -> None:
    store = ChromaStore(tmp_path)
    store.add("parley-a", IDS, VECTORS)
    stop = threading.Event()

    def search() -> int:
        searches = 0
        while not stop.is_set():
            assert store.query("parley-a", VECTORS[0], 3)[0][0] == "id0"
            searches += 1
        return searches

    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(search) for _ in range(2)]
        try:
            for round_ in range(10):
                ids = [f"r{round_}-{number}" for number in range(100)]
                store.add("parley-a", ids, -np.abs(unit_vectors(100, seed=round_ + 2)) * np.sign(VECTORS[0]))
                store.refresh()
        finally:
            stop.set()
        assert all(future.result(timeout=20) > 0 for future in running)
    store.close()


def test_damage_is_reported_with_its_fix(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(IndexDamagedError, match="delete the folder and run `parley reindex`"):
        ChromaStore(tmp_path).count("parley-a")
