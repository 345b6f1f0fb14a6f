import os
from pathlib import Path

import pytest

from knowledge.errors import SourceError
from knowledge.sources import FolderSource

EVERYONE = frozenset({"everyone"})


def paths(root: Path, *, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[str]:
    source = FolderSource("docs", root, EVERYONE, include, exclude)
    return [file.path for file in source.files()]


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("text")


def test_lists_known_types_in_a_stable_order(root: Path) -> None:
    write(root, "b.md", "a/z.PDF", "a/c.txt", "image.png", "no_suffix")
    assert paths(root) == ["a/c.txt", "a/z.PDF", "b.md"]


def test_gives_absolute_uris_and_readable_files(root: Path) -> None:
    write(root, "a/b.md")
    (file,) = FolderSource("docs", root, EVERYONE).files()
    assert file.uri == str(root.resolve() / "a/b.md")
    assert file.local.read_text() == "text"


def test_skips_hidden_files_and_folders(root: Path) -> None:
    write(root, ".git/a.md", ".hidden.md", "a/.b/c.md", "a/d.md")
    assert paths(root) == ["a/d.md"]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("*.md",), (), ["a.md", "drafts/b.md", "drafts/deep/c.md"]),
        (("drafts/*.md",), (), ["drafts/b.md"]),
        (("drafts/**",), (), ["drafts/b.md", "drafts/deep/c.md", "drafts/deep/d.txt"]),
        (("**/*.md",), ("drafts/**",), ["a.md"]),
        ((), ("**/deep/*", "a.*"), ["drafts/b.md"]),
        (("*.conf",), (), ["e.conf"]),
    ],
)
def test_globs(root: Path, include: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]) -> None:
    write(root, "a.md", "drafts/b.md", "drafts/deep/c.md", "drafts/deep/d.txt", "e.conf")
    assert paths(root, include=include, exclude=exclude) == expected


def test_never_leaves_the_root(root: Path, tmp_path: Path) -> None:
    write(tmp_path, "secret/key.md")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "key.md").symlink_to(tmp_path / "secret/key.md")
    (root / "dangling.md").symlink_to(tmp_path / "nowhere")
    assert paths(root) == []


def test_loops_of_links_are_harmless(root: Path) -> None:
    write(root, "a/b.md", ".data/c.md")
    (root / "a/up").symlink_to(root)
    (root / "self.md").symlink_to(root / "self.md")
    (root / ".data/again").symlink_to(root / ".data")
    (root / "data").symlink_to(root / ".data")
    assert paths(root) == ["a/b.md", "data/c.md"]


def test_a_linked_root_is_followed(root: Path, tmp_path: Path) -> None:
    write(root, "a.md")
    (tmp_path / "alias").symlink_to(root)
    assert paths(tmp_path / "alias") == ["a.md"]


def test_file_names_that_are_not_utf8(root: Path) -> None:
    odd = os.fsencode(root) + b"/caf\xe9.md"
    try:
        with open(odd, "wb") as file:  # noqa: PTH123 - a bytes path
            file.write(b"text")
    except OSError:
        pytest.skip("this file system only takes UTF-8 names")
    (found,) = FolderSource("docs", root, EVERYONE).files()
    assert found.path == "caf\\xe9.md"
    assert found.uri.encode()
    assert found.local.read_bytes() == b"text"


def test_a_missing_root_names_the_fix(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"'docs'.*does not exist.*Create it, or correct the path"):
        paths(tmp_path / "missing")
