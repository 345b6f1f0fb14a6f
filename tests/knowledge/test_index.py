"""Sync, crash and reindex. The property at the end: an index always equals one built from scratch."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from knowledge.chunking import ChunkSettings
from knowledge.documents import Document
from knowledge.embedding import Vectors
from knowledge.errors import IndexBusyError, SourceError
from knowledge.index import Index
from knowledge.lexical import Lexical
from knowledge.loaders import Loader
from knowledge.manifest import Manifest
from knowledge.planning import Progress, SourceReport, SyncReport
from knowledge.retriever import Retriever
from knowledge.sources import FolderSource, Source, SourceFile
from tests.knowledge.conftest import memory_engine
from tests.knowledge.fakes import HashingEmbedder, MemoryStore

EVERYONE = frozenset({"everyone"})
SETTINGS = ChunkSettings(capacity=40, minimum=5)


class Setting:
    """An index over a folder, with everything in memory but the folder and the lock."""

    def __init__(self, root: Path, *, engine: Engine | None = None, store: MemoryStore | None = None) -> None:
        self.root = root
        self.engine = engine or memory_engine()
        self.store = store or MemoryStore()
        self.embedder = HashingEmbedder()
        self.settings = SETTINGS
        self.sources: list[Source] = [FolderSource("docs", root, EVERYONE)]

    @property
    def index(self) -> Index:
        return Index(self.engine, self.store, self.embedder, self.settings, self.root.parent / "index.lock")

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.root / f"{name}.md").write_text(text)

    def sync(self, *, only: str | None = None, dry_run: bool = False) -> SyncReport:
        return self.index.sync(self.sources, only=only, dry_run=dry_run)

    def search(self, query: str, *, sources: Sequence[str] = ("docs",)) -> list[tuple[str, str, float]]:
        retriever = Retriever(self.engine, self.store, self.embedder, Lexical())
        hits = retriever.search(query, sources=frozenset(sources), top_k=8)
        return [(hit.chunk.uri, hit.chunk.contextual_text, round(hit.score, 6)) for hit in hits]

    def live_vectors(self) -> set[str]:
        return {id_ for ids in self.store.data.values() for id_ in ids}

    def live_ids(self) -> set[str]:
        return {chunk.id for chunk in Manifest(self.engine).live_chunks()}


@pytest.fixture
def setting(root: Path) -> Setting:
    return Setting(root)


def numbers(report: SourceReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.deleted, report.unchanged


def texts(setting: Setting) -> list[str]:
    return sorted(chunk.text for chunk in Manifest(setting.engine).live_chunks())


def test_the_life_of_a_folder(setting: Setting) -> None:
    setting.write(a="alpha", b="beta")
    (report,) = setting.sync().sources
    assert numbers(report) == (2, 0, 0, 0)
    assert report.chunks == 2

    (report,) = setting.sync().sources
    assert numbers(report) == (0, 0, 0, 2)

    setting.write(a="alpha two", c="gamma")
    (setting.root / "b.md").unlink()
    (report,) = setting.sync().sources
    assert numbers(report) == (1, 1, 1, 0)
    assert texts(setting) == ["alpha two", "gamma"]
    assert setting.live_vectors() == setting.live_ids()


def test_nothing_new_embeds_nothing_loads_nothing_and_keeps_the_revision(setting: Setting) -> None:
    setting.write(a="alpha", bad="\0")
    setting.sync()
    revision, embedded = Manifest(setting.engine).state().revision, setting.embedder.embedded

    class Untouched(Loader):
        def load(self, file: SourceFile, data: bytes, *, source: str) -> Document:
            raise AssertionError("nothing should be loaded")

    index = Index(
        setting.engine, setting.store, setting.embedder, SETTINGS, setting.root.parent / "l", loader=Untouched
    )
    (report,) = index.sync(setting.sources).sources
    assert [path for path, _ in report.failed] == ["bad.md"]
    assert setting.embedder.embedded == embedded
    assert Manifest(setting.engine).state().revision == revision


def test_only_changed_passages_and_no_moved_files_are_embedded_again(setting: Setting) -> None:
    sections = [f"## S{n}\n\nword{n} one two three four five" for n in range(10)]
    setting.write(a="# Title\n\n" + "\n\n".join(sections))
    assert setting.sync().embedded == 10
    setting.write(a="# Title\n\n" + "\n\n".join([*sections[:9], "## S9\n\nanother one two three four five"]))
    assert setting.sync().embedded == 1
    (setting.root / "a.md").rename(setting.root / "moved.md")
    report = setting.sync()
    assert report.embedded == 0
    assert numbers(report.sources[0]) == (1, 0, 1, 0)
    assert all("moved.md" in uri for uri, *_ in setting.search("word3"))


def test_a_file_that_fails_keeps_its_previous_version_and_is_reported_each_time(setting: Setting) -> None:
    setting.write(a="alpha", b="beta")
    setting.sync()
    setting.write(a="\0broken")
    for _ in range(3):
        (report,) = setting.sync().sources
        assert [path for path, _ in report.failed] == ["a.md"]
        assert "a.md: this is no text file" in report.failed[0][1]
        assert texts(setting) == ["alpha", "beta"]
    setting.write(a="healed")
    assert setting.sync().failed == []
    assert texts(setting) == ["beta", "healed"]
    setting.write(a="\0broken")
    setting.sync()
    (setting.root / "a.md").unlink()
    assert setting.sync().failed == []
    assert texts(setting) == ["beta"]


def test_failed_files_are_tried_again_on_request(setting: Setting) -> None:
    setting.write(a="\0broken")
    setting.sync()
    loaded: list[str] = []

    class Healed(Loader):
        def load(self, file: SourceFile, data: bytes, *, source: str) -> Document:
            loaded.append(file.path)
            return super().load(file, b"healed", source=source)

    index = Index(
        setting.engine, setting.store, setting.embedder, SETTINGS, setting.root.parent / "l", loader=Healed
    )
    index.sync(setting.sources)
    assert loaded == []
    index.sync(setting.sources, retry_failed=True)
    assert texts(setting) == ["healed"]


def test_lost_vectors_are_made_anew(setting: Setting) -> None:
    setting.write(a="alpha", b="beta")
    setting.sync()
    expected = setting.search("alpha")
    setting.store.data.clear()
    assert setting.sync().embedded == 2
    assert setting.live_vectors() == setting.live_ids()
    assert setting.search("alpha") == expected


def test_a_dry_run_writes_nothing(setting: Setting) -> None:
    setting.write(a="alpha")
    report = setting.sync(dry_run=True)
    assert report.dry_run
    assert numbers(report.sources[0]) == (1, 0, 0, 0)
    assert texts(setting) == []
    assert setting.store.data == {}
    assert not Manifest(setting.engine).state().unfinished


def test_sources_come_and_go(setting: Setting, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.md").write_text("beta")
    setting.write(a="alpha")
    docs, second = setting.sources[0], FolderSource("second", other, EVERYONE)
    setting.sources = [docs, second]
    setting.sync()
    assert [text for _, text, _ in setting.search("beta", sources=["docs"])] == ["A\nalpha"]
    assert len(setting.search("beta", sources=["docs", "second"])) == 2
    assert len(setting.store.collections()) == 2

    setting.sources = [docs]
    assert setting.sync().removed_sources == ["second"]
    assert texts(setting) == ["alpha"]
    assert len(setting.store.collections()) == 1


def test_only_one_source(setting: Setting, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    setting.sources.append(FolderSource("second", other, EVERYONE))
    setting.write(a="alpha")
    (other / "b.md").write_text("beta")
    report = setting.sync(only="second")
    assert [source.name for source in report.sources] == ["second"]
    assert texts(setting) == ["beta"]
    with pytest.raises(SourceError, match="There is no source 'third'; configured are: docs, second"):
        setting.sync(only="third")


def test_a_source_that_cannot_be_read_keeps_its_documents(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    setting.root.rename(setting.root.parent / "away")
    (report,) = setting.sync().sources
    assert "does not exist" in report.error
    assert report.chunks == 1
    assert texts(setting) == ["alpha"]
    setting.settings = ChunkSettings(capacity=30, minimum=5)
    with pytest.raises(SourceError):
        setting.sync()
    assert texts(setting) == ["alpha"]


def test_a_moved_root_changes_links_without_embedding(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    moved = setting.root.parent / "moved"
    setting.root.rename(moved)
    setting.sources = [FolderSource("docs", moved, EVERYONE)]
    report = setting.sync()
    assert (report.embedded, numbers(report.sources[0])) == (0, (0, 0, 0, 1))
    assert setting.search("alpha")[0][0] == f"{moved}/a.md"


@pytest.mark.parametrize("what", ["embedder", "settings"])
def test_a_new_generation_replaces_the_old_one_completely(setting: Setting, what: str) -> None:
    setting.write(a="alpha", b="beta")
    setting.sync()
    before = setting.store.collections()
    if what == "embedder":
        setting.embedder = HashingEmbedder(name="other", dimension=32)
    else:
        setting.settings = ChunkSettings(capacity=30, minimum=5)
    report = setting.sync(only="docs")
    assert report.rebuilt
    assert (report.embedded, numbers(report.sources[0])) == (2, (0, 0, 0, 2))
    assert setting.store.collections().isdisjoint(before)
    assert setting.live_vectors() == setting.live_ids()
    assert setting.search("alpha")[0][1] == "A\nalpha"


def test_two_cannot_index_at_once(setting: Setting) -> None:
    with FileLock(setting.root.parent / "index.lock"), pytest.raises(IndexBusyError, match="Wait for it"):
        setting.sync()
    setting.sync()


def test_a_file_that_changes_while_it_is_indexed_counts_as_it_was_loaded(setting: Setting) -> None:
    setting.write(a="alpha")

    def edit(progress: Progress) -> None:
        if progress.stage == "index":
            setting.write(a="edited meanwhile")

    setting.index.sync(setting.sources, on_progress=edit)
    assert texts(setting) == ["edited meanwhile"]
    assert numbers(setting.sync().sources[0]) == (0, 0, 0, 1)


def test_progress_names_stage_and_file(setting: Setting) -> None:
    setting.write(a="alpha", b="beta")
    seen: list[Progress] = []
    setting.index.sync(setting.sources, on_progress=seen.append)
    assert Progress("read", 1, 2, "b.md") in seen
    assert Progress("index", 1, 2, "b.md") in seen
    assert seen[-1].stage == "clean up"


class CrashError(Exception):
    """The process dies here."""


class CrashingStore(MemoryStore):
    """Dies before or after the n-th write."""

    def __init__(self) -> None:
        super().__init__()
        self.fuse: int | None = None

    def _burn(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise CrashError

    def add(self, collection: str, ids: Sequence[str], vectors: Vectors) -> None:
        self._burn()
        super().add(collection, ids, vectors)
        self._burn()

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        self._burn()
        super().delete(collection, ids)
        self._burn()

    def drop(self, collection: str) -> None:
        self._burn()
        super().drop(collection)
        self._burn()


def test_an_interrupted_sync_shows_nothing_and_is_continued(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.write(a="alpha")
    setting.sync()
    setting.write(a="alpha two", b="beta")

    def fail(*_: object) -> None:
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "publish", fail)
        with pytest.raises(CrashError):
            setting.sync()
    assert texts(setting) == ["alpha"]
    assert [text for _, text, _ in setting.search("beta")] == ["A\nalpha"]
    report = setting.sync()
    assert report.embedded == 0
    assert numbers(report.sources[0]) == (1, 1, 0, 0)
    assert texts(setting) == ["alpha two", "beta"]
    assert setting.live_vectors() == setting.live_ids()


TEXTS = st.sampled_from(
    ["alpha", "beta one", "# Head\n\ngamma delta\n\n## Sub\n\nepsilon " + "zeta " * 60, "eta alpha"]
)
ACTIONS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from("abcd"), TEXTS),
    st.tuples(st.just("delete"), st.sampled_from("abcd")),
    st.tuples(st.just("rename"), st.sampled_from("abcd"), st.sampled_from("abcd")),
    st.tuples(st.just("sync")),
    st.tuples(st.just("crash"), st.integers(0, 6)),
    st.tuples(st.just("model"), st.sampled_from(["one", "two"])),
)


def act(setting: Setting, store: CrashingStore, action: tuple[object, ...]) -> None:
    match action:
        case ("write", str(name), str(text)):
            setting.write(**{name: text})
        case ("delete", name):
            (setting.root / f"{name}.md").unlink(missing_ok=True)
        case ("rename", old, new) if (setting.root / f"{old}.md").exists():
            (setting.root / f"{old}.md").rename(setting.root / f"{new}.md")
        case ("model", str(name)):
            setting.embedder = HashingEmbedder(name=name)
        case ("sync",):
            setting.sync()
        case ("crash", int(fuse)):
            store.fuse = fuse
            try:
                setting.sync()
            except CrashError:
                pass
            finally:
                store.fuse = None


@settings(max_examples=40, deadline=None)
@given(st.lists(ACTIONS, max_size=12))
def test_whatever_happened_the_index_equals_one_built_from_scratch(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[object, ...]]
) -> None:
    root = tmp_path_factory.mktemp("property") / "docs"
    root.mkdir()
    store = CrashingStore()
    lived = Setting(root, store=store)
    for action in actions:
        act(lived, store, action)
    lived.sync()
    fresh = Setting(root)
    fresh.embedder = lived.embedder
    fresh.sync()
    for query in ("alpha", "zeta", "beta one", "gamma epsilon"):
        assert lived.search(query) == fresh.search(query)
    assert lived.store.data.keys() == fresh.store.data.keys()
    assert lived.live_vectors() == lived.live_ids() == fresh.live_ids()
    assert all(version.live for version in Manifest(lived.engine).versions())
    assert not Manifest(lived.engine).state().unfinished
    lived.engine.dispose()
    fresh.engine.dispose()
