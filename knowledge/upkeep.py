"""Keeping store and manifest in agreement: what the store has lost is made anew, what nobody needs is removed.

A row of the manifest promises a vector for its key in the collection of its source and generation. Rows are deleted
before the vectors that no other row needs: a vector without a row is never shown, and a sweep finds it. Nothing here is
visible to people; only the index calls it, while it holds the lock.
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

    def lost(self, generation: str, *, thorough: bool) -> dict[str, set[str]]:
        """By source the keys of a generation that have no vectors: somebody deleted or replaced the store.

        Numbers are compared first, and tell as long as there are no vectors without rows; `thorough` when there may be.
        """
        lost: dict[str, set[str]] = {}
        for (source, theirs), keys in self._manifest.key_counts().items():
            name = collection_name(generation, source)
            if theirs == generation and (thorough or self._store.count(name) < keys):
                missing = self._manifest.keys(source, generation) - self._store.ids(name)
                if missing:
                    lost[source] = missing
        return lost

    def restore(self, lost: dict[str, set[str]], generation: str) -> int:
        """Embed what was lost; the number of texts."""
        for source, missing in lost.items():
            keys = sorted(missing)
            for start in range(0, len(keys), _BATCH_CHUNKS):
                page = keys[start : start + _BATCH_CHUNKS]
                texts = self._manifest.texts(page, source=source, generation=generation)
                vectors = self._embedder.embed_documents(list(texts.values()))
                self._store.add(collection_name(generation, source), list(texts), vectors)
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
        freed: dict[str, set[str]] = {}
        for version, keys in self._manifest.version_keys(dead).items():
            name = collection_name(dead[version].generation, dead[version].source)
            freed.setdefault(name, set()).update(keys)
        self._manifest.delete_versions(dead)
        for name in self._store.collections():
            if not name.startswith(COLLECTION_PREFIX):
                continue
            if name not in kept:
                self._store.drop(name)
                continue
            source, generation = kept[name]
            rubbish: set[str] = set()
            if sweep:
                rubbish = self._store.ids(name) - self._manifest.keys(source, generation)
            elif name in freed:
                holders = self._manifest.holders(freed[name], generation)
                rubbish = {key for key in freed[name] if source not in holders.get(key, ())}
            if rubbish:
                self._store.delete(name, sorted(rubbish))
        return len(dead)
