"""Vectors in Chroma, in a folder or on a server: the only module that knows its client.

Ids and vectors only; the text is in SQL. There is one collection per generation and source, because a
metadata filter costs nine times an unfiltered query.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import httpx
import numpy as np

from knowledge.chroma_server import ATTEMPTS, TENANT, TIMEOUT, ChromaServer
from knowledge.embedding import Vectors
from knowledge.errors import IndexDamagedError, KnowledgeError

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

_T = TypeVar("_T")
_PAGE = 1_000
_NUMBERS_PER_REQUEST = 4_000_000
"""Some 21 MB on the way to a server, which takes 40."""


class Near(NamedTuple):
    """What a search of the store found."""

    id: str
    similarity: float
    """Cosine."""
    vector: Vectors | None = None
    """Where it was asked for."""


class VectorStore(Protocol):
    """Named collections of vectors. An unknown collection is an empty one. Errors are KnowledgeErrors."""

    def add(self, collection: str, ids: Sequence[str], vectors: Vectors) -> None:
        """Add vectors, shape (n, d); an id that is there already gets the new vector."""

    def query(self, collection: str, vector: Vectors, k: int, *, with_vectors: bool = False) -> list[Near]:
        """The `k` nearest by cosine similarity, best first. A vector costs more on its way than all of the search."""

    def vectors(self, collection: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """The vectors of those ids that are there."""

    def ids(self, collection: str) -> set[str]:
        """All ids."""

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Remove what is there of these ids."""

    def count(self, collection: str) -> int:
        """The number of vectors."""

    def collections(self) -> set[str]:
        """The names of all collections."""

    def drop(self, collection: str) -> None:
        """Remove a collection with all its vectors."""

    def refresh(self) -> None:
        """See what other processes wrote."""


