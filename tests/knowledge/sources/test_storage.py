"""What sources have fetched, and what becomes of it."""

from pathlib import Path

import pytest

from knowledge.errors import SourceError
from knowledge.sources.storage import fetching, forget_fetched
from tests.knowledge.setting import Setting


def fetch(data: Path, name: str) -> Path:
    """What was said in a private channel, say."""
    with fetching(data, source=name, place="x") as folder:
        (folder / "messages.db").write_text("between us")
    return folder


def test_what_was_fetched_for_a_source_that_is_gone_goes_with_the_sync(root: Path) -> None:
    setting = Setting(root)
    data = setting.index._lock_path.parent
    kept, gone = fetch(data, "docs"), fetch(data, "chat")
    setting.sync(dry_run=True)
    assert gone.exists()
    setting.paused = frozenset({"docs"})
    setting.sync()
    assert (kept / "messages.db").exists()
    assert not gone.parent.exists()


def test_what_another_process_is_fetching_stays_until_the_next_time(tmp_path: Path) -> None:
    with fetching(tmp_path, source="chat", place="x") as folder:
        (folder / "messages.db").write_text("between us")
        forget_fetched(tmp_path, {"docs"})
        assert (folder / "messages.db").exists()
    forget_fetched(tmp_path, {"docs"})
    assert not folder.parent.exists()
    assert fetch(tmp_path, "chat") == folder


def test_what_parley_has_not_made_stays(tmp_path: Path) -> None:
    """The data directory may be a folder that holds other things as well."""
    fetch(tmp_path, "chat")
    (tmp_path / "sources/chat/notes.md").write_text("mine")
    (tmp_path / "sources/manual").mkdir()
    (tmp_path / "sources/manual/0123456789ab").write_text("mine")
    forget_fetched(tmp_path, set())
    assert [path.name for path in (tmp_path / "sources/chat").iterdir()] == ["notes.md"]
    assert (tmp_path / "sources/manual/0123456789ab").exists()
    forget_fetched(tmp_path / "nowhere", set())


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "sources").write_text("in the way")
    with pytest.raises(SourceError, match="cannot be written"):
        fetch(tmp_path, "chat")
