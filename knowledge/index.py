"""Keeping the index in step with the sources.

`Index.sync` compares content hashes, loads and embeds what changed, writes it beside the old, and makes all
of it visible in one transaction; then the old is collected. Whatever interrupts it, people go on searching
the index as it was, and the next sync continues where this one stopped.

That rests on the order of writing: vectors before their rows (a row promises its vectors), and rows are
deleted before their vectors (a vector without a row is never shown, and the next sync sweeps it up).
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from sqlalchemy import Engine

from knowledge.chunking import Chunker, ChunkSettings, Passage
from knowledge.documents import Document, contextual_text
from knowledge.embedding import Embedder, Vectors
from knowledge.errors import IndexBusyError, IndexDamagedError, LoadError
from knowledge.loaders import LOADER_VERSION, Loader
from knowledge.manifest import Manifest, chunk_id, version_id
from knowledge.planning import Plan, Progress, ProgressCallback, SyncReport, ToLoad, make_plan
from knowledge.sources.protocol import Source
from knowledge.store import VectorStore

_COLLECTION_PREFIX = "parley-"
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


def collection_name(generation: str, source: str) -> str:
    """The store's collection for a source in a generation."""
    return f"{_COLLECTION_PREFIX}{generation}-{hashlib.sha256(source.encode()).hexdigest()[:16]}"


