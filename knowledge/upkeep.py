"""Keeping store and manifest in agreement: what the store has lost is made anew, what nobody needs is removed.

A row of the manifest promises its vector. Rows are deleted before their vectors: a vector without a row is never shown,
and a sweep finds it. Nothing here is visible to people; only the index calls it, while it holds the lock.
"""

from collections.abc import Callable

from knowledge.embedding import Embedder
from knowledge.manifest import Manifest
from knowledge.store import VectorStore
from knowledge.versions import COLLECTION_PREFIX, Version, collection_name

_BATCH_CHUNKS = 512


class Upkeep:
    """The chores of an index."""

    def __init__(self, manifest: Manifest, store: VectorStore, embedder: Embedder) -> None:
        self._manifest = manifest
        self._store = store
        self._embedder = embedder

    def lost(self, generation: str) -> dict[str, set[str]]:
        """By source the chunks of a generation that have no vectors: somebody deleted or replaced the store."""
        lost: dict[str, set[str]] = {}
        for (source, theirs), chunks in self._manifest.counts().items():
            name = collection_name(generation, source)
            if theirs == generation and self._store.count(name) < chunks:
                lost[source] = self._manifest.ids(source, generation) - self._store.ids(name)
        return lost

    def restore(self, lost: dict[str, set[str]], generation: str) -> int:
        """Embed what was lost; the number of chunks."""
        for source, missing in lost.items():
            ids = sorted(missing)
            for start in range(0, len(ids), _BATCH_CHUNKS):
                chunks = list(self._manifest.find(ids[start : start + _BATCH_CHUNKS]).values())
                vectors = self._embedder.embed_documents([chunk.contextual_text for chunk in chunks])
                self._store.add(collection_name(generation, source), [chunk.id for chunk in chunks], vectors)
        return sum(map(len, lost.values()))

    def collect(self, *, keep: Callable[[Version], bool], sweep: bool) -> int:
        """Remove every version but those to keep, with `sweep` also vectors without rows; the number of versions."""
        versions = self._manifest.versions()
        dead = {version.version: version for version in versions if not keep(version)}
        kept = {
            collection_name(version.generation, version.source): (version.source, version.generation)
            for version in versions
            if version.version not in dead
        }
        rubbish: dict[str, list[str]] = {}
        for id_, ids in self._manifest.chunk_ids(dead).items():
            name = collection_name(dead[id_].generation, dead[id_].source)
            rubbish.setdefault(name, []).extend(ids)
        self._manifest.delete_versions(dead)
        for name in self._store.collections():
            if not name.startswith(COLLECTION_PREFIX):
                continue
            if name not in kept:
                self._store.drop(name)
                continue
            if name in rubbish:
                self._store.delete(name, rubbish[name])
            if sweep:
                self._store.delete(name, sorted(self._store.ids(name) - self._manifest.ids(*kept[name])))
        return len(dead)
