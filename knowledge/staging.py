"""Loading and embedding what is new, and writing it beside what is live: vectors before their rows.

Nothing of it is visible before it is published. Whatever was staged when a run stopped is found again by the next one.
A text is embedded once, however many documents and sources have it, and each source has a vector of its own for it: a
source can be searched and forgotten by itself.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from knowledge.behind import Behind, GoOn
from knowledge.chunking import Chunker, Passage
from knowledge.documents import Document
from knowledge.embedding import Embedder, Vectors
from knowledge.errors import LoadError
from knowledge.loaders import Loaded, Loader
from knowledge.manifest import Manifest
from knowledge.planning import Plan, Progress, ProgressCallback, ToLoad
from knowledge.store import VectorStore
from knowledge.versions import collection_name, version_id

_BATCH_CHUNKS = 512
"""Chunks embedded and written at a time: enough to sort by length, few enough to lose little in a crash.

A document with more of them is embedded in several parts, as their vectors would not all fit into memory."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A document that waits to be embedded."""

    document: Document
    passages: list[Passage]
    path: str
    content_hash: str
    version: str

    @property
    def texts(self) -> dict[str, str]:
        """What is embedded, by key: `Chunk.contextual_text` of the chunks that are made of the passages."""
        title = self.document.title
        return {passage.key(title): passage.contextual_text(title) for passage in self.passages}


class _Batch:
    """Documents that are embedded and written together."""

    def __init__(self) -> None:
        self.documents: list[_Loaded] = []
        self.sizes: Counter[str] = Counter()
        """Passages by source, and at least one for each document."""

    @property
    def size(self) -> int:
        return self.sizes.total()

    def add(self, loaded: _Loaded) -> None:
        self.documents.append(loaded)
        self.sizes[loaded.document.source] += max(1, len(loaded.passages))


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
        """Load, embed and write everything that is to be loaded, in batches.

        One batch is embedded and written while the files of the next are loaded and cut, which is work for one core.
        """
        batch, before = _Batch(), _Batch()
        files = ((item.file, item.source) for item in plan.to_load)
        with closing(self._loader.load_all(files)) as loading, Behind() as behind:
            for done, item in enumerate(plan.to_load, start=1):
                started = time.monotonic()
                tick = partial(progress, Progress("index", done - 1, len(plan.to_load), item.file.path))
                tick()
                behind.check()
                if loaded := self._cut(plan, item, next(loading)):
                    batch.add(loaded)
                plan.source_report(item.source).seconds += time.monotonic() - started
                is_last = done == len(plan.to_load)
                if batch.size >= _BATCH_CHUNKS or is_last:
                    _finish(behind, plan, before, tick)
                    behind.begin(partial(self._write, plan, batch.documents))
                    batch, before = _Batch(), batch
                if is_last:
                    _finish(behind, plan, before, tick)

    def _cut(self, plan: Plan, item: ToLoad, file: Loaded) -> _Loaded | None:
        """A document cut into passages; None when the file failed or turned out to be known."""
        # The file may have changed since it was planned: what counts are the bytes that are loaded.
        content_hash, document = file.content_hash, file.result
        if isinstance(document, LoadError):
            plan.fail(item.file, source=item.source, content_hash=content_hash, error=document)
            return None
        plan.source_report(item.source).count(item.outcome)
        version = version_id(document.id, content_hash, plan.generation)
        plan.publication.live[item.source].add(version)
        if version in plan.versions:
            return None
        return _Loaded(document, self._chunker.passages(document), item.file.path, content_hash, version)

    def _write(self, plan: Plan, batch: Sequence[_Loaded], go_on: GoOn) -> None:
        """Embed and write documents; `go_on` is called now and then, and raises to stop it."""
        texts: dict[str, str] = {}
        wanted: dict[str, set[str]] = {}
        for loaded in batch:
            texts.update(found := loaded.texts)
            for key in found:
                wanted.setdefault(key, set()).add(loaded.document.source)
        rest = iter(texts)
        while keys := list(islice(rest, _BATCH_CHUNKS)):
            self._write_vectors(plan, {key: texts[key] for key in keys}, wanted, go_on)
        for loaded in batch:
            go_on()
            self._manifest.stage(
                loaded.document,
                loaded.passages,
                path=loaded.path,
                content_hash=loaded.content_hash,
                generation=plan.generation,
            )

    def _write_vectors(
        self,
        plan: Plan,
        texts: Mapping[str, str],
        wanted: Mapping[str, AbstractSet[str]],
        go_on: GoOn,
    ) -> None:
        """Give each source that wants one of these texts, by key, its vector, unless it has it."""
        holders = self._manifest.holders(texts, plan.generation)
        missing: dict[str, list[str]] = {}
        for key in texts:
            for source in sorted(wanted[key] - holders.get(key, set())):
                missing.setdefault(source, []).append(key)
        new = dict.fromkeys(key for group in missing.values() for key in group)
        vectors = self._vectors({key: texts[key] for key in new}, holders, plan, go_on)
        for source, group in missing.items():
            rows = np.stack([vectors[key] for key in group])
            self._store.add(collection_name(plan.generation, source), group, rows)

    def _vectors(
        self,
        texts: Mapping[str, str],
        holders: Mapping[str, AbstractSet[str]],
        plan: Plan,
        go_on: GoOn,
    ) -> dict[str, Vectors]:
        """By key: copied where the same text has a vector of this model already, embedded otherwise."""
        vectors = self._copied(texts, holders, plan.generation)
        live = plan.state.generation
        if live != plan.generation and plan.state.embedder == plan.publication.embedder:
            rest = texts.keys() - vectors.keys()
            vectors |= self._copied(rest, self._manifest.holders(rest, live), live)
        new = {key: text for key, text in texts.items() if key not in vectors}
        embedded = self._embedder.embed_documents(list(new.values()), on_progress=lambda _: go_on())
        plan.report.embedded += len(new)
        vectors.update(zip(new, embedded, strict=True))
        return vectors

    def _copied(
        self, keys: Iterable[str], holders: Mapping[str, AbstractSet[str]], generation: str
    ) -> dict[str, Vectors]:
        """The vectors that sources have of these keys in a generation; `holders` are the sources by key."""
        by_holder: dict[str, list[str]] = {}
        for key in keys:
            if key in holders:
                by_holder.setdefault(min(holders[key]), []).append(key)
        vectors: dict[str, Vectors] = {}
        for source, wanted in by_holder.items():
            vectors |= self._store.vectors(collection_name(generation, source), wanted)
        return vectors


def _finish(behind: Behind, plan: Plan, batch: _Batch, tick: Callable[[], None]) -> None:
    """Wait for a batch; the time counts for the sources it is of."""
    started = time.monotonic()
    behind.join(tick)
    seconds = time.monotonic() - started
    for source, size in batch.sizes.items():
        plan.source_report(source).seconds += seconds * size / batch.size
