"""The way back to the index before the last publication, and forward again."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from knowledge.chunking import ChunkSettings
from knowledge.errors import IndexBusyError, RollbackError
from knowledge.lexical import Lexical
from knowledge.retriever import Retriever
from knowledge.rollback import Rollback, SourceRollback
from knowledge.sources import FolderSource
from tests.knowledge.fakes import HashingEmbedder
from tests.knowledge.setting import EVERYONE, Setting


def test_back_and_forth(any_engine: Engine, root: Path) -> None:
    setting = Setting(root, engine=any_engine)
    setting.write(a="alpha", b="beta", c="gamma")
    setting.sync()
    setting.write(a="alpha two", d="delta")
    (root / "b.md").unlink()
    setting.sync()
    embedded = setting.embedder.embedded

    changes = (SourceRollback("docs", added=1, changed=1, deleted=1),)
    assert setting.rollback(dry_run=True) == Rollback(changes, revision=2, dry_run=True)
    assert setting.texts() == ["alpha two", "delta", "gamma"]
    assert setting.rollback() == Rollback(changes, revision=2)
    assert setting.texts() == ["alpha", "beta", "gamma"]
    assert setting.search("beta")[0][1] == "B\nbeta"
    assert setting.rollback() == Rollback(changes, revision=3)
    assert setting.texts() == ["alpha two", "delta", "gamma"]
    assert setting.embedder.embedded == embedded
    assert setting.vectors() == setting.kept()


def test_the_same_revision_is_taken_back_once(setting: Setting) -> None:
    setting.sync()
    (setting.root / "new.md").write_text("# New\n\nSomething new.\n", encoding="utf-8")
    setting.sync()
    asked = setting.index.rollback(dry_run=True).revision
    setting.index.rollback(expected=asked)
    with pytest.raises(RollbackError, match="have changed since"):
        setting.index.rollback(expected=asked)


def test_who_searches_sees_the_rollback_at_once(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    setting.write(a="beta")
    setting.sync()
    retriever = Retriever(setting.manifest, setting.store, setting.embedder, Lexical())

    def found() -> list[str]:
        return [hit.chunk.text for hit in retriever.search("alpha", sources=frozenset({"docs"}))]

    assert found() == ["beta"]
    setting.rollback()
    assert found() == ["alpha"]
    assert retriever.lexical.corrected("alpah", sources={"docs"}) == "alpha"
    setting.rollback()
    assert found() == ["beta"]


def test_the_next_sync_brings_the_new_state_again_without_work(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    setting.write(a="alpha two")
    setting.sync()
    setting.rollback()
    assert setting.sync().embedded == 0
    assert setting.texts() == ["alpha two"]


def test_only_the_last_publication_can_be_taken_back(setting: Setting) -> None:
    with pytest.raises(RollbackError, match="no earlier state"):
        setting.rollback()
    setting.write(a="alpha")
    setting.sync()
    with pytest.raises(RollbackError, match="no earlier state"):
        setting.rollback()
    for text in ("alpha two", "alpha three"):
        setting.write(a=text)
        setting.sync()
    assert len(setting.manifest.versions()) == 2
    setting.rollback()
    assert setting.texts() == ["alpha two"]


def test_a_sync_that_changes_nothing_leaves_the_way_back(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    setting.write(a="alpha two")
    setting.sync()
    setting.sync()
    setting.write(broken="\0")
    assert setting.sync().failed
    setting.rollback()
    assert setting.texts() == ["alpha"]


def test_a_source_that_was_removed_comes_back_under_its_name(setting: Setting, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.md").write_text("beta")
    setting.write(a="alpha")
    docs = setting.sources[0]
    setting.sources = [docs, FolderSource("second", other, EVERYONE)]
    setting.sync()
    setting.sources = [docs]
    setting.sync()
    assert setting.rollback().sources == (SourceRollback("second", added=1, changed=0, deleted=0),)
    assert len(setting.search("beta", sources=["docs", "second"])) == 2


def test_vectors_that_the_store_has_lost_are_made_anew_first(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    expected = setting.search("alpha")
    setting.write(a="beta")
    setting.sync()
    setting.store.data.clear()
    setting.rollback()
    assert setting.search("alpha") == expected
    assert not setting.manifest.state().unfinished
    assert setting.vectors() == setting.kept()


def test_another_embedding_model_must_be_set_back_first(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    setting.embedder = HashingEmbedder(name="other")
    setting.sync()
    with pytest.raises(RollbackError, match=r"model hashing@64: set `knowledge\.embedding_model` back"):
        setting.rollback()
    assert setting.search("alpha")

    setting.embedder = HashingEmbedder()
    setting.rollback()
    assert setting.search("alpha")
    assert setting.embedder.embedded == 0
    with pytest.raises(RollbackError, match="other@64"):
        setting.rollback()


def test_another_cut_must_be_set_back_first(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    before, setting.settings = setting.settings, ChunkSettings(capacity=30, minimum=5)
    setting.sync()
    with pytest.raises(RollbackError, match=r"`knowledge\.chunk_tokens`"):
        setting.rollback()
    setting.settings = before
    setting.rollback()
    assert setting.texts() == ["alpha"]


def test_nobody_rolls_back_while_somebody_indexes(setting: Setting) -> None:
    setting.write(a="alpha")

    def gate(_: object) -> None:
        with pytest.raises(IndexBusyError):
            setting.rollback()

    setting.sync(gate=gate)
    assert setting.texts() == ["alpha"]
