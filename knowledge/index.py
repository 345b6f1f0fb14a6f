"""Keeping the index in step with the sources.

`Index.sync` compares content hashes, loads and embeds what changed, writes it beside the old, and makes all
of it visible in one transaction; what nobody can come back to is then collected. Whatever interrupts it, people go on
searching the index as it was, and the next sync continues where this one stopped.

That rests on the order of writing: vectors before their rows (a row promises its vectors), and rows are
deleted before their vectors (a vector without a row is never shown, and the next sync sweeps it up).
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Engine

from knowledge.candidate import Candidate, Edition, Gate
from knowledge.chunking import Chunker, ChunkSettings
from knowledge.embedding import Embedder
from knowledge.errors import IndexBusyError, IndexDamagedError
from knowledge.lexical import Lexical
from knowledge.listing import Listed
from knowledge.loaders import LOADER_VERSION, Loader
from knowledge.manifest import Manifest
from knowledge.planning import Plan, Progress, ProgressCallback, SyncReport, make_plan
from knowledge.retriever import Retriever
from knowledge.rollback import Rollback, plan_rollback
from knowledge.sources.archives import Unpacked, forget_others
from knowledge.sources.protocol import Source
from knowledge.sources.storage import forget_fetched
from knowledge.speed import Speed
from knowledge.staging import Stager
from knowledge.store import VectorStore
from knowledge.upkeep import Upkeep
from knowledge.versions import State, changed_sources, live_after


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
        words: Path | None = None,
    ) -> None:
        """`lock_path` is a file that keeps two processes from indexing at once; its neighbour remembers how long
        files took. With `words`, the folder of the searching `Lexical`s, they find the words of a new state there as
        soon as it is published, and need not make them. Cheap; nothing is opened."""
        self._manifest = Manifest(engine)
        self._store = store
        self._embedder = embedder
        self._settings = chunk_settings
        self._lock_path = lock_path
        self._loader = loader
        self._words = words
        self._upkeep = Upkeep(self._manifest, store, embedder)

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
        paused: AbstractSet[str] = frozenset(),
        dry_run: bool = False,
        retry_failed: bool = False,
        gate: Gate | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> SyncReport:
        """Bring the index up to date with `sources`, which are all that are configured.

        `only` limits the work to one of them, and those that are `paused` are left out unless `only` names one; when a
        new generation has to be built, all are read. With `dry_run` nothing is written and no file is parsed: the
        report says what would happen. Files that failed before are tried again only when they have changed, or with
        `retry_failed`. Vectors that the store has lost are made anew.

        `gate` sees the new state before it becomes visible, if documents of a source differ in it; sources that are
        configured no more do not count. What it raises ends the sync: people go on searching the index as it was, and
        the next sync finds the work done, and asks its gate again.

        Raises:
            IndexBusyError: another process is indexing.
            SourceError: `only` is unknown, or a source cannot be read while a new generation is built.
            EmbeddingModelError: the model cannot be loaded.
            IndexDamagedError: the store or the database fails.
        """
        started = time.monotonic()
        progress = on_progress or (lambda _: None)
        with self._loader() as loader:
            archives = self._lock_path.with_name("archives")
            sources = [Unpacked(source, archives, max_bytes=loader.max_bytes) for source in sources]
            sources = [
                Listed(source, progress)
                if source.name == only or (only is None and source.name not in paused)
                else source
                for source in sources
            ]

            def plan_now() -> Plan:
                return make_plan(
                    sources,
                    only=only,
                    paused=paused,
                    generation=self.generation,
                    embedder=self._embedder.fingerprint,
                    manifest=self._manifest,
                    read=loader.read,
                    retry_failed=retry_failed,
                    progress=progress,
                )

            if dry_run:
                plan = plan_now()
                plan.report.dry_run = True
                for item in plan.to_load:
                    plan.source_report(item.source).count(item.outcome)
                for report in plan.report.sources:
                    report.expected_seconds = self._speed.expected(report.name, report.to_load)
            else:
                with self._exclusive():
                    plan = plan_now()
                    self._carry_out(plan, loader, gate, progress)
                    configured = {source.name for source in sources}
                    forget_others(archives, configured)
                    forget_fetched(self._lock_path.parent, configured)
        counts = self._manifest.live_counts()
        for report in plan.report.sources:
            report.chunks = counts.get(report.name, (0, 0))[1]
        plan.report.seconds = time.monotonic() - started
        return plan.report

    def rollback(self, *, expected: int | None = None, dry_run: bool = False) -> Rollback:
        """Take back the last publication that changed what people find, all of it at once.

        Doing it again takes back the rollback. The sources are as they were: the next sync of one brings its new state
        back, so whoever wants the old one to stay keeps the source from being read, or corrects it first. With
        `expected`, only that revision is taken back, so that asking twice does it once. With `dry_run` nothing changes.

        Raises:
            RollbackError: there is no earlier state, the settings must be changed back first, or another revision than
                the expected one is there.
            IndexBusyError: another process is indexing.
            IndexDamagedError: the store or the database fails.
        """
        with self._exclusive():
            state = self._manifest.state()
            found = plan_rollback(
                state,
                self._manifest.versions(),
                generation=self.generation,
                embedder=self._embedder.fingerprint,
                expected=expected,
                dry_run=dry_run,
            )
            if not dry_run:
                self._store.refresh()
                if lost := self._upkeep.lost(self.generation, thorough=state.unfinished):
                    self._manifest.begin()
                    self._upkeep.restore(lost, self.generation)
                if lost or state.unfinished:
                    self._manifest.count_restore()
                self._manifest.take_back()
                if lost and not state.unfinished:
                    self._manifest.end()
        return found

    def collect(self) -> int:
        """Remove what interrupted runs have left behind; the number of versions of documents that are gone.

        What is visible stays, what a rollback would bring back, and what a run has staged that the next one can use.
        Every sync that ends collects by itself. Raises IndexBusyError and IndexDamagedError.
        """
        with self._exclusive():
            self._store.refresh()
            revision, generation = self._manifest.state().revision, self.generation
            self._manifest.begin()
            removed = self._upkeep.collect(
                keep=lambda v: v.is_kept(revision) or (v.is_staged and v.generation == generation), sweep=True
            )
            self._manifest.end()
        return removed

    def _carry_out(self, plan: Plan, loader: Loader, gate: Gate | None, progress: ProgressCallback) -> None:
        self._store.refresh()
        revision = plan.state.revision
        has_rubbish = not all(plan.keeps(version, revision=revision) for version in plan.versions.values())
        lost = self._upkeep.lost(plan.generation, thorough=plan.state.unfinished)
        if not (plan.changes_anything or has_rubbish or plan.state.unfinished or lost):
            return
        self._manifest.begin()
        plan.report.embedded += self._upkeep.restore(lost, plan.generation)
        if lost or plan.state.unfinished:  # which may have died in between
            self._manifest.count_restore()
        if plan.to_load:
            self._stage(plan, loader, progress)
        if plan.changes_anything:
            if changed := changed_sources(plan.versions.values(), plan.publication):
                after = self._after(plan)
                if gate:
                    self._ask(gate, plan, changed, after)
                if self._words:
                    Lexical(self._words).update(after, revision=after.state().revision, sources=changed)
            # The last moment at which a caller can stop it: nothing may look stopped that is visible.
            progress(Progress("clean up", len(plan.to_load), len(plan.to_load), ""))
            self._manifest.publish(plan.publication)
            revision = self._manifest.state().revision
        self._upkeep.collect(
            keep=lambda version: plan.keeps(version, revision=revision), sweep=plan.state.unfinished
        )
        self._manifest.end()

    def _stage(self, plan: Plan, loader: Loader, progress: ProgressCallback) -> None:
        chunker = Chunker(self._embedder.tokenizer, self._settings)
        Stager(self._manifest, self._store, self._embedder, loader, chunker).stage(plan, progress)
        for report in plan.report.sources:
            self._speed.note(report.name, files=report.to_load, seconds=report.seconds)

    def _after(self, plan: Plan) -> Edition:
        """What people will find."""
        state = State(plan.state.revision + 1, plan.generation, self._embedder.fingerprint)
        return Edition(self._manifest, live_after(plan.versions.values(), plan.publication), state)

    def _ask(self, gate: Gate, plan: Plan, changed: frozenset[str], after: Edition) -> None:
        had = {version.source for version in plan.versions.values() if version.live}
        gate(
            Candidate(
                changed=changed,
                new=changed - had,
                revision=after.state().revision,
                before=Retriever(self._manifest, self._store, self._embedder, Lexical()),
                after=Retriever(after, self._store, self._embedder, Lexical()),
            )
        )

    @property
    def _speed(self) -> Speed:
        path = self._lock_path.with_name("index-speed.json")
        return Speed(path, embedder=self._embedder.fingerprint)

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
