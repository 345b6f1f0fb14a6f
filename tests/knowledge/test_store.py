"""The contract of a vector store, on the fake and on Chroma, in a folder and on a server."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from knowledge.chroma_server import ChromaServer
from knowledge.embedding import Vectors
from knowledge.errors import IndexDamagedError
from knowledge.store import ChromaStore, VectorStore
from tests.knowledge.fakes import MemoryStore


@pytest.fixture(params=["folder", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | ChromaServer:
    if request.param == "folder":
        return tmp_path / "chroma"
    server: ChromaServer = request.getfixturevalue("chroma_server")
    return server


@pytest.fixture
def chroma(place: Path | ChromaServer) -> Iterator[ChromaStore]:
    store = ChromaStore(place)
    yield store
    store.close()


@pytest.fixture(params=["memory", "folder", "server"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    if request.param == "memory":
        yield MemoryStore()
    else:
        server = request.param == "server"
        chroma = ChromaStore(request.getfixturevalue("chroma_server") if server else tmp_path / "chroma")
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
    for with_vectors in (False, True):
        found = store.query("parley-a", VECTORS[3], 4, with_vectors=with_vectors)
        assert [near.id for near in found] == expected
        assert [near.similarity for near in found] == pytest.approx(sorted(cosines)[::-1][:4], abs=1e-5)
        for near in found:
            assert (near.vector is not None) == with_vectors
            if near.vector is not None:
                assert near.vector == pytest.approx(VECTORS[IDS.index(near.id)], abs=1e-6)


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
    assert {near.id for near in store.query("parley-a", VECTORS[10], 20)} == set(IDS[:5])
    assert set(store.vectors("parley-a", IDS)) == set(IDS[:5])


def test_refreshing_loses_nothing(store: VectorStore) -> None:
    store.add("parley-a", IDS, VECTORS)
    store.refresh()
    assert store.count("parley-a") == 20


def test_a_server_may_have_many_collections(chroma_server: ChromaServer) -> None:
    names = {f"parley-{number}" for number in range(101)}
    store = ChromaStore(chroma_server)
    for name in names:
        store.add(name, IDS[:1], VECTORS[:1])
    assert store.collections() == names
    store.close()


def test_chroma_remembers_and_takes_more_than_one_page(place: Path | ChromaServer) -> None:
    vectors = unit_vectors(2_500, seed=1)
    ids = [f"c{number}" for number in range(2_500)]
    store = ChromaStore(place)
    store.add("parley-a", ids, vectors)
    store.close()
    store = ChromaStore(place)
    assert store.count("parley-a") == 2_500
    assert store.ids("parley-a") == set(ids)
    assert len(store.vectors("parley-a", ids)) == 2_500
    assert store.query("parley-a", vectors[7], 1)[0].id == "c7"
    store.close()


def test_chroma_is_searched_while_it_is_written_and_refreshed(chroma: ChromaStore) -> None:
    chroma.add("parley-a", IDS, VECTORS)
    stop = threading.Event()

    def search() -> int:
        searches = 0
        while not stop.is_set():
            assert chroma.query("parley-a", VECTORS[0], 3)[0].id == "id0"
            searches += 1
        return searches

    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(search) for _ in range(2)]
        try:
            for round_ in range(10):
                ids = [f"r{round_}-{number}" for number in range(100)]
                chroma.add("parley-a", ids, -np.abs(unit_vectors(100, seed=round_ + 2)) * np.sign(VECTORS[0]))
                chroma.refresh()
        finally:
            stop.set()
        assert all(future.result(timeout=60) > 0 for future in running)


def test_a_collection_that_another_process_drops_is_empty_and_made_anew(chroma_server: ChromaServer) -> None:
    ours, theirs = ChromaStore(chroma_server), ChromaStore(chroma_server)
    ours.add("parley-a", IDS, VECTORS)
    theirs.drop("parley-a")
    assert ours.query("parley-a", VECTORS[0], 3) == []
    theirs.add("parley-a", IDS[:2], VECTORS[:2])
    assert ours.count("parley-a") == 2
    theirs.drop("parley-a")
    ours.add("parley-a", IDS[:3], VECTORS[:3])
    assert theirs.ids("parley-a") == set(IDS[:3])
    ours.close()
    theirs.close()


def test_databases_of_a_server_are_separate(chroma_server: ChromaServer) -> None:
    ours = ChromaStore(chroma_server)
    theirs = ChromaStore(replace(chroma_server, database=f"{chroma_server.database}-b"))
    ours.add("parley-a", IDS, VECTORS)
    assert theirs.collections() == set()
    theirs.drop("parley-a")
    assert ours.count("parley-a") == 20
    ours.close()
    theirs.close()


def test_vectors_of_another_model_are_a_sentence(chroma: ChromaStore) -> None:
    chroma.add("parley-a", IDS, VECTORS)
    longer = np.full((1, 16), 0.25, dtype=np.float32)
    for use in (
        lambda: chroma.query("parley-a", longer[0], 3),
        lambda: chroma.add("parley-a", ["other"], longer),
    ):
        with pytest.raises(IndexDamagedError, match=r"of another embedding model.*`parley reindex`"):
            use()


def test_damage_is_reported_with_its_fix(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(IndexDamagedError, match="delete the folder and run `parley reindex`"):
        ChromaStore(tmp_path).count("parley-a")
