"""Loading and embedding what is new, and writing it beside what is live: vectors before their rows.

Nothing of it is visible before it is published. Whatever was staged when a run stopped is found again by the next one.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from knowledge.chunking import Chunker, Passage
from knowledge.documents import Document, contextual_text
from knowledge.embedding import Embedder, Vectors
from knowledge.errors import LoadError
from knowledge.loaders import Loader, file_hash
from knowledge.manifest import Manifest
from knowledge.planning import Plan, Progress, ProgressCallback, ToLoad
from knowledge.store import VectorStore
from knowledge.versions import chunk_id, collection_name, version_id

_BATCH_CHUNKS = 512
"""Chunks embedded and written at a time: enough to sort by length, few enough to lose little in a crash."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A document that waits to be embedded."""

    document: Document
    passages: list[Passage]
    path: str
    content_hash: str
    version: str

    @property
    def chunk_ids(self) -> list[str]:
        """One for each passage."""
        return [chunk_id(self.version, passage.position) for passage in self.passages]

    @property
    def texts(self) -> list[str]:
        """What is embedded: `Chunk.contextual_text` of the chunks that are made of the passages."""
        return [
            contextual_text(self.document.title, passage.heading, passage.text) for passage in self.passages
        ]


class Stager:
    """Carries out the loading part of a plan, and completes its publication and report."""

    def __init__(
        self, manifest: Manifest, store: VectorStore, embedder: Embedder, loader: Loader, chunker: Chunker
    ) -> None:
        self._manifest = manifest
        self._store = store
        self._embedder = embedder
        self._loader = loader
        self._chunker = chunker

    def stage(self, plan: Plan, progress: ProgressCallback) -> None:
        """Load, embed and write everything that is to be loaded, in batches."""
        batch: list[_Loaded] = []
        for done, item in enumerate(plan.to_load, start=1):
            started = time.monotonic()
            tick = partial(progress, Progress("index", done - 1, len(plan.to_load), item.file.path))
            tick()
            loaded = self._load(plan, item)
            if loaded:
                batch.append(loaded)
            if sum(len(each.passages) for each in batch) >= _BATCH_CHUNKS or done == len(plan.to_load):
                self._write(plan, batch, tick)
                batch = []
            plan.source_report(item.source).seconds += time.monotonic() - started

    def _load(self, plan: Plan, item: ToLoad) -> _Loaded | None:
        """A document cut into passages; None when the file failed or turned out to be known."""
        content_hash = ""
        try:
            data = self._loader.read(item.file)
            # The file may have changed since it was planned: what counts are the bytes that are loaded.
            content_hash = file_hash(item.file, data)
            document = self._loader.load(item.file, data, source=item.source)
        except LoadError as error:
            plan.fail(item.file, source=item.source, content_hash=content_hash, error=error)
            return None
        plan.source_report(item.source).count(item.outcome)
        version = version_id(document.id, content_hash, plan.generation)
        plan.publication.live[item.source].add(version)
        if version in plan.versions:
            return None
        return _Loaded(document, self._chunker.passages(document), item.file.path, content_hash, version)

    def _write(self, plan: Plan, batch: Sequence[_Loaded], tick: Callable[[], None]) -> None:
        texts = [text for loaded in batch for text in loaded.texts]
        known = self._known_vectors(plan, batch)
        new = [text for text in dict.fromkeys(texts) if text not in known]
        vectors = self._embedder.embed_documents(new, on_progress=lambda _: tick())
        plan.report.embedded += len(new)
        known.update(zip(new, vectors, strict=True))
        for source in {loaded.document.source for loaded in batch}:
            mine = [loaded for loaded in batch if loaded.document.source == source and loaded.passages]
            ids = [id_ for loaded in mine for id_ in loaded.chunk_ids]
            if ids:
                rows = np.stack([known[text] for loaded in mine for text in loaded.texts])
                self._store.add(collection_name(plan.generation, source), ids, rows)
        for loaded in batch:
            self._manifest.stage(
                loaded.document,
                loaded.passages,
                path=loaded.path,
                content_hash=loaded.content_hash,
                generation=plan.generation,
            )

    def _known_vectors(self, plan: Plan, batch: Sequence[_Loaded]) -> dict[str, Vectors]:
        """By text, what need not be embedded again: unchanged passages of edited files, and moved files."""
        documents = {loaded.document.id for loaded in batch}
        hashes = {loaded.content_hash for loaded in batch}
        usable = [
            version.version
            for version in plan.versions.values()
            if version.generation == plan.generation
            and (version.id in documents or version.content_hash in hashes)
        ]
        by_source: dict[str, dict[str, str]] = {}
        for chunk in self._manifest.chunks_of(usable):
            by_source.setdefault(chunk.source, {})[chunk.id] = chunk.contextual_text
        vectors: dict[str, Vectors] = {}
        for source, texts in by_source.items():
            found = self._store.vectors(collection_name(plan.generation, source), list(texts))
            vectors.update((texts[id_], vector) for id_, vector in found.items())
        return vectors
