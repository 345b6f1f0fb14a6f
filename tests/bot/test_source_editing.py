"""What is changed in chat stands in the file, and holds at once."""

from pathlib import Path

import pytest

from bot.config import SourceSettings, load_settings
from bot.errors import DatabaseError, SettingsError
from bot.source_editing import SourceEditing

FILE = """\
# Ours.
[[sources]]
name = "handbook"  # the big one
path = "docs"

[chat]
assistant_name = "Polly"
"""


class Process:
    """Works with the sources of a file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "parley.toml"
        self.file.write_text(FILE, encoding="utf-8")
        self.taken: list[SourceSettings] = []
        self.sources = SourceEditing(load_settings(self.file, {}), take_up=self._take_up)

        self.trouble: Exception | None = None

    async def _take_up(self, sources: tuple[SourceSettings, ...]) -> None:
        if self.trouble:
            raise self.trouble
        self.taken = list(sources)


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


async def test_another_source_holds_at_once_and_after_a_restart(process: Process) -> None:
    await process.sources.add({"name": "wiki", "kind": "folder", "path": "wiki", "visible_to": ["slack:C1"]})
    assert process.sources.names == ["handbook", "wiki"]
    assert process.taken[1].visible_to == ("slack:C1",)
    assert [source.name for source in load_settings(process.file, {}).sources] == ["handbook", "wiki"]
    text = process.file.read_text(encoding="utf-8")
    assert text.startswith("# Ours.")
    assert "# the big one" in text
    assert 'assistant_name = "Polly"' in text


async def test_the_first_source_can_be_added_too(process: Process) -> None:
    await process.sources.remove("handbook")
    assert process.taken == []
    await process.sources.add({"name": "wiki", "path": "wiki"})
    assert process.sources.names == ["wiki"]


async def test_a_source_is_paused_and_goes_on(process: Process) -> None:
    await process.sources.pause("handbook", True)
    assert [source.paused for source in process.taken] == [True]
    await process.sources.pause("handbook", False)
    assert [source.paused for source in process.taken] == [False]
    assert "paused" not in process.file.read_text(encoding="utf-8")


async def test_what_is_wrong_changes_nothing(process: Process) -> None:
    before = process.file.read_text(encoding="utf-8")
    with pytest.raises(SettingsError, match="a name of its own"):
        await process.sources.add({"name": "handbook", "path": "wiki"})
    with pytest.raises(SettingsError, match="no source 'wiki'"):
        await process.sources.remove("wiki")
    assert process.file.read_text(encoding="utf-8") == before
    assert process.sources.names == ["handbook"]
    assert process.taken == []


async def test_a_file_that_was_broken_meanwhile_is_named(process: Process) -> None:
    process.file.write_text("[[sources", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"parley\.toml"):
        await process.sources.pause("handbook", True)


async def test_what_somebody_else_writes_is_taken_up(process: Process) -> None:
    await process.sources.refresh()
    assert process.taken == []
    process.file.write_text(FILE.replace("handbook", "manual"), encoding="utf-8")
    await process.sources.refresh()
    assert process.sources.names == [source.name for source in process.taken] == ["manual"]
    process.file.unlink()
    with pytest.raises(SettingsError, match="parley init"):
        await process.sources.refresh()
    assert process.sources.names == ["manual"]


async def test_what_could_not_be_taken_up_is_tried_again(process: Process) -> None:
    process.trouble = DatabaseError("The database is locked.")
    with pytest.raises(DatabaseError):
        await process.sources.remove("handbook")
    assert process.sources.names == ["handbook"]
    process.trouble = None
    await process.sources.refresh()
    assert process.sources.names == [] == process.taken
