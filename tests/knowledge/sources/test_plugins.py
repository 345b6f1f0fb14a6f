"""Kinds of sources that other packages bring."""

import errno
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from knowledge.errors import KnowledgeError, SourceError
from knowledge.sources import plugins
from knowledge.sources.plugins import PluginSource, installed_kinds
from knowledge.sources.protocol import SourceFile

EVERYONE = frozenset({"everyone"})


class Wiki:
    """What a package might bring: each word of a setting is a page."""

    visible_to = frozenset({"nobody-asks-for-this"})

    def __init__(self, name: str, settings: Mapping[str, Any], folder: Path) -> None:
        self.name, self.words, self.folder = name, settings["words"], folder

    def files(self) -> Iterator[SourceFile]:
        for word in self.words:
            if word == "down":
                raise SourceError(f"Source '{self.name}': the wiki is down; wait.")
            if word == "busy":
                raise KnowledgeError("Ask again in an hour.")
            if word == "full":
                raise OSError(errno.ENOSPC, "No space left on device")
            if word == "cut":
                raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
            if word == "secret":
                yield SourceFile("secret", "", self.folder, problem="it is locked; unlock it")
                continue
            file = self.folder / word
            file.write_text(f"About {word}")
            yield SourceFile(f"{word}.md", f"https://wiki.example/{word}", file)


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = EntryPoints(
        (
            EntryPoint("wiki", f"{__name__}:Wiki", plugins.GROUP),
            EntryPoint("gone", "no_such_package:Source", plugins.GROUP),
        )
    )
    monkeypatch.setattr(plugins, "entry_points", entries.select)


def source(
    tmp_path: Path,
    words: object,
    *,
    kind: str = "wiki",
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
) -> PluginSource:
    return PluginSource("docs", kind, EVERYONE, {"words": words}, tmp_path, include, exclude)


def test_a_plugin_lists_and_the_rest_is_held_here(tmp_path: Path) -> None:
    one = source(tmp_path, ["soup", "bread"], exclude=("b*",))
    assert [(file.path, file.uri, file.local.read_text()) for file in one.files()] == [
        ("soup.md", "https://wiki.example/soup", "About soup")
    ]
    assert one.visible_to == EVERYONE
    assert installed_kinds() == ["gone", "wiki"]


def test_its_folder_stays_as_long_as_the_settings(tmp_path: Path) -> None:
    first, again, other = (
        next(source(tmp_path, words).files()).local.parent for words in (["a"], ["a"], ["b"])
    )
    assert first == again != other
    assert first.is_relative_to(tmp_path)
    assert not first.exists()


def test_what_goes_wrong_in_a_plugin_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"the wiki is down; wait\."):
        list(source(tmp_path, ["a", "down"]).files())
    with pytest.raises(
        SourceError, match=r"its plugin for 'wiki' failed \(TypeError\); check its `settings`"
    ):
        list(source(tmp_path, None).files())
    with pytest.raises(SourceError, match=r"its plugin for 'gone' failed \(ModuleNotFoundError\)"):
        list(source(tmp_path, [], kind="gone").files())
    with pytest.raises(SourceError, match=r"brings sources of kind 'never'.*installed are: gone, wiki"):
        list(source(tmp_path, [], kind="never").files())


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("busy", r"^Source 'docs': Ask again in an hour\.$"),
        ("full", r"cannot be written \(No space left on device\); .* or free some space\.$"),
        ("in/the/way", r"/in/the/way cannot be written \(No such file or directory\)"),
        ("cut", r"its plugin for 'wiki' failed \(ConnectionRefusedError\)"),
    ],
)
def test_what_is_no_fault_of_the_plugin_is_not_said_to_be(tmp_path: Path, word: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        list(source(tmp_path, [word]).files())


def test_a_problem_is_told_whatever_is_included(tmp_path: Path) -> None:
    words = ["soup", "secret"]
    assert [file.path for file in source(tmp_path, words, include=("*.md",)).files()] == ["soup.md", "secret"]
    assert [file.path for file in source(tmp_path, words, exclude=("secret",)).files()] == ["soup.md"]
