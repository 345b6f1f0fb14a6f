"""Loading and embedding what is new, and writing it beside what is live: vectors before their rows.

Nothing of it is visible before it is published. Whatever was staged when a run stopped is found again by the next one.
A text is embedded once, however many documents and sources have it, and each source has a vector of its own for it: a
source can be searched and forgotten by itself.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Self

import numpy as np

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
_TICK_SECONDS = 0.2
"""Between two looks at whether somebody has had enough."""


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


class _StoppedError(Exception):
    """What is done behind is wanted no more."""


class _Behind:
    """Does one piece of work at a time in a thread of its own; left early, it stops soon."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "stage")
        self._work: Future[None] | None = None
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.shutdown()

    def begin(self, work: Callable[[Callable[[], None]], None]) -> None:
        """Start it. It is given a function to call now and then, which raises when it shall stop."""
        self._work = self._thread.submit(work, self._go_on)

    def wait(self, tick: Callable[[], None]) -> None:
        """Until it is done, calling `tick` meanwhile; raises what it raised."""
        while self._work is not None:
            if wait([self._work], timeout=_TICK_SECONDS).done:
                work, self._work = self._work, None
                work.result()
            else:
                tick()

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise _StoppedError


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
        batch: list[_Loaded] = []
        size = 0
        files = ((item.file, item.source) for item in plan.to_load)
        with closing(self._loader.load_all(files)) as loading, _Behind() as behind:
            started = time.monotonic()
            for done, item in enumerate(plan.to_load, start=1):
                tick = partial(progress, Progress("index", done - 1, len(plan.to_load), item.file.path))
                tick()
                loaded = self._cut(plan, item, next(loading))
                if loaded:
                    batch.append(loaded)
                    size += max(1, len(loaded.passages))
                if size >= _BATCH_CHUNKS or done == len(plan.to_load):
                    behind.wait(tick)
                    behind.begin(partial(self._write, plan, batch))
                    batch, size = [], 0
                if done == len(plan.to_load):
                    behind.wait(tick)
                plan.source_report(item.source).seconds += time.monotonic() - started
                started = time.monotonic()

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

    def _write(self, plan: Plan, batch: Sequence[_Loaded], go_on: Callable[[], None]) -> None:
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
        go_on: Callable[[], None],
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
        go_on: Callable[[], None],
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