class ChromaStore:
    """Chroma in a folder on this machine or on a server; one per process and place, used from any thread.

    What fails because a server restarts or is overwhelmed is tried again for some two seconds.
    """

    def __init__(self, place: Path | ChromaServer) -> None:
        """Opened when first used."""
        self._place = place
        self._condition = threading.Condition()
        self._running = 0  # operations; the client is not closed under them
        self._closing = False  # new operations wait, or a busy bot would never let the client be closed
        self._opening = threading.Lock()  # its own, as a server may take seconds; only operations take it
        self._client: ClientAPI | None = None
        self._collections: dict[str, Collection] = {}

    def add(self, collection: str, ids: Sequence[str], vectors: Vectors) -> None:
        """See `VectorStore`."""

        def work() -> None:
            found = self._create(collection)
            size = min(_PAGE, max(1, _NUMBERS_PER_REQUEST // vectors.shape[1]))
            for start in range(0, len(ids), size):
                page = slice(start, start + size)
                found.upsert(ids=list(ids[page]), embeddings=np.asarray(vectors[page], dtype=np.float32))

        if ids:
            self._run(work)

    def query(self, collection: str, vector: Vectors, k: int, *, with_vectors: bool = False) -> list[Near]:
        """See `VectorStore`. Approximate (HNSW)."""

        def work() -> list[Near]:
            found = self._find(collection)
            if found is None or k < 1:
                return []
            result = found.query(
                query_embeddings=np.asarray([vector], dtype=np.float32),
                n_results=k,
                include=["distances", "embeddings"] if with_vectors else ["distances"],
            )
            ids, distances = result["ids"][0], (result["distances"] or [[]])[0]
            embeddings = (result["embeddings"] or [[]])[0] if with_vectors else [None] * len(ids)
            return [
                Near(id_, 1.0 - float(distance), None if one is None else np.asarray(one, dtype=np.float32))
                for id_, distance, one in zip(ids, distances, embeddings, strict=True)
            ]

        return self._run(work)

    def vectors(self, collection: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """See `VectorStore`."""

        def work() -> dict[str, Vectors]:
            found = self._find(collection)
            vectors: dict[str, Vectors] = {}
            if found is None:
                return vectors
            for start in range(0, len(ids), _PAGE):
                result = found.get(ids=list(ids[start : start + _PAGE]), include=["embeddings"])
                embeddings = result["embeddings"]
                for id_, vector in zip(result["ids"], [] if embeddings is None else embeddings, strict=True):
                    vectors[id_] = np.asarray(vector, dtype=np.float32)
            return vectors

        return self._run(work)

    def ids(self, collection: str) -> set[str]:
        """See `VectorStore`."""

        def work() -> set[str]:
            found = self._find(collection)
            return set(found.get(include=[])["ids"]) if found else set()

        return self._run(work)

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """See `VectorStore`."""

        def work() -> None:
            found = self._find(collection)
            if found is None:
                return
            for start in range(0, len(ids), _PAGE):
                found.delete(ids=list(ids[start : start + _PAGE]))

        self._run(work)

    def count(self, collection: str) -> int:
        """See `VectorStore`."""

        def work() -> int:
            found = self._find(collection)
            return found.count() if found else 0

        return self._run(work)

    def collections(self) -> set[str]:
        """See `VectorStore`."""
        return self._run(lambda: {found.name for found in self._connect().list_collections()})

    def drop(self, collection: str) -> None:
        """See `VectorStore`."""

        def work() -> None:
            if self._find(collection):
                self._connect().delete_collection(collection)
                self._collections.pop(collection, None)

        self._run(work)

    def refresh(self) -> None:
        """See `VectorStore`. Chroma keeps graphs in memory and would go on searching the old ones."""
        self._disconnect()

    def close(self) -> None:
        """Release files, connections and threads; the store opens itself again when used."""
        self._disconnect()

    def _disconnect(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: not self._closing)
            self._closing = True
            self._condition.wait_for(lambda: not self._running)
            self._closing = False
            self._condition.notify_all()
            self._collections.clear()
            if self._client is not None:
                client, self._client = self._client, None
                _close(client)

    def _connect(self) -> "ClientAPI":
        with self._opening:
            if self._client is None:
                self._client = (
                    _open_server(self._place)
                    if isinstance(self._place, ChromaServer)
                    else _open_folder(self._place)
                )
            return self._client

    def _find(self, name: str) -> "Collection | None":
        from chromadb.errors import NotFoundError

        found = self._collections.get(name)
        if found is None:
            try:
                found = self._connect().get_collection(name, embedding_function=None)
            except NotFoundError:
                return None
            self._collections[name] = found
        return found

    def _create(self, name: str) -> "Collection":
        found = self._collections.get(name)
        if found is None:
            found = self._connect().get_or_create_collection(
                name, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
            )
            self._collections[name] = found
        return found

    def _run(self, work: Callable[[], _T]) -> _T:
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

        retrying = Retrying(
            retry=retry_if_exception(self._passes),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.2, max=1),
            before_sleep=lambda _: self._collections.clear(),
            reraise=True,
        )
        with self._condition:
            self._condition.wait_for(lambda: not self._closing)
            self._running += 1
        try:
            return retrying(work)
        except KnowledgeError:
            raise
        except BaseException as error:
            # A panic in Chroma's Rust code arrives as a BaseException of a class that cannot be imported.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise self._explain(error) from error
        finally:
            with self._condition:
                self._running -= 1
                self._condition.notify_all()

    def _passes(self, error: BaseException) -> bool:
        from chromadb.errors import NotFoundError

        # A collection that another process has dropped since it was looked up.
        return isinstance(error, NotFoundError) or ChromaServer.passes(error)

    def _explain(self, error: BaseException) -> KnowledgeError:
        if isinstance(self._place, ChromaServer):
            return self._place.explain(error)
        if "dimension" in str(error):
            return IndexDamagedError(
                f"Vectors in {self._place} are of another embedding model than their names say; delete the folder and "
                "run `parley reindex`."
            )
        return IndexDamagedError(
            f"The vectors in {self._place} cannot be read or written ({type(error).__name__}). "
            f"Check the disk's space and permissions; if they are fine, delete the folder and "
            f"run `parley reindex`."
        )


def _open_folder(path: Path) -> "ClientAPI":
    import chromadb
    from chromadb.config import Settings

    path.mkdir(parents=True, exist_ok=True)
    return chromadb.PersistentClient(str(path), Settings(anonymized_telemetry=False))


def _open_server(server: ChromaServer) -> "ClientAPI":
    import chromadb
    from chromadb.config import Settings

    server.try_to_prepare()
    client = chromadb.HttpClient(
        host=server.url,
        ssl=server.url.startswith("https:"),
        headers=server.headers,
        # Named, as variables of the environment meant for a server would be taken for ours.
        settings=Settings(
            anonymized_telemetry=False,
            chroma_server_host=None,
            chroma_server_http_port=None,
            chroma_client_auth_provider=None,
        ),
        tenant=TENANT,
        database=server.database,
    )
    for session in _sessions(client):
        session.timeout = TIMEOUT
        session.event_hooks = {"response": [server.check]}
    return client


def _close(client: "ClientAPI") -> None:
    from chromadb.api.client import Client

    if isinstance(client, Client):
        for session in _sessions(client):
            session.close()
        client.close()


def _sessions(client: Any) -> list[httpx.Client]:
    """The connections to a server; none to a folder.

    Chroma's client waits for ever, knows no status but its own server's, and leaves connections open when it is closed:
    only here can that be mended.
    """
    from chromadb.api.fastapi import FastAPI

    servers = [client._server, client._admin_client._server]  # noqa: SLF001
    return [server._session for server in servers if isinstance(server, FastAPI)]  # noqa: SLF001