class Index:
    """The one writer of manifest and store."""

    def __init__(
        self,
        engine: Engine,
        store: VectorStore,
        embedder: Embedder,
        chunk_settings: ChunkSettings,
        lock_path: Path,
        *,
        loader: Callable[[], Loader] = Loader,
    ) -> None:
        """`lock_path` is a file that keeps two processes from indexing at once. Cheap; nothing is opened."""
        self._manifest = Manifest(engine)
        self._store = store
        self._embedder = embedder
        self._settings = chunk_settings
        self._lock_path = lock_path
        self._loader = loader

    @property
    def generation(self) -> str:
        """What the configured model, chunking and loaders make of documents."""
        parts = f"{self._embedder.fingerprint}\0{self._settings.fingerprint}\0{LOADER_VERSION}"
        return hashlib.sha256(parts.encode()).hexdigest()[:12]

    def sync(
        self,
        sources: Sequence[Source],
        *,
        only: str | None = None,
        dry_run: bool = False,
        retry_failed: bool = False,
        on_progress: ProgressCallback | None = None,
    ) -> SyncReport:
        """Bring the index up to date with `sources`, which are all that are configured.

        `only` limits the work to one of them, unless a new generation has to be built. With `dry_run` nothing
        is written and no file is parsed: the report says what would happen. Files that failed before are
        tried again only when they have changed, or with `retry_failed`. Vectors that the store has lost are
        made anew.

        Raises:
            IndexBusyError: another process is indexing.
            SourceError: `only` is unknown, or a source cannot be read while a new generation is built.
            EmbeddingModelError: the model cannot be loaded.
            IndexDamagedError: the store or the database fails.
        """
        started = time.monotonic()
        progress = on_progress or (lambda _: None)
        with self._loader() as loader:
            if dry_run:
                plan = self._plan(sources, only, loader, progress, retry_failed=retry_failed)
                plan.report.dry_run = True
                for item in plan.to_load:
                    plan.source_report(item.source).count(item.outcome)
            else:
                with self._exclusive():
                    plan = self._plan(sources, only, loader, progress, retry_failed=retry_failed)
                    self._carry_out(plan, loader, progress)
        counts = self._manifest.live_counts()
        for report in plan.report.sources:
            report.chunks = counts.get(report.name, (0, 0))[1]
        plan.report.seconds = time.monotonic() - started
        return plan.report

    def _plan(
        self,
        sources: Sequence[Source],
        only: str | None,
        loader: Loader,
        progress: ProgressCallback,
        *,
        retry_failed: bool,
    ) -> Plan:
        return make_plan(
            sources,
            only=only,
            generation=self.generation,
            embedder=self._embedder.fingerprint,
            manifest=self._manifest,
            read=loader.read,
            retry_failed=retry_failed,
            progress=progress,
        )

    def _carry_out(self, plan: Plan, loader: Loader, progress: ProgressCallback) -> None:
        self._store.refresh()
        has_dead = any(not version.live for version in plan.versions.values())
        lost = self._lost_vectors(plan)
        if not (plan.changes_anything or has_dead or plan.state.unfinished or lost):
            return
        self._manifest.begin()
        self._restore(plan, lost)
        self._add(plan, loader, progress)
        if plan.changes_anything:
            self._manifest.publish(plan.publication)
        progress(Progress("clean up", len(plan.to_load), len(plan.to_load), ""))
        self._collect(sweep=plan.state.unfinished)
        self._manifest.end()

    def _add(self, plan: Plan, loader: Loader, progress: ProgressCallback) -> None:
        """Load, embed and stage what is new, in batches."""
        if not plan.to_load:
            return
        chunker = Chunker(self._embedder.tokenizer, self._settings)
        batch: list[_Loaded] = []
        for done, item in enumerate(plan.to_load, start=1):
            started = time.monotonic()
            tick = partial(progress, Progress("index", done - 1, len(plan.to_load), item.file.path))
            tick()
            loaded = self._load(plan, item, loader, chunker)
            if loaded:
                batch.append(loaded)
            if sum(len(each.passages) for each in batch) >= _BATCH_CHUNKS or done == len(plan.to_load):
                self._stage(plan, batch, tick)
                batch = []
            plan.source_report(item.source).seconds += time.monotonic() - started

    def _lost_vectors(self, plan: Plan) -> dict[str, set[str]]:
        """By collection the live chunks without vectors: somebody deleted or replaced the store."""
        if plan.state.generation != plan.generation:
            return {}
        lost: dict[str, set[str]] = {}
        for source, (_, chunks) in self._manifest.live_counts().items():
            name = collection_name(plan.generation, source)
            if self._store.count(name) < chunks:
                lost[name] = self._manifest.live_ids(source) - self._store.ids(name)
        return lost

    def _restore(self, plan: Plan, lost: dict[str, set[str]]) -> None:
        for name, missing in lost.items():
            ids = sorted(missing)
            for start in range(0, len(ids), _BATCH_CHUNKS):
                chunks = list(self._manifest.find_live(ids[start : start + _BATCH_CHUNKS]).values())
                vectors = self._embedder.embed_documents([chunk.contextual_text for chunk in chunks])
                self._store.add(name, [chunk.id for chunk in chunks], vectors)
                plan.report.embedded += len(chunks)

    def _load(self, plan: Plan, item: ToLoad, loader: Loader, chunker: Chunker) -> _Loaded | None:
        """A document cut into passages; None when the file failed or turned out to be known."""
        content_hash = ""
        try:
            data = loader.read(item.file)
            # The file may have changed since it was planned: what counts are the bytes that are loaded.
            content_hash = hashlib.sha256(data).hexdigest()
            document = loader.load(item.file, data, source=item.source)
        except LoadError as error:
            plan.fail(item.file, source=item.source, content_hash=content_hash, error=error)
            return None
        plan.source_report(item.source).count(item.outcome)
        version = version_id(document.id, content_hash, plan.generation)
        plan.publication.live[item.source].add(version)
        if version in plan.versions:
            return None
        return _Loaded(document, chunker.passages(document), item.file.path, content_hash, version)

    def _stage(self, plan: Plan, batch: Sequence[_Loaded], tick: Callable[[], None]) -> None:
        """Write a batch beside what is live: vectors first."""
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

    def _collect(self, *, sweep: bool) -> None:
        """Remove what nobody sees any more, with `sweep` also vectors without rows."""
        versions = self._manifest.versions()
        dead = {version.version: version for version in versions if not version.live}
        live_collections = {collection_name(v.generation, v.source): v.source for v in versions if v.live}
        rubbish: dict[str, list[str]] = {}
        for version, ids in self._manifest.chunk_ids(dead).items():
            name = collection_name(dead[version].generation, dead[version].source)
            rubbish.setdefault(name, []).extend(ids)
        self._manifest.delete_versions(dead)
        for name in self._store.collections():
            if not name.startswith(_COLLECTION_PREFIX):
                continue
            if name not in live_collections:
                self._store.drop(name)
                continue
            if name in rubbish:
                self._store.delete(name, rubbish[name])
            if sweep:
                wanted = self._manifest.live_ids(live_collections[name])
                self._store.delete(name, sorted(self._store.ids(name) - wanted))

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        lock = FileLock(self._lock_path, timeout=0)
        try:
            self._lock_path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise IndexBusyError(
                f"Another process is indexing (it holds {self._lock_path}). Wait for it, then try again."
            ) from error
        except OSError as error:
            raise IndexDamagedError(
                f"The lock file {self._lock_path} cannot be written ({error.strerror}). "
                f"Check the folder's permissions."
            ) from error
        try:
            yield
        finally:
            lock.release()
