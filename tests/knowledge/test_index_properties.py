"""Whatever is done to an index, and wherever it dies: people find what an index built from scratch would find."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.candidate import Candidate
from knowledge.errors import KnowledgeError, RollbackError
from knowledge.lexical import Lexical
from knowledge.retriever import Retriever
from knowledge.sources import FolderSource
from tests.knowledge.fakes import HashingEmbedder
from tests.knowledge.setting import EVERYONE, CrashError, CrashingStore, Setting, crash_on_writes

QUERIES = ("alpha", "zeta", "beta one", "gamma epsilon")
SOURCES = ("docs", "second")
SEARCHED = (frozenset({"docs"}), frozenset({"second"}), frozenset(SOURCES))
LONG = "gamma delta\n\n## Sub\n\nepsilon " + "zeta " * 60
TEXTS = st.sampled_from(
    [
        "alpha",  # the same text under the file's name
        "# Head\n\nalpha",  # the same text wherever it stands
        "beta one",
        f"# Head\n\n{LONG}",
        f"# Head\n\nalpha\n\n## Sub\n\nalpha\n\n## Sub\n\n{LONG}",  # twice within a document
        "eta alpha",
    ]
)
PLACES = st.tuples(st.sampled_from(SOURCES), st.sampled_from("abc"))
FUSES = st.integers(0, 24)
EDITS = st.one_of(
    st.tuples(st.just("write"), PLACES, TEXTS),
    st.tuples(st.just("delete"), PLACES),
    st.tuples(st.just("move"), PLACES, PLACES),
    st.tuples(st.just("copy"), PLACES, PLACES),
)
SYNCS = st.one_of(
    st.just(("sync",)),
    st.tuples(st.just("sync of one"), st.sampled_from(SOURCES)),
    st.just(("sync without the second",)),
    st.just(("sync that is refused",)),
    st.tuples(st.just("sync with another model"), st.sampled_from(["one", "two"])),
)
DONE = st.one_of(SYNCS, st.just(("roll back",)), st.just(("collect",)))
WORK = st.one_of(
    DONE,
    st.tuples(st.just("crash"), FUSES, DONE),
    st.tuples(st.just("lose vectors and crash"), st.integers(1, 3), FUSES, DONE),
)
STEPS = st.tuples(st.lists(EDITS, min_size=1, max_size=4), WORK)
"""Some edits, and then something that is done to the index."""
Found = tuple[str, str, float, tuple[str, ...]]
Results = list[list[Found]]
FROM_SCRATCH: dict[str, Results] = {}
"""By contents; most come often."""


@dataclass(frozen=True)
class Contents:
    """What people should find."""

    files: Mapping[str, Mapping[str, str]]
    """By source, by name."""
    model: str

    @property
    def has_any(self) -> bool:
        return any(self.files.values())


class RefusedError(KnowledgeError):
    """By the gate."""


class History:
    """An index that something is done to, and beside it what should be live, and what was live before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = CrashingStore()
        self.setting = self.empty("lived")
        self.setting.store = self.store
        crash_on_writes(self.setting.engine, self.store)
        self.model = "one"
        self.setting.embedder = HashingEmbedder(name=self.model)
        self.live: Contents | None = None
        self.before: Contents | None = None
        self.has_lost = False
        lived = self.setting
        self.retriever = Retriever(lived.manifest, lived.store, lived.embedder, Lexical())

    def empty(self, name: str) -> Setting:
        for source in SOURCES:
            (self.folder / name / source).mkdir(parents=True)
        setting = Setting(self.folder / name / "docs")
        setting.sources = [FolderSource(source, self.folder / name / source, EVERYONE) for source in SOURCES]
        return setting

    def contents(self, *, only: str | None = None) -> Contents:
        """What is in the folders; with `only` in that one, and of the others what is live if it can stay."""
        files = {
            source: {file.stem: file.read_text() for file in sorted(self.place(source).iterdir())}
            for source in SOURCES
        }
        if only and (self.live is None or self.live.model == self.model):
            known = self.live.files if self.live else {}
            files = {
                source: files[source] if source == only else dict(known.get(source, {})) for source in SOURCES
            }
        return Contents(files, self.model)

    def place(self, source: str, name: str = "") -> Path:
        folder = self.setting.root.parent / source
        return folder / f"{name}.md" if name else folder

    @property
    def anew(self) -> Retriever:
        """As after a restart."""
        setting = self.setting
        return Retriever(setting.manifest, setting.store, setting.embedder, Lexical())

    def work(self, what: tuple[object, ...]) -> None:
        match what:
            case ("crash", int(fuse), tuple(work)):
                self.crash(fuse, work)
            case ("lose vectors and crash", int(count), int(fuse), tuple(work)):
                for keys in self.store.data.values():
                    for key in sorted(keys)[:count]:
                        del keys[key]
                self.has_lost = True
                self.crash(fuse, work)
                self.sync(("sync",))
            case ("roll back",):
                self.roll_back()
            case ("collect",):
                self.setting.index.collect()
            case _:
                self.sync(what)

    def sync(self, what: tuple[object, ...]) -> None:
        setting, before, sources = self.setting, self.live, self.setting.sources
        expected, run = self.contents(), setting.sync
        match what:
            case ("sync of one", str(name)):
                expected = self.contents(only=name)
                run = partial(setting.sync, only=name)
            case ("sync without the second",):
                expected = Contents({**expected.files, "second": {}}, self.model)
                setting.sources = sources[:1]
            case ("sync that is refused",):
                run = partial(setting.sync, gate=self.refuse)
            case ("sync with another model", str(name)):
                self.model = name
                setting.embedder = HashingEmbedder(name=name)
                expected = Contents(expected.files, name)
        try:
            self.watch(run, expected)
            assert self.live == expected
        except RefusedError:
            assert self.live == before
        finally:
            setting.sources = sources

    def edit(self, what: tuple[object, ...]) -> None:
        match what:
            case ("write", (str(source), str(name)), str(text)):
                self.place(source, name).write_text(text)
            case ("delete", (str(source), str(name))):
                self.place(source, name).unlink(missing_ok=True)
            case ("move" | "copy" as how, (str(source), str(name)), (str(to), str(new))):
                file = self.place(source, name)
                if file.exists():
                    text = file.read_text()
                    if how == "move":
                        file.unlink()
                    self.place(to, new).write_text(text)

    def crash(self, fuse: int, work: tuple[object, ...]) -> None:
        self.store.fuse = fuse
        with suppress(CrashError):
            self.work(work)
        self.store.fuse = None

    def watch(self, do: Callable[[], object], expected: Contents) -> None:
        """Something new is live when the revision says so, also when the work after that has died."""
        revision = self.setting.manifest.state().revision
        try:
            do()
        finally:
            if self.setting.manifest.state().revision != revision:
                self.before, self.live = self.live, expected

    def refuse(self, candidate: Candidate) -> None:
        """The gate: sees what publishing would bring, and what there is."""
        assert self.results(candidate.after, self.setting) == self.from_scratch(self.contents())
        if self.live and self.live.model == self.model and not self.has_lost:
            assert self.results(candidate.before, self.setting) == self.from_scratch(self.live)
        raise RefusedError

    def roll_back(self) -> None:
        before, live = self.before, self.live
        if before and live and before.model == self.model and (before.has_any or live.has_any):
            self.watch(self.setting.rollback, before)
            return
        with pytest.raises(RollbackError):
            self.setting.rollback()

    def from_scratch(self, contents: Contents | None) -> Results:
        key = repr(contents)
        if key not in FROM_SCRATCH:
            FROM_SCRATCH[key] = self.built(contents)
        return FROM_SCRATCH[key]

    def built(self, contents: Contents | None) -> Results:
        fresh = self.empty(f"fresh-{len(list(self.folder.iterdir()))}")
        if contents is not None:
            for source, files in contents.files.items():
                for name, text in files.items():
                    (fresh.root.parent / source / f"{name}.md").write_text(text)
            fresh.embedder = HashingEmbedder(name=contents.model)
            fresh.sync()
        found = self.results(Retriever(fresh.manifest, fresh.store, fresh.embedder, Lexical()), fresh)
        fresh.engine.dispose()
        return found

    def results(self, retriever: Retriever, setting: Setting) -> Results:
        def shown(uri: str) -> str:
            return uri.removeprefix(str(setting.root.parent))

        return [
            [
                (
                    shown(hit.chunk.uri),
                    hit.chunk.contextual_text,
                    round(hit.score, 6),
                    tuple(shown(copy.uri) for copy in hit.copies),
                )
                for hit in retriever.search(query, sources=sources, top_k=8)
            ]
            for query in QUERIES
            for sources in SEARCHED
        ]


