"""Reading the files of a source as if somebody wanted to do harm with them.

Only regular files are opened: a pipe would wait for ever, and opening a device may do something. What is read lies
below the folder of the source, even if somebody has put a link in the way since it was listed. A file is read as it was
at one moment, as far as its size and its time of change tell.
"""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from knowledge.sources.protocol import SourceFile

OUTSIDE = (
    "the link leads out of the source's folder and is not followed; make what it leads to a source of its own, or "
    "exclude the link"
)
_ATTEMPTS = 3
_PAUSE = 0.05
"""Seconds before another attempt; most files are written in less."""
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class UnreadableError(Exception):
    """Why a file cannot be read: a clause with the way out, see `SourceFile.problem`."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open."""

    stream: BufferedReader
    status: os.stat_result
    """When it was opened."""

    def is_unchanged(self) -> bool:
        """Whether nobody has written to it since."""
        return signature(self.status) == signature(os.fstat(self.stream.fileno()))


def read_whole(file: SourceFile, *, max_bytes: int) -> bytes:
    """The bytes of the file; raises UnreadableError. Never takes more memory than `max_bytes`."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE)
        with opened(file, max_bytes=max_bytes) as found:
            size = found.status.st_size
            data = found.stream.read(size + 1)  # one more, so that growth is noticed
            if len(data) == size and found.is_unchanged():
                return data
    raise UnreadableError(
        "the file changes while it is read; it is tried again the next time, exclude it if it always changes"
    )


@contextmanager
def opened(file: SourceFile, *, max_bytes: int, kind: str = "file") -> Iterator[Opened]:
    """The file, until the block ends; raises UnreadableError, also when reading fails in the block.

    `kind` is what the sentence about its size calls it.
    """
    if file.problem:
        raise UnreadableError(file.problem)
    try:
        _require_regular(os.stat(file.local).st_mode)  # noqa: PTH116 - half the time of Path.stat
        # Not waiting for a pipe that has taken the file's place meanwhile.
        descriptor = os.open(file.local, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor
            found = Opened(stream, os.fstat(descriptor))
            _require_regular(found.status.st_mode)
            if file.root is not None and not _lies_below(file.root, descriptor, file.local):
                raise UnreadableError(OUTSIDE)
            require_size(found.status.st_size, max_bytes=max_bytes, kind=kind)
            yield found
    except OSError as error:
        raise UnreadableError(cannot_be_read(error)) from error


def signature(status: os.stat_result) -> tuple[int, int, int, int]:
    """The same as long as it is the same file and nobody has written to it."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def require_size(size: int, *, max_bytes: int, kind: str = "file", setting: bool | None = None) -> None:
    """Raises UnreadableError for what is larger than the limit.

    `setting`: whether the sentence names the setting that raises the limit; if not said, for files it does.
    """
    if size > max_bytes:
        is_named = kind == "file" if setting is None else setting
        raise UnreadableError(
            f"the {kind} has {size / 1e6:,.0f} MB, the limit is {max_bytes / 1e6:,.0f} MB; split it or exclude it"
            + (", or raise knowledge.max_file_mb" if is_named else "")
        )


def cannot_be_read(error: OSError, *, what: str = "the file cannot be read") -> str:
    """A clause for an error of the system."""
    reason = (error.strerror or type(error).__name__).lower()
    return f"{what} ({reason}); check its permissions"


def no_file(mode: int) -> str:
    """A clause for what stands among files and is none; '' for a file."""
    if stat.S_ISREG(mode):
        return ""
    kind = next((name for test, name in _KINDS if test(mode)), "something else")
    return f"this is {kind}, not a file; exclude it"


def _require_regular(mode: int) -> None:
    if problem := no_file(mode):
        raise UnreadableError(problem)


def _lies_below(root: Path, descriptor: int, path: Path) -> bool:
    """Whether what was opened under that path really lies below the folder."""
    try:
        real = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - as for Path.stat
    except OSError:  # no such file system, as on macOS
        real = os.path.realpath(path)
    return real.startswith(f"{os.fspath(root).rstrip('/')}/")
