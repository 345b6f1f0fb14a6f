"""What a sync has to do, decided from content hashes alone, and the report of what it did."""

import math
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from knowledge.errors import LoadError, SourceError
from knowledge.loaders import LOADER_VERSION, document_id, file_hash
from knowledge.manifest import Manifest
from knowledge.sources.protocol import Source, SourceFile
from knowledge.versions import Failure, Publication, State, Version, changed_sources, version_id

Outcome = Literal["added", "changed", "unchanged"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a sync stands, for a progress bar."""

    stage: Literal["read", "index", "evaluate", "clean up"]
    done: int
    total: int
    """Files, or questions while they are tried; 0 while the number is not known."""
    detail: str
    """The source, or the file's path."""


ProgressCallback = Callable[[Progress], None]


@dataclass(slots=True)
class SourceReport:
    """What a sync did with one source; numbers of files."""

    name: str
    added: int = 0
    changed: int = 0
    deleted: int = 0
    unchanged: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Path and reason; the previous version, if there is one, stays in the index."""
    chunks: int = 0
    """Live after the sync (before it, in a dry run)."""
    before: int = 0
    """Documents that were live before."""
    to_load: int = 0
    """Files that have to be loaded and embedded, as far as that is known beforehand."""
    expected_seconds: float | None = None
    """Of a dry run: what that will take, by the speed of earlier runs on this machine; None without any."""
    seconds: float = 0.0
    """Spent on loading and embedding this source's files."""
    error: str = ""
    """Why the source as a whole could not be read; its documents stay as they were."""
    note: str = ""
    """What somebody should know although all went well, a sentence."""

    def count(self, outcome: Outcome) -> None:
        """One more file with this outcome."""
        match outcome:
            case "added":
                self.added += 1
            case "changed":
                self.changed += 1
            case "unchanged":
                self.unchanged += 1


@dataclass(slots=True)
class SyncReport:
    """What a sync did."""

    sources: list[SourceReport] = field(default_factory=list)
    removed_sources: list[str] = field(default_factory=list)
    """No longer configured; their documents disappeared."""
    rebuilt: bool = False
    """Whether everything was embedded anew, because the model, the chunking or the loaders changed."""
    dry_run: bool = False
    embedded: int = 0
    """Chunks that went through the embedding model."""
    seconds: float = 0.0

    @property
    def failed(self) -> list[tuple[str, str]]:
        """All failed files, with reasons."""
        return [failure for source in self.sources for failure in source.failed]

    @property
    def to_load(self) -> int:
        """Files that have to be loaded and embedded, in all."""
        return sum(source.to_load for source in self.sources)

    @property
    def expected_seconds(self) -> float | None:
        """What loading them will take; None when that is not known for every source."""
        expected = [source.expected_seconds for source in self.sources]
        return None if None in expected else math.fsum(seconds for seconds in expected if seconds)

    def is_large(self, *, share: float = 0.25, files: int = 200) -> bool:
        """Whether somebody should look at the difference first, of a dry run.

        It is when more than `share` of a source's documents would change or go, when a whole source would go, or when
        more than `files` of a source have to be loaded.
        """
        return bool(self.removed_sources) or any(
            source.to_load > files or source.changed + source.deleted > share * source.before
            for source in self.sources
        )


@dataclass(frozen=True, slots=True)
class ToLoad:
    """A file whose content is not indexed yet."""

    file: SourceFile
    source: str
    document_id: str
    outcome: Outcome


@dataclass
class Plan:
    """What there is to do."""

    generation: str
    state: State
    """Before the sync."""
    versions: dict[str, Version]
    """All that are in the manifest, live or not; never changed."""
    old_failures: dict[str, Failure]
    publication: Publication
    report: SyncReport
    retry_failed: bool
    spared: frozenset[str] = frozenset()
    """Configured sources that were not read; what is staged of them stays."""
    to_load: list[ToLoad] = field(default_factory=list)

    def source_report(self, name: str) -> SourceReport:
        """The part of the report for a source."""
        return next(report for report in self.report.sources if report.name == name)

    def fail(self, file: SourceFile, *, source: str, content_hash: str, error: LoadError | str) -> None:
        """Report a file, remember it with its content, and keep its previous version."""
        document = document_id(source, file.path)
        reason = str(error)
        self.source_report(source).failed.append((file.path, reason))
        failure = Failure(document, source, file.path, content_hash, LOADER_VERSION, reason)
        self.publication.failures[source].append(failure)
        previous = self.live.get(document)
        if previous and previous.generation == self.generation:
            self.publication.live[source].add(previous.version)

    @cached_property
    def live(self) -> dict[str, Version]:
        """The live versions by document id."""
        return {version.id: version for version in self.versions.values() if version.live}

    @property
    def changes_anything(self) -> bool:
        """Whether publishing would differ from what is visible now."""
        publication = self.publication
        failed = {failure for group in publication.failures.values() for failure in group}
        known = {f for f in self.old_failures.values() if f.source in publication.failures}
        return bool(
            self.to_load
            or publication.uris
            or publication.removed_sources
            or failed != known
            or self.state.generation != self.generation
            or changed_sources(self.versions.values(), publication)
        )

    def keeps(self, version: Version, *, revision: int) -> bool:
        """Whether a version stays at the end; `revision` is the one that the index has then."""
        is_staged = version.is_staged and version.generation == self.generation
        return version.is_kept(revision) or (is_staged and version.source in self.spared)


def make_plan(
    sources: Sequence[Source],
    *,
    only: str | None,
    generation: str,
    embedder: str,
    manifest: Manifest,
    read: Callable[[SourceFile], bytes],
    retry_failed: bool,
    progress: ProgressCallback,
    paused: AbstractSet[str] = frozenset(),
) -> Plan:
    """Compare the sources with the manifest; reads every file once, parses and writes nothing.

    Those that are `paused` are left out unless they are asked for by `only`, or a new generation has to be built.

    Raises:
        SourceError: `only` is unknown, or a source cannot be read while a new generation is built.
    """
    names = {source.name for source in sources}
    if only is not None and only not in names:
        raise SourceError(
            f"There is no source '{only}'; configured are: {', '.join(sorted(names)) or 'none'}."
        )
    if len(names) < len(sources):
        raise SourceError("Two sources have the same name; give each its own in the configuration.")
    state = manifest.state()
    versions = manifest.versions()
    plan = Plan(
        generation=generation,
        state=state,
        versions={version.version: version for version in versions},
        old_failures=manifest.failures(),
        publication=Publication(generation=generation, embedder=embedder),
        report=SyncReport(rebuilt=state.generation not in {"", generation}),
        retry_failed=retry_failed,
    )
    everything = only is None or plan.report.rebuilt
    live = plan.live
    for source in sources:
        if source.name == only or (everything and (plan.report.rebuilt or source.name not in paused)):
            progress(Progress("read", 0, 0, source.name))
            _plan_source(plan, source, live=live, read=read, progress=progress)
    if everything:
        indexed = {version.source for version in live.values()}
        failed = {failure.source for failure in plan.old_failures.values()}
        plan.publication.removed_sources = (indexed | failed) - names
        plan.report.removed_sources = sorted(indexed - names)
    plan.spared = frozenset(names - plan.publication.live.keys())
    return plan


def _plan_source(
    plan: Plan,
    source: Source,
    *,
    live: dict[str, Version],
    read: Callable[[SourceFile], bytes],
    progress: ProgressCallback,
) -> None:
    report = SourceReport(source.name)
    report.before = sum(1 for version in live.values() if version.source == source.name)
    plan.report.sources.append(report)
    try:
        files = list(source.files())
    except SourceError as error:
        if plan.report.rebuilt:
            raise  # its documents would have to go, because only the old generation has them
        report.error = str(error)
        return
    plan.publication.live[source.name] = set()
    plan.publication.failures[source.name] = []
    seen: set[str] = set()
    unread = tuple(f"{file.path}/" for file in files if file.problem)
    for done, file in enumerate(files):
        progress(Progress("read", done, len(files), file.path))
        document = document_id(source.name, file.path)
        if document not in seen:
            seen.add(document)
            _plan_file(plan, file, source=source.name, previous=live.get(document), read=read)
    for version in live.values():
        # Nobody knows what is below a folder that cannot be listed, or in an archive that cannot be unpacked.
        if version.source == source.name and version.id not in seen and version.path.startswith(unread):
            seen.add(version.id)
            if version.generation == plan.generation:
                plan.publication.live[source.name].add(version.version)
    report.deleted = sum(
        1 for version in live.values() if version.source == source.name and version.id not in seen
    )


def _plan_file(
    plan: Plan,
    file: SourceFile,
    *,
    source: str,
    previous: Version | None,
    read: Callable[[SourceFile], bytes],
) -> None:
    try:
        content_hash = file_hash(file, read(file))
    except LoadError as error:
        plan.fail(file, source=source, content_hash="", error=error)
        return
    document = document_id(source, file.path)
    outcome: Outcome = "added"
    if previous:
        outcome = "unchanged" if previous.content_hash == content_hash else "changed"
    known = plan.versions.get(version_id(document, content_hash, plan.generation))
    failure = plan.old_failures.get(document)
    if known:  # live already, or left behind by a sync that was interrupted
        plan.publication.live[source].add(known.version)
        if known.uri != file.uri:
            plan.publication.uris[known.version] = file.uri
        plan.source_report(source).count(outcome)
    elif (
        failure
        and not plan.retry_failed
        and (failure.content_hash, failure.loader_version) == (content_hash, LOADER_VERSION)
    ):
        plan.fail(file, source=source, content_hash=content_hash, error=failure.reason)
    else:
        plan.to_load.append(ToLoad(file, source, document, outcome))
        plan.source_report(source).to_load += 1
