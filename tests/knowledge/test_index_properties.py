"""Whatever is done to an index, and wherever it dies: people find what an index built from scratch would find."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.candidate import Candidate
from knowledge.errors import KnowledgeError, RollbackError
from knowledge.lexical import Lexical
from knowledge.retriever import Retriever
from tests.knowledge.fakes import HashingEmbedder
from tests.knowledge.setting import CrashError, CrashingStore, Setting

QUERIES = ("alpha", "zeta", "beta one", "gamma epsilon")
TEXTS = st.sampled_from(
    ["alpha", "beta one", "# Head\n\ngamma delta\n\n## Sub\n\nepsilon " + "zeta " * 60, "eta alpha"]
)
NAMES = st.sampled_from("abcd")
FUSES = st.integers(0, 6)
EDITS = st.one_of(
    st.tuples(st.just("write"), NAMES, TEXTS),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("rename"), NAMES, NAMES),
)
WORK = st.one_of(
    st.just(("sync",)),
    st.just(("sync that is refused",)),
    st.just(("roll back",)),
    st.tuples(st.just("sync that crashes"), FUSES),
    st.tuples(st.just("collect and crash"), FUSES),
    st.tuples(st.just("lose the vectors and roll back"), FUSES),
    st.tuples(st.just("another model and sync"), st.sampled_from(["one", "two"])),
)
STEPS = st.tuples(st.lists(EDITS, min_size=1, max_size=3), WORK)
"""Some edits, and then something that is done to the index."""
Results = list[list[tuple[str, str, float]]]
FROM_SCRATCH: dict[str, Results] = {}
"""By contents; most come often."""


@dataclass(frozen=True)
class Contents:
    """What people should find."""

    files: dict[str, str]
    model: str


class RefusedError(KnowledgeError):
    """By the gate."""


class History:
    """An index that something is done to, and beside it what should be live, and what was live before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = CrashingStore()
        self.setting = self.empty("lived")
        self.setting.store = self.store
        self.model = "one"
        self.setting.embedder = HashingEmbedder(name=self.model)
        self.live: Contents | None = None
        self.before: Contents | None = None
        self.has_lost = False
        lived = self.setting
        self.retriever = Retriever(lived.manifest, lived.store, lived.embedder, Lexical())

    def empty(self, name: str) -> Setting:
        root = self.folder / name / "docs"
        root.mkdir(parents=True)
        return Setting(root)

    @property
    def contents(self) -> Contents:
        """What is in the folder."""
        files = sorted(self.setting.root.iterdir())
        return Contents({file.stem: file.read_text() for file in files}, self.model)

    @property
    def anew(self) -> Retriever:
        """As after a restart."""
        setting = self.setting
        return Retriever(setting.manifest, setting.store, setting.embedder, Lexical())

    def work(self, what: tuple[object, ...]) -> None:
        setting = self.setting
        match what:
            case ("sync",):
                self.watch(setting.sync)
                assert self.live == self.contents
            case ("sync that crashes", int(fuse)):
                self.crash(fuse, lambda: self.watch(setting.sync))
            case ("sync that is refused",):
                expected = self.live
                with suppress(RefusedError):
                    self.watch(lambda: setting.sync(gate=self.refuse))
                    expected = self.contents
                assert self.live == expected
            case ("roll back",):
                self.roll_back()
            case ("collect and crash", int(fuse)):
                self.crash(fuse, setting.index.collect)
            case ("lose the vectors and roll back", int(fuse)):
                self.store.data.clear()
                self.has_lost = True
                self.crash(fuse, self.roll_back)
                if not self.roll_back():
                    self.work(("sync",))
            case ("another model and sync", str(name)):
                self.model = name
                setting.embedder = HashingEmbedder(name=name)
                self.work(("sync",))

    def edit(self, what: tuple[object, ...]) -> None:
        root = self.setting.root
        match what:
            case ("write", str(name), str(text)):
                self.setting.write(**{name: text})
            case ("delete", name):
                (root / f"{name}.md").unlink(missing_ok=True)
            case ("rename", old, new) if (root / f"{old}.md").exists():
                (root / f"{old}.md").rename(root / f"{new}.md")

    def crash(self, fuse: int, do: Callable[[], object]) -> None:
        self.store.fuse = fuse
        with suppress(CrashError):
            do()
        self.store.fuse = None

    def watch(self, sync: Callable[[], object]) -> None:
        """Something new is live when the revision says so, also when the work after that has died."""
        revision, contents = self.setting.manifest.state().revision, self.contents
        try:
            sync()
        finally:
            if self.setting.manifest.state().revision != revision:
                self.before, self.live = self.live, contents

    def refuse(self, candidate: Candidate) -> None:
        """The gate: sees what publishing would bring, and what there is."""
        assert self.results(candidate.after, self.setting) == self.from_scratch(self.contents)
        if self.live and self.live.model == self.model and not self.has_lost:
            assert self.results(candidate.before, self.setting) == self.from_scratch(self.live)
        raise RefusedError

    def roll_back(self) -> bool:
        before, live = self.before, self.live
        if before and live and before.model == self.model and (before.files or live.files):
            self.setting.rollback()
            self.before, self.live = live, before
            return True
        with pytest.raises(RollbackError):
            self.setting.rollback()
        return False

    def from_scratch(self, contents: Contents | None) -> Results:
        key = repr(contents)
        if key not in FROM_SCRATCH:
            FROM_SCRATCH[key] = self.built(contents)
        return FROM_SCRATCH[key]

    def built(self, contents: Contents | None) -> Results:
        fresh = self.empty(f"fresh-{len(list(self.folder.iterdir()))}")
        if contents is not None:
            fresh.write(**contents.files)
            fresh.embedder = HashingEmbedder(name=contents.model)
            fresh.sync()
        found = self.results(Retriever(fresh.manifest, fresh.store, fresh.embedder, Lexical()), fresh)
        fresh.engine.dispose()
        return found

    def results(self, retriever: Retriever, setting: Setting) -> Results:
        return [
            [
                (
                    hit.chunk.uri.removeprefix(str(setting.root)),
                    hit.chunk.contextual_text,
                    round(hit.score, 6),
                )
                for hit in retriever.search(query, sources=frozenset({"docs"}), top_k=8)
            ]
            for query in QUERIES
        ]


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
    with_rows = {chunk.id for chunk in lived.manifest.chunks_of(one.version for one in versions)}
    assert lived.vectors() <= with_rows
    assert history.has_lost or lived.vectors() == with_rows
    assert not lived.manifest.state().unfinished

    lived.sync()
    assert lived.kept() >= lived.vectors()
    assert all(version.is_kept(lived.manifest.state().revision) for version in lived.manifest.versions())
    lived.engine.dispose()
