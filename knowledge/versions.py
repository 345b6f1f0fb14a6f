"""What the manifest records: versions of documents, the state of the index, and how one state follows another.

A version of a document is its content under one generation (embedding model, chunking, loaders). Each revision of the
index shows a set of versions; a publication makes the next one. What the last publication took away is kept until the
one after it, so that it can be taken back.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

COLLECTION_PREFIX = "parley-"


@dataclass(frozen=True, slots=True)
class State:
    """The index as a whole."""

    revision: int = 0
    """Counts what people could see; no number comes twice."""
    generation: str = ""
    """'' before the first sync has ended."""
    embedder: str = ""
    unfinished: bool = False
    previous_generation: str = ""
    """Of the revision before; '' when that was an empty index, or is not known."""
    previous_embedder: str = ""
    restores: int = 0
    """Counts how often vectors were put back that the store had lost; what a process has open of it is then old."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a document."""

    version: str
    id: str
    source: str
    path: str
    uri: str
    content_hash: str
    generation: str
    live: bool
    live_since: int = 0
    """The revision that made it live the last time; 0 when it never was, or before that was recorded."""
    retired_in: int | None = None
    """The revision that took it away; None while it is live, and when it has never been live."""

    @property
    def is_staged(self) -> bool:
        """Whether it was written and has never been live: a run is at work, or stopped before publishing."""
        return not self.live and self.retired_in is None

    def is_kept(self, revision: int) -> bool:
        """Whether it is live, or would be after a rollback from this revision."""
        return self.live or self.retired_in == revision


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be loaded; it is not tried again before its content or the loaders change."""

    document_id: str
    source: str
    path: str
    content_hash: str
    """'' when the file could not even be read."""
    loader_version: int
    reason: str


@dataclass(slots=True)
class Publication:
    """What becomes visible in one transaction."""

    generation: str
    embedder: str
    live: dict[str, set[str]] = field(default_factory=dict)
    """For each source the versions that are live from now on; a source that is missing here keeps its own."""
    uris: dict[str, str] = field(default_factory=dict)
    """New uri by version, for files that moved with their folder."""
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    """For each source all its failures."""
    removed_sources: set[str] = field(default_factory=set)


def changed_sources(versions: Iterable[Version], publication: Publication) -> frozenset[str]:
    """The sources whose live versions the publication would change, without those that it removes."""
    live: dict[str, set[str]] = {}
    for version in versions:
        if version.live:
            live.setdefault(version.source, set()).add(version.version)
    return frozenset(
        source for source, wanted in publication.live.items() if wanted != live.get(source, set())
    )


def live_after(versions: Iterable[Version], publication: Publication) -> frozenset[str]:
    """The versions that are live once it is published."""
    untouched = {
        version.version
        for version in versions
        if version.live and version.source not in publication.live.keys() | publication.removed_sources
    }
    return frozenset(untouched.union(*publication.live.values()))


def version_id(document_id: str, content_hash: str, generation: str) -> str:
    """The same content under the same generation has the same version, so a crashed run can be continued."""
    return hashlib.sha256(f"{document_id}\0{content_hash}\0{generation}".encode()).hexdigest()[:32]


def chunk_id(version: str, position: int) -> str:
    """Unique over all versions."""
    return f"{version}-{position}"


def collection_name(generation: str, source: str) -> str:
    """The store's collection for a source in a generation."""
    return f"{COLLECTION_PREFIX}{generation}-{hashlib.sha256(source.encode()).hexdigest()[:16]}"
