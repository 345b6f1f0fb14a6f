"""What is in a zip, a tar or a mailbox, one entry after the other; nothing is written, and names are not trusted.

Runs inside a worker process. Damaged archives raise one of `DAMAGE`.
"""

import bz2
import gzip
import hashlib
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Protocol, cast

DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    OSError,
)
"""What reading a damaged archive may raise, or one of a kind that is not known."""
_LONGEST_LINE = 1_000_000
_LONGEST_LINK = 4_096
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>\r\n]+>)", re.IGNORECASE | re.MULTILINE)
_ESCAPED = re.compile(rb">+From ")


class Stream(Protocol):
    """The part of a file that is needed."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in an archive, not yet read."""

    name: str
    """As the archive has it."""
    size: int
    """In bytes, as the archive claims."""
    open: Callable[[], IO[bytes]]
    """To be read before the next entry is asked for."""
    link: str = ""
    """Where it leads, if it is a link."""
    problem: str = ""
    """Why it cannot be read, a clause."""
    is_spent: bool = False
    """Whether its bytes were told of already."""


def entries(stream: IO[bytes], *, name: str, spend: Callable[[int], None], most: int) -> Iterator[Entry]:
    """The files in an archive; its kind is told by its name.

    `spend` is called with the number of bytes that have to be unpacked to get at the entries, which are those of the
    entries as well where one `is_spent`. Of a message no more than `most` bytes are kept.
    """
    lower = name.lower()
    if lower.endswith(".zip"):
        yield from _zipped(stream)
    elif lower.endswith(".mbox"):
        yield from _messages(stream, most)
    else:
        yield from _tarred(_Counted(_decompressed(stream), spend))


def _zipped(stream: IO[bytes]) -> Iterator[Entry]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            mode = info.external_attr >> 16
            problem = (
                "it is encrypted; pack it without a password, or exclude it" if info.flag_bits & 1 else ""
            )
            link = ""
            if stat.S_ISLNK(mode) and not problem:
                with archive.open(info) as target:
                    link = target.read(_LONGEST_LINK).decode("utf-8", "replace") or "."
            yield Entry(_zip_name(info), info.file_size, partial(archive.open, info), link, problem)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Many programs write UTF-8 without saying so."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _tarred(stream: "_Counted") -> Iterator[Entry]:
    with tarfile.open(fileobj=cast("Any", stream), mode="r|") as archive:
        for info in archive:
            if info.isdir():
                continue
            link = info.linkname if info.issym() else ""
            problem = "" if info.isreg() or info.issym() or info.islnk() else "this is no file; exclude it"
            if not info.islnk():  # another name of a file that is there already
                # One with holes is larger than what was read of the archive.
                is_spent = not info.issparse()
                yield Entry(info.name, info.size, partial(_of_tar, archive, info), link, problem, is_spent)
    if any(stream.end):
        raise EOFError  # tarfile takes one that was cut off between two files for a whole one


def _of_tar(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return archive.extractfile(info) or io.BytesIO()


def _decompressed(stream: IO[bytes]) -> Stream:
    head = stream.read(6)
    stream.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(stream)
    return stream


class _Counted:
    """Tells of every byte before it is looked at."""

    def __init__(self, stream: Stream, spend: Callable[[int], None]) -> None:
        self._stream = stream
        self._spend = spend
        self.end = b""
        """The last of what was read; zeros in a whole tar."""

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._spend(len(data))
        self.end = data[-512:] or self.end
        return data


def _messages(stream: IO[bytes], most: int) -> Iterator[Entry]:
    """The messages of a mailbox, named by what stays the same when others come and go."""
    message = bytearray()
    size = 0
    begins, is_first = True, True
    while line := stream.readline(_LONGEST_LINE):
        if begins and line.startswith(b"From "):
            if size:
                yield _message(bytes(message), size)
            message.clear()
            size, is_first = 0, False
        elif is_first:
            if line.strip():
                raise ValueError("no mailbox")
        else:
            size += len(line)
            if size <= most:
                message += line[1:] if _ESCAPED.match(line) else line
        begins = not line.strip() and line.endswith(b"\n")
    if size:
        yield _message(bytes(message), size)


def _message(data: bytes, size: int) -> Entry:
    head = re.split(rb"\r?\n\r?\n", data, maxsplit=1)[0]
    found = _MESSAGE_ID.search(head)
    name = hashlib.sha256(found[1] if found else data).hexdigest()[:16]
    return Entry(f"{name}.eml", size, lambda: io.BytesIO(data))
