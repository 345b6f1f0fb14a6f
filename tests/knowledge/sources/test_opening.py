import os
import socket
from pathlib import Path

import pytest

from knowledge.sources import opening
from knowledge.sources.opening import UnreadableError, opened, read_whole
from knowledge.sources.protocol import SourceFile
from tests.knowledge.privileges import as_somebody_else, folder_for_everybody

LIMIT = 1_000_000


def file_of(path: Path, *, root: Path | None = None) -> SourceFile:
    return SourceFile(path.name, str(path), path, root=root)


def reason(path: Path, *, root: Path | None = None, limit: int = LIMIT) -> str:
    with pytest.raises(UnreadableError) as caught:
        read_whole(file_of(path, root=root), max_bytes=limit)
    return str(caught.value)


def test_reads_a_file_as_it_is(root: Path) -> None:
    for data in (b"", b"text", os.urandom(300_000)):
        (root / "a.md").write_bytes(data)
        assert read_whole(file_of(root / "a.md", root=root), max_bytes=LIMIT) == data


def test_a_large_file_is_not_read(root: Path) -> None:
    with (root / "a.md").open("wb") as file:
        file.truncate(2**31)
    assert (
        reason(root / "a.md")
        == "the file has 2,147 MB, the limit is 1 MB; split it or exclude it, or raise knowledge.max_file_mb"
    )


def test_what_is_no_file_is_not_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(root / "pipe.md")
    assert reason(root / "pipe.md") == "this is a named pipe, not a file; exclude it"
    assert reason(root) == "this is a folder, not a file; exclude it"
    assert reason(Path("/dev/zero")) == "this is a device, not a file; exclude it"
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(root)  # the path of a socket has to be short
        listening.bind("s.md")
        assert reason(root / "s.md") == "this is a socket, not a file; exclude it"


def test_a_pipe_that_takes_the_place_of_a_file_holds_nobody_up(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a.md").write_text("text")
    os.mkfifo(root / "pipe")
    status = (root / "a.md").stat()
    (root / "pipe").rename(root / "a.md")
    monkeypatch.setattr(os, "stat", lambda path: status)
    assert "a named pipe" in reason(root / "a.md")


def test_a_file_that_may_not_be_read() -> None:
    with folder_for_everybody() as root:
        (root / "a.md").write_text("text")
        (root / "a.md").chmod(0)
        with as_somebody_else():
            assert (
                reason(root / "a.md") == "the file cannot be read (permission denied); check its permissions"
            )


@pytest.mark.parametrize("swap", ["file", "folder"])
def test_a_link_that_was_put_there_since_leads_nowhere(root: Path, tmp_path: Path, swap: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/a.md").write_text("secret")
    (root / "sub").mkdir()
    (root / "sub/a.md").write_text("text")
    file = file_of(root / "sub/a.md", root=root)
    assert read_whole(file, max_bytes=LIMIT) == b"text"
    (root / "sub/a.md").unlink()
    if swap == "file":
        (root / "sub/a.md").symlink_to(tmp_path / "secret/a.md")
    else:
        (root / "sub").rmdir()
        (root / "sub").symlink_to(tmp_path / "secret")
    with pytest.raises(UnreadableError, match="leads out of the source's folder"):
        read_whole(file, max_bytes=LIMIT)


def test_a_link_within_the_folder_is_followed(root: Path) -> None:
    (root / ".data").mkdir()
    (root / ".data/a.md").write_text("text")
    (root / "a.md").symlink_to(".data/a.md")
    assert read_whole(file_of(root / "a.md", root=root), max_bytes=LIMIT) == b"text"


class Writer:
    """Appends to a file whenever somebody has just opened it, so many times."""

    def __init__(self, path: Path, times: int, *, data: str = "more") -> None:
        self.path, self.left, self.data = path, times, data
        self._check = opening.require_size

    def __call__(self, size: int, *, max_bytes: int, kind: str = "file") -> None:
        self._check(size, max_bytes=max_bytes, kind=kind)
        if self.left:
            self.left -= 1
            with self.path.open("a") as file:
                file.write(self.data)


def test_a_file_that_changes_while_it_is_read_is_read_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a.md").write_text("text")
    monkeypatch.setattr(opening, "require_size", Writer(root / "a.md", 2))
    assert read_whole(file_of(root / "a.md"), max_bytes=LIMIT) == b"textmoremore"
    monkeypatch.setattr(opening, "require_size", Writer(root / "a.md", 99))
    assert reason(root / "a.md").startswith("the file changes while it is read; it is tried again")


def test_a_file_that_grows_without_end_is_cut_off(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a.md").write_text("text")
    monkeypatch.setattr(opening, "require_size", Writer(root / "a.md", 99, data="x" * LIMIT))
    assert (
        reason(root / "a.md")
        == "the file has 1 MB, the limit is 1 MB; split it or exclude it, or raise knowledge.max_file_mb"
    )


def test_a_file_that_shrinks_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a.md").write_text("text and more")
    check = opening.require_size
    left = [1]

    def shrink(size: int, *, max_bytes: int, kind: str = "file") -> None:
        check(size, max_bytes=max_bytes, kind=kind)
        if left and left.pop():
            os.truncate(root / "a.md", 4)

    monkeypatch.setattr(opening, "require_size", shrink)
    assert read_whole(file_of(root / "a.md"), max_bytes=LIMIT) == b"text"


def test_a_problem_is_not_looked_into(root: Path) -> None:
    file = SourceFile("a.md", "a.md", root / "a.md", problem="it is bad")
    with pytest.raises(UnreadableError, match=r"^it is bad$"), opened(file, max_bytes=LIMIT):
        pytest.fail("it was opened")