@pytest.mark.timeout(900)
@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=8))
def test_whatever_happened_the_index_equals_one_built_from_scratch(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[list[tuple[object, ...]], tuple[object, ...]]],
) -> None:
    history = History(tmp_path_factory.mktemp("property"))
    lived = history.setting
    for edits, work in steps:
        for edit in edits:
            history.edit(edit)
        history.work(work)
        if history.live and history.live.model == history.model:
            assert history.results(history.anew, lived) == history.from_scratch(history.live)
    if history.live:
        lived.embedder = HashingEmbedder(name=history.live.model)
    expected = history.from_scratch(history.live)
    anew = history.anew
    assert history.results(anew, lived) == expected
    if history.live and history.live.model == "one":
        assert history.results(history.retriever, lived) == expected

    lived.index.collect()
    assert history.results(anew, lived) == expected
    versions = lived.manifest.versions()
    revision, generation = lived.manifest.state().revision, lived.index.generation
    assert all(one.is_kept(revision) or one.generation == generation for one in versions)
    promised = lived.promised(versions)
    assert lived.vectors() <= promised
    assert history.has_lost or lived.vectors() == promised
    assert not lived.manifest.state().unfinished

    lived.sync()
    # What another model had made stays lost until nobody can come back to it.
    ours = {(name, key) for name, key in lived.kept() if generation in name}
    assert {(name, key) for name, key in lived.vectors() if generation in name} == ours
    assert lived.vectors() <= lived.kept()
    assert all(version.is_kept(lived.manifest.state().revision) for version in lived.manifest.versions())
    lived.engine.dispose()
