import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from knowledge.index import Index
from knowledge.lexical import Lexical
from knowledge.manifest import Manifest
from knowledge.retriever import Retriever
from knowledge.sources import FolderSource
from knowledge.store import ChromaStore
from tests.knowledge.fakes import HashingEmbedder
from tests.knowledge.setting import EVERYONE, SETTINGS, Setting


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[ChromaStore, ChromaStore]]:
    """Two over one folder, as two processes have them: Chroma shares what it opens by the name of the folder."""
    (tmp_path / "again").symlink_to(tmp_path)
    ours, theirs = ChromaStore(tmp_path / "chroma"), ChromaStore(tmp_path / "again" / "chroma")
    yield ours, theirs
    ours.close()
    theirs.close()


def test_vectors_that_another_process_restored_are_searched(
    engine: Engine, root: Path, tmp_path: Path, stores: tuple[ChromaStore, ChromaStore]
) -> None:
    ours, theirs = stores
    embedder = HashingEmbedder()
    retriever = Retriever(Manifest(engine), ours, embedder, Lexical())
    (root / "hotels.md").write_text("Hotels cost at most 140 EUR.")

    def sync() -> int:
        index = Index(engine, theirs, embedder, SETTINGS, tmp_path / "index.lock")
        embedded = index.sync([FolderSource("docs", root, EVERYONE)]).embedded
        theirs.close()
        return embedded

    def similarities() -> list[float]:
        return [hit.similarity for hit in retriever.search("hotels cost", sources=frozenset({"docs"}))]

    sync()
    before = similarities()
    assert before[0] > 0.1
    shutil.rmtree(tmp_path / "chroma")
    assert sync() == 1
    assert similarities() == pytest.approx(before)
    # One vector of two is lost, which is seen, and put back.
    (root / "dogs.md").write_text("Dogs bark at night.")
    sync()
    before = similarities()
    (name,) = theirs.collections()
    theirs.delete(name, [retriever.search("dogs bark", sources=frozenset({"docs"}))[0].chunk.key])
    theirs.close()
    ours.refresh()
    assert similarities() == before[:1]
    assert sync() == 1
    assert similarities() == pytest.approx(before)


def test_only_a_restore_is_counted(setting: Setting) -> None:
    setting.write(dogs="Dogs bark at night.")
    setting.sync()
    assert setting.manifest.state().restores == 0
    setting.store.data.clear()
    revision = setting.manifest.state().revision
    setting.sync()
    setting.sync()
    state = setting.manifest.state()
    assert (state.restores, state.revision) == (1, revision)
    setting.write(dogs="Dogs sleep at night.")
    setting.sync()
    setting.store.data.clear()
    setting.rollback()
    assert setting.manifest.state().restores == 2
