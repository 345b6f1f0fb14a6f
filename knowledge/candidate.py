"""A new state of the index before it becomes visible, searched as it would be searched afterwards.

It is searched by the retriever that people's questions go through, on other rows of the same manifest and other vectors
of the same store, so that a test of it says what publishing would bring. The words of each state are indexed by its
first search (seconds for a large index); nothing is written.
"""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from knowledge.documents import Chunk
from knowledge.manifest import Manifest
from knowledge.retriever import Retriever
from knowledge.versions import State


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is about to be published, and what is visible now."""

    changed: frozenset[str]
    """Names of the sources with other documents than now."""
    new: frozenset[str]
    """Those of them that have no documents now."""
    revision: int
    """That the index will have."""
    before: Retriever
    """On what is visible now. Searching raises IndexOutdatedError when that needs another embedding model."""
    after: Retriever
    """On what would be visible."""


Gate = Callable[[Candidate], None]
"""Looks at a candidate, and raises a KnowledgeError when it must not become visible."""


class Edition:
    """Some versions of the manifest as if they were the live ones; see `knowledge.retriever.Shelf`."""

    def __init__(self, manifest: Manifest, versions: AbstractSet[str], state: State) -> None:
        self._manifest = manifest
        self._versions = versions
        self._state = state

    def state(self) -> State:
        """That of the index if these were live."""
        return self._state

    def live_keys(self) -> dict[str, set[str]]:
        """For each source the keys of these versions' chunks."""
        sources = {version.version: version.source for version in self._manifest.versions()}
        found: dict[str, set[str]] = {}
        for version, keys in self._manifest.version_keys(self._versions).items():
            found.setdefault(sources[version], set()).update(keys)
        return found

    def described(self, sources: AbstractSet[str]) -> dict[str, tuple[str, dict[str, str]]]:
        """Source and metadata of these versions."""
        return self._manifest.described(sources, versions=self._versions)

    def version_keys(self, versions: Iterable[str]) -> dict[str, set[str]]:
        """The keys of their chunks."""
        return self._manifest.version_keys(versions)

    def find_keys(self, keys: Iterable[str], *, sources: AbstractSet[str]) -> dict[str, list[Chunk]]:
        """By key the chunks of these versions."""
        return self._manifest.find_keys(keys, sources=sources, versions=self._versions)
