import os
from pathlib import Path

import pytest

from knowledge.errors import SourceError
from knowledge.sources import FolderSource
from knowledge.sources.opening import UnreadableError, read_whole
from tests.knowledge.privileges import as_somebody_else, folder_for_everybody

EVERYONE = frozenset({"everyone"})


def paths(root: Path, *, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[str]:
    source = FolderSource("docs", root, EVERYONE, include, exclude)
    return [file.path for file in source.files()]


def problems(root: Path, *, exclude: tuple[str, ...] = ()) -> dict[str, str]:
    return {file.path: file.problem for file in FolderSource("docs", root, EVERYONE, exclude=exclude).files()}


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


@pytest.mark.parametrize("exclude", [("drafts",), ("drafts/",), ("dr*s",)])
def test_a_pattern_without_a_slash_leaves_a_folder_out_wherever_it_is(
    root: Path, exclude: tuple[str, ...]
) -> None:
    write(root, "a.md", "drafts/b.md", "deep/drafts/c/d.md", "drafts.md")
    assert paths(root, exclude=exclude) == ["a.md", "drafts.md"]
    assert paths(root, exclude=("/drafts",)) == ["a.md", "deep/drafts/c/d.md", "drafts/b.md", "drafts.md"]
    assert paths(root, include=("drafts",)) == []


def test_folders_that_programs_fill_are_taken_when_they_are_asked_for(root: Path) -> None:
    write(root, "a.md", "node_modules/left-pad/README.md", "app/node_modules/b.md", "app/__pycache__/c.txt")
    write(root, "venv/pyvenv.cfg", "venv/lib/licence.txt", "venvs/d.md")
    assert paths(root) == ["a.md", "venvs/d.md"]
    assert paths(root, include=("*.md",), exclude=("app",)) == [
        "a.md",
        "node_modules/left-pad/README.md",
        "venvs/d.md",
    ]
    assert paths(root, include=("venv/**/*.txt",)) == ["venv/lib/licence.txt"]


def test_never_leaves_the_root_and_says_so(root: Path, tmp_path: Path) -> None:
    write(tmp_path, "secret/key.md", "secret/key.conf")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "key.md").symlink_to(tmp_path / "secret/key.md")
    (root / "key.conf").symlink_to(tmp_path / "secret/key.conf")
    (root / "up.md").symlink_to("../secret/key.md")
    write(root, "a.md")
    found = problems(root)
    assert found.keys() == {"link", "key.md", "up.md", "a.md"}
    assert found.pop("a.md") == ""
    assert all("leads out of the source's folder and is not followed" in reason for reason in found.values())
    assert problems(root, exclude=("link/**", "key.md", "up.*")) == {"a.md": ""}


def test_links_that_lead_nowhere_are_reported(root: Path) -> None:
    (root / "dangling.md").symlink_to(root / "nowhere")
    (root / "self.md").symlink_to(root / "self.md")
    (root / "one.md").symlink_to(root / "two.md")
    (root / "two.md").symlink_to(root / "one.md")
    (root / "picture.png").symlink_to(root / "nowhere")
    found = problems(root)
    assert found.keys() == {"dangling.md", "self.md", "one.md", "two.md"}
    assert set(found.values()) == {"the link leads nowhere, or in a circle; correct or exclude it"}


def test_loops_of_links_are_harmless(root: Path) -> None:
    write(root, "a/b.md", ".data/c.md")
    (root / "a/up").symlink_to(root)
    (root / ".data/again").symlink_to(root / ".data")
    (root / "data").symlink_to(root / ".data")
    assert problems(root) == {"a/b.md": "", "data/c.md": ""}


def test_what_is_no_file_is_reported_where_a_file_would_be_taken(root: Path) -> None:
    os.mkfifo(root / "pipe.md")
    os.mkfifo(root / "pipe")
    assert problems(root) == {"pipe.md": "this is a named pipe, not a file; exclude it"}
    assert problems(root, exclude=("pipe.*",)) == {}


def test_a_folder_that_cannot_be_listed_is_reported() -> None:
    with folder_for_everybody() as root:
        write(root, "a.md", "locked/b.md", "locked/deep/c.md", "sealed/d.md", "z.md")
        (root / "locked").chmod(0)
        (root / "sealed").chmod(0o444)
        with as_somebody_else():
            found = problems(root)
            files = {file.path: file for file in FolderSource("docs", root, EVERYONE).files()}
            assert problems(root, exclude=("locked/**", "sealed/**")) == {"a.md": "", "z.md": ""}
            with pytest.raises(UnreadableError, match=r"cannot be read \(permission denied\)"):
                read_whole(files["sealed/d.md"], max_bytes=100)
    assert found == {
        "a.md": "",
        "locked": "the folder cannot be listed (permission denied); check its permissions",
        "sealed/d.md": "",
        "z.md": "",
    }


def test_a_root_that_cannot_be_listed_names_the_fix() -> None:
    with folder_for_everybody() as folder:
        (folder / "in").mkdir()
        for locked in (folder / "in", folder):
            locked.chmod(0)
            with (
                as_somebody_else(),
                pytest.raises(SourceError, match=r"'docs'.*cannot be listed \(Permission"),
            ):
                paths(folder / "in")
        folder.chmod(0o700)


def test_folders_without_end_are_cut_off(root: Path) -> None:
    deepest = root.joinpath(*["d"] * 120)
    deepest.mkdir(parents=True)
    (deepest / "a.md").write_text("text")
    (root.joinpath(*["d"] * 100) / "b.md").write_text("text")
    found = problems(root)
    assert found.pop("d/" * 100 + "b.md") == ""
    (reason,) = found.values()
    assert reason == "the folder lies more than 100 folders deep; move or exclude it"


def test_a_root_that_is_replaced_meanwhile_says_nothing_about_its_files(root: Path, tmp_path: Path) -> None:
    write(root, "a/b.md", "c.md")
    files = FolderSource("docs", root, EVERYONE).files()
    assert next(files).path == "a/b.md"
    root.rename(tmp_path / "elsewhere")
    root.mkdir()
    with pytest.raises(SourceError, match=r"'docs'.*was replaced by another one while it was listed"):
        list(files)


def test_archives_are_listed(root: Path) -> None:
    write(root, "a.zip", "b.tar.gz", "c.mbox", "d.TGZ", "e.gz")
    assert paths(root) == ["a.zip", "b.tar.gz", "c.mbox", "d.TGZ"]
    assert paths(root, include=("*.md",)) == []


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
