"""Sync, crash and reindex."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import text

from knowledge.chunking import ChunkSettings
from knowledge.documents import Document
from knowledge.embedding import Vectors
from knowledge.errors import IndexBusyError, SourceError
from knowledge.index import Index
from knowledge.lexical import Lexical
from knowledge.loaders import Loader
from knowledge.manifest import Manifest
from knowledge.planning import Progress, SourceReport
from knowledge.retriever import Retriever
from knowledge.sources import FolderSource, SourceFile
from tests.knowledge.fakes import HashingEmbedder
from tests.knowledge.setting import EVERYONE, SETTINGS, CrashError, CrashingStore, Setting


def numbers(report: SourceReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.deleted, report.unchanged


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
    assert setting.texts() == ["alpha two", "gamma"]
    assert setting.vectors() == setting.kept()


def test_nothing_new_embeds_nothing_loads_nothing_and_keeps_the_revision(setting: Setting) -> None:
    setting.write(a="alpha", bad="\0")
    setting.sync()
    revision, embedded = setting.manifest.state().revision, setting.embedder.embedded

    class Untouched(Loader):
        def load(self, file: SourceFile, data: bytes, *, source: str) -> Document:
            raise AssertionError("nothing should be loaded")

    index = Index(
        setting.engine, setting.store, setting.embedder, SETTINGS, setting.root.parent / "l", loader=Untouched
    )
    (report,) = index.sync(setting.sources).sources
    assert [path for path, _ in report.failed] == ["bad.md"]
    assert setting.embedder.embedded == embedded
    assert setting.manifest.state().revision == revision


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


def test_a_text_is_embedded_once_and_found_once_with_all_its_places(setting: Setting, tmp_path: Path) -> None:
    second = add_source(setting, tmp_path / "second")
    setting.write(
        a="# Notice\n\nthe same five words here",
        b="# Notice\n\nthe same five words here\n\n## More\n\nx1 x2 x3 x4 x5 x6",
    )
    (second / "c.md").write_text("# Notice\n\nthe same five words here")
    report = setting.sync()
    assert report.embedded == 2
    assert [source.chunks for source in report.sources] == [3, 1]
    assert len(setting.vectors()) == 3  # a source can be searched and forgotten by itself
    retriever = Retriever(setting.manifest, setting.store, setting.embedder, Lexical())
    hit, _ = retriever.search("the same five words here", sources=frozenset({"docs", "second"}))
    places = [chunk.uri for chunk in (hit.chunk, *hit.copies)]
    assert [Path(place).name for place in places] == ["a.md#notice", "b.md#notice", "c.md#notice"]
    hit, *_ = retriever.search("the same five words here", sources=frozenset({"second"}))
    assert (Path(hit.chunk.uri).name, hit.copies) == ("c.md#notice", ())


def test_a_vector_stays_as_long_as_a_kept_version_has_its_text(setting: Setting) -> None:
    setting.write(
        a="# Notice\n\nthe same five words here", b="# Notice\n\nthe same five words here", c="gamma"
    )
    setting.sync()
    (setting.root / "a.md").unlink()
    setting.sync()
    setting.write(c="gamma two")
    setting.sync()
    assert setting.vectors() == setting.kept()
    assert [uri.rpartition("/")[2] for uri, *_ in setting.search("the same five words here")] == [
        "b.md#notice",
        "c.md",
    ]
    setting.write(b="beta")
    setting.sync()
    setting.write(c="gamma three")
    setting.sync()
    assert setting.vectors() == setting.kept()
    assert "Notice" not in str(setting.search("the same five words here"))


def test_a_long_document_is_embedded_and_stored_in_parts(setting: Setting) -> None:
    sizes: list[int] = []

    class Watched(HashingEmbedder):
        def embed_documents(
            self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
        ) -> Vectors:
            sizes.append(len(texts))
            return super().embed_documents(texts, on_progress=on_progress)

    setting.embedder = Watched()
    setting.write(a="\n\n".join(f"## Head {n}\n\n{f'word{n} ' * 30}" for n in range(1_200)), b="alpha")
    setting.sync()
    assert sum(sizes) == len(setting.texts()) == 1_201
    assert max(sizes) <= 512
    assert setting.vectors() == setting.kept()


def test_a_sync_that_dies_within_a_long_document_is_continued(setting: Setting) -> None:
    setting.store = store = CrashingStore()
    setting.write(a="\n\n".join(f"## Head {n}\n\n{f'word{n} ' * 30}" for n in range(1_200)))
    store.fuse = 2
    with pytest.raises(CrashError):
        setting.sync()
    assert setting.texts() == []
    assert 0 < len(setting.vectors()) < 1_200
    store.fuse = None
    setting.sync()
    assert len(setting.texts()) == 1_200
    assert setting.vectors() == setting.kept()


def test_what_another_source_has_is_copied(setting: Setting, tmp_path: Path) -> None:
    second = add_source(setting, tmp_path / "second")
    setting.write(a="# Notice\n\nthe same five words here", b="beta")
    setting.sync()
    (setting.root / "a.md").rename(second / "moved.md")
    assert setting.sync().embedded == 0
    assert setting.vectors() == setting.kept()
    assert setting.search("same", sources=["second"])[0][1] == "Notice\nthe same five words here"


def test_some_lost_vectors_are_made_anew_also_beside_vectors_without_rows(setting: Setting) -> None:
    setting.write(a="alpha", b="beta", c="gamma")
    setting.sync()
    (collection,) = setting.store.collections()
    vectors = setting.store.data[collection]
    lost, *_ = vectors
    vectors["a run that died has left this"] = vectors.pop(lost)
    setting.manifest.begin()
    assert setting.sync().embedded == 1
    assert setting.vectors() == setting.kept()


def test_what_was_indexed_under_other_keys_is_searched_until_it_is_built_anew(setting: Setting) -> None:
    setting.write(a="alpha", b="beta")
    setting.sync()
    expected = setting.search("alpha")
    (vectors,) = setting.store.data.values()
    for chunk in setting.manifest.live_chunks():
        vectors[chunk.id] = vectors.pop(chunk.key)
    with setting.engine.begin() as connection:
        connection.execute(text("UPDATE chunks SET key = id"))
    assert setting.search("alpha") == expected
    setting.settings = ChunkSettings(capacity=30, minimum=5)
    setting.sync()
    assert setting.search("alpha") == expected
    setting.write(c="gamma")
    setting.sync()
    assert setting.vectors() == setting.kept()


def add_source(setting: Setting, root: Path) -> Path:
    """A second source beside the folder."""
    root.mkdir()
    setting.sources.append(FolderSource("second", root, EVERYONE))
    return root


def test_a_file_that_fails_keeps_its_previous_version_and_is_reported_each_time(setting: Setting) -> None:
    setting.write(a="alpha", b="beta")
    setting.sync()
    setting.write(a="\0broken")
    for _ in range(3):
        (report,) = setting.sync().sources
        assert [path for path, _ in report.failed] == ["a.md"]
        assert "a.md: this is no text file" in report.failed[0][1]
        assert setting.texts() == ["alpha", "beta"]
    setting.write(a="healed")
    assert setting.sync().failed == []
    assert setting.texts() == ["beta", "healed"]
    setting.write(a="\0broken")
    setting.sync()
    (setting.root / "a.md").unlink()
    assert setting.sync().failed == []
    assert setting.texts() == ["beta"]


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
    assert setting.texts() == ["healed"]


def test_lost_vectors_are_made_anew(setting: Setting) -> None:
    setting.write(a="alpha", b="beta")
    setting.sync()
    expected = setting.search("alpha")
    setting.store.data.clear()
    assert setting.sync().embedded == 2
    assert setting.vectors() == setting.kept()
    assert setting.search("alpha") == expected


def test_a_dry_run_writes_nothing(setting: Setting) -> None:
    setting.write(a="alpha")
    report = setting.sync(dry_run=True)
    assert report.dry_run
    assert numbers(report.sources[0]) == (1, 0, 0, 0)
    assert setting.texts() == []
    assert setting.store.data == {}
    assert not setting.manifest.state().unfinished


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
    assert setting.texts() == ["alpha"]
    setting.write(a="alpha two")
    setting.sync()  # now there is no way back to the second source
    assert len(setting.store.collections()) == 1


def test_paused_sources_are_searched_and_not_read(setting: Setting, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.md").write_text("beta")
    setting.write(a="alpha")
    setting.sources.append(FolderSource("second", other, EVERYONE))
    setting.sync()
    setting.paused = frozenset({"second"})
    setting.write(a="alpha two")
    (other / "b.md").write_text("beta two")
    assert [report.name for report in setting.sync().sources] == ["docs"]
    assert setting.texts() == ["alpha two", "beta"]
    assert [report.name for report in setting.sync(only="second").sources] == ["second"]
    assert setting.texts() == ["alpha two", "beta two"]

    setting.settings = ChunkSettings(capacity=30, minimum=5)
    (other / "b.md").write_text("beta three")
    setting.sync(only="docs")  # what is cut anew has to be read, paused or not
    assert setting.texts() == ["alpha two", "beta three"]


def test_only_one_source(setting: Setting, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    setting.sources.append(FolderSource("second", other, EVERYONE))
    setting.write(a="alpha")
    (other / "b.md").write_text("beta")
    report = setting.sync(only="second")
    assert [source.name for source in report.sources] == ["second"]
    assert setting.texts() == ["beta"]
    with pytest.raises(SourceError, match="There is no source 'third'; configured are: docs, second"):
        setting.sync(only="third")


def test_a_source_that_cannot_be_read_keeps_its_documents(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    setting.root.rename(setting.root.parent / "away")
    (report,) = setting.sync().sources
    assert "does not exist" in report.error
    assert report.chunks == 1
    assert setting.texts() == ["alpha"]
    setting.settings = ChunkSettings(capacity=30, minimum=5)
    with pytest.raises(SourceError):
        setting.sync()
    assert setting.texts() == ["alpha"]


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
    # A vector is made anew by another model only: other sizes of chunks leave these texts as they are.
    assert report.embedded == (2 if what == "embedder" else 0)
    assert numbers(report.sources[0]) == (0, 0, 0, 2)
    assert before < setting.store.collections()
    setting.write(c="gamma")
    setting.sync()
    assert setting.store.collections().isdisjoint(before)
    assert setting.vectors() == setting.kept()
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
    assert setting.texts() == ["edited meanwhile"]
    assert numbers(setting.sync().sources[0]) == (0, 0, 0, 1)


def test_progress_names_stage_and_file(setting: Setting) -> None:
    setting.write(a="alpha", b="beta")
    seen: list[Progress] = []
    setting.index.sync(setting.sources, on_progress=seen.append)
    assert Progress("read", 1, 2, "b.md") in seen
    assert Progress("index", 1, 2, "b.md") in seen
    assert seen[-1].stage == "clean up"


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
    assert setting.texts() == ["alpha"]
    assert [text for _, text, _ in setting.search("beta")] == ["A\nalpha"]
    report = setting.sync()
    assert report.embedded == 0
    assert numbers(report.sources[0]) == (1, 1, 0, 0)
    assert setting.texts() == ["alpha two", "beta"]
    assert setting.vectors() == setting.kept()
