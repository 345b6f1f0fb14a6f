"""What goes wrong with a Chroma server, as people read it; and an index on one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from sqlalchemy import Engine

from knowledge import chroma_server as module
from knowledge.chroma_server import ChromaServer
from knowledge.errors import VectorServerError
from knowledge.index import Index
from knowledge.lexical import Lexical
from knowledge.manifest import Manifest
from knowledge.retriever import Retriever
from knowledge.sources import FolderSource
from knowledge.store import ChromaStore
from tests.chroma_server import Proxy, free_port, proxied
from tests.knowledge.fakes import HashingEmbedder
from tests.knowledge.setting import EVERYONE, SETTINGS

VECTORS = np.eye(3, dtype=np.float32)
IDS = ["a", "b", "c"]
TOKEN = "hush-hush"  # nobody's


@pytest.fixture
def proxy(chroma_url: str) -> Iterator[Proxy]:
    with proxied(chroma_url) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: Proxy, chroma_server: ChromaServer) -> ChromaServer:
    """The server, reached through the proxy."""
    return replace(chroma_server, url=proxy.url)


@pytest.fixture
def store(behind: ChromaServer) -> Iterator[ChromaStore]:
    store = ChromaStore(behind)
    store.add("parley-a", IDS, VECTORS)
    yield store
    store.close()


def test_a_server_is_made_ready_and_tells_its_version(chroma_server: ChromaServer) -> None:
    assert chroma_server.prepare().startswith("1.")
    assert chroma_server.prepare().startswith("1.")


def test_nobody_is_there() -> None:
    server = ChromaServer(f"http://127.0.0.1:{free_port()}")
    for use in (server.prepare, lambda: ChromaStore(server).count("parley-a")):
        with pytest.raises(VectorServerError, match=r"No Chroma server answers at .*chroma_url"):
            use()


def test_a_token_is_asked_for_shown_and_refused(proxy: Proxy, behind: ChromaServer) -> None:
    proxy.token = TOKEN
    with pytest.raises(VectorServerError, match="asks for a token; set PARLEY_CHROMA_TOKEN"):
        ChromaStore(behind).count("parley-a")
    with pytest.raises(VectorServerError, match="refuses the token; correct PARLEY_CHROMA_TOKEN"):
        ChromaStore(replace(behind, token="wrong")).count("parley-a")
    store = ChromaStore(replace(behind, token=TOKEN))
    store.add("parley-a", IDS, VECTORS)
    assert store.query("parley-a", VECTORS[1], 1)[0].id == "b"
    proxy.token = "changed"  # while Parley runs
    with pytest.raises(VectorServerError, match="refuses the token"):
        store.count("parley-a")
    store.close()


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN} ", f"{TOKEN}ä"])
def test_a_token_stays_out_of_errors_and_logs(
    behind: ChromaServer, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    server = replace(behind, token=token)
    with pytest.raises(VectorServerError, match="PARLEY_CHROMA_TOKEN") as caught:
        ChromaStore(server).count("parley-a")
    seen: BaseException | None = caught.value
    while seen:
        assert TOKEN not in f"{seen}{seen!r}"
        seen = seen.__cause__ or seen.__context__
    store = ChromaStore(replace(behind, token=TOKEN))
    store.count("parley-a")
    store.close()
    assert TOKEN not in caplog.text + repr(server)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((200, '"0.6.3"'), "has version 0.6.3, and Parley needs 1.x; upgrade the server"),
        ((404, '{"detail": "Not Found"}'), "is no Chroma server of version 1.x"),
        ((200, "<html>Welcome</html>"), "is no Chroma server of version 1.x"),
        ((301, ""), "is no Chroma server of version 1.x"),
        ((503, "<html>later</html>"), r"is not working now \(status 503\)"),
    ],
)
def test_something_else_is_there(
    proxy: Proxy, behind: ChromaServer, answer: tuple[int, str], sentence: str
) -> None:
    proxy.answers = [answer]
    with pytest.raises(VectorServerError, match=sentence):
        behind.prepare()


def test_a_database_that_cannot_be_made_is_named(proxy: Proxy, behind: ChromaServer) -> None:
    proxy.answers = [(200, '"1.0.0"'), (404, "{}"), (500, "{}")]
    with pytest.raises(
        VectorServerError, match=rf"has no database '{behind.database}'.*knowledge.chroma_database"
    ):
        behind.prepare()


def test_a_server_that_restarts_is_tried_again(proxy: Proxy, store: ChromaStore) -> None:
    proxy.cut = 2
    assert store.count("parley-a") == 3
    proxy.answers = [(503, "starting"), (502, "<html>bad gateway</html>"), (429, "slowly")]
    assert store.ids("parley-a") == set(IDS)
    store.delete("parley-a", ["a"])
    assert store.count("parley-a") == 2


def test_a_server_that_restarts_while_the_store_is_opened_is_tried_again(
    proxy: Proxy, store: ChromaStore
) -> None:
    store.refresh()
    proxy.cut = 2
    assert store.count("parley-a") == 3
    for answers in ([(503, "starting")], [(200, '"1.0.0"'), (503, "starting")]):
        store.refresh()
        proxy.answers = answers
        assert store.count("parley-a") == 3


def test_a_server_that_stays_away_is_given_up(proxy: Proxy, store: ChromaStore) -> None:
    proxy.answers = [(503, "down")] * 20
    with pytest.raises(VectorServerError, match=r"is not working now \(status 503\)"):
        store.count("parley-a")
    assert len(proxy.answers) == 20 - module.ATTEMPTS
    proxy.answers = []
    proxy.cut = 20
    with pytest.raises(VectorServerError, match="No Chroma server answers"):
        store.count("parley-a")
    proxy.cut = 0
    assert store.count("parley-a") == 3


def test_a_failure_that_does_not_pass_is_not_tried_again(proxy: Proxy, store: ChromaStore) -> None:
    proxy.answers = [(500, '{"error": "InternalError", "message": "disk full"}')] * 2
    with pytest.raises(VectorServerError, match=r"has failed \(InternalError\); look at its log"):
        store.count("parley-a")
    assert len(proxy.answers) == 1
    proxy.answers = [(413, "<html>too large</html>")]
    with pytest.raises(VectorServerError, match="refuses requests of this size"):
        store.add("parley-a", IDS, VECTORS)


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, proxy: Proxy, behind: ChromaServer
) -> None:
    proxy.mute = "/collections"
    monkeypatch.setattr("knowledge.store.TIMEOUT", httpx.Timeout(0.2))
    store = ChromaStore(behind)
    with pytest.raises(VectorServerError, match="has not answered for 60 seconds; look at its log"):
        store.count("parley-a")
    store.close()
    monkeypatch.setattr("knowledge.chroma_server.TIMEOUT", httpx.Timeout(0.2))
    proxy.mute = "/version"
    with pytest.raises(VectorServerError, match="has not answered"):
        behind.prepare()


def test_an_index_on_a_server_is_searched_kept_fresh_and_restored(
    chroma_server: ChromaServer, engine: Engine, root: Path
) -> None:
    store, embedder = ChromaStore(chroma_server), HashingEmbedder()
    index = Index(engine, store, embedder, SETTINGS, root.parent / "index.lock")
    sources = [FolderSource("docs", root, EVERYONE)]
    retriever = Retriever(Manifest(engine), store, embedder, Lexical())

    def found(query: str) -> list[str]:
        return [hit.chunk.text for hit in retriever.search(query, sources=frozenset({"docs"}), top_k=1)]

    (root / "dogs.md").write_text("Dogs bark at night.")
    (root / "hotels.md").write_text("Hotels cost at most 140 EUR.")
    index.sync(sources)
    assert found("What do dogs do at night?") == ["Dogs bark at night."]
    (root / "dogs.md").write_text("Dogs sleep at night.")
    index.sync(sources)
    assert found("What do dogs do at night?") == ["Dogs sleep at night."]
    for name in store.collections():
        store.drop(name)
    assert index.sync(sources).embedded > 0
    assert found("What do hotels cost?") == ["Hotels cost at most 140 EUR."]
    assert not any(hit.similarity == 0 for hit in retriever.search("hotels", sources=frozenset({"docs"})))
    store.close()
