"""Archives written out as numbered files, within limits; runs inside a worker process that may be killed.

No name of an archive is ever used as a name on disk, so none can lead anywhere. What is in an archive within an archive
stands below that one's name. Links are not followed: what they lead to within the archive is found under its own name.
"""

import posixpath
import re
import tempfile
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from knowledge.sources.containers import DAMAGE, Entry, entries
from knowledge.sources.folder import printable
from knowledge.sources.opening import UnreadableError, cannot_be_read, opened, require_size, signature
from knowledge.sources.patterns import Patterns, has_type
from knowledge.sources.protocol import SourceFile

MOST_BYTES = 1_000_000_000
"""Of an archive, and of what is in it: unpacked it lies on this machine's disk."""
_HARMLESS = 100_000_000
"""Bytes that any archive may unpack to, however small it is."""
_MOST_TIMES = 100
"""Its own size; text is packed to a tenth, a table of mostly the same to a fiftieth, a bomb to a thousandth."""
_MOST_FILES = 20_000
_DEEPEST = 3
"""Archives within archives."""
_BLOCK = 1_000_000
_DRIVE = re.compile(r"[A-Za-z]:")
_DAMAGED = "the archive is damaged or cut off; replace or exclude it"
_DAMAGED_FILE = "it is damaged, or packed in a way that is not known; pack it anew, or exclude it"


class ArchiveError(Exception):
    """Why an archive is left alone as a whole, a clause with the way out."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files are unpacked."""

    types: AbstractSet[str]
    archives: AbstractSet[str]
    exclude: Sequence[str]
    file_bytes: int
    """The largest."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive."""

    path: str
    """Within the archive; '' for the archive itself, which then has a problem."""
    stored: str = ""
    """Name of the file with its bytes, in the folder that the archive was unpacked to."""
    problem: str = ""
    """See `SourceFile.problem`."""


def unpack(
    archive: SourceFile, expected: tuple[int, int, int, int], folder: Path, wanted: Wanted
) -> list[Member]:
    """Write the files of an archive that is what `opening.signature` says it was into an empty folder.

    Raises:
        UnreadableError: it cannot be read, or is not what was expected; nor can the folder be written.
        ArchiveError: it is larger than the limits allow, or made to look smaller than it is.
    """
    with opened(archive, max_bytes=MOST_BYTES, kind="archive") as found:
        unpacker = _Unpacker(archive.path, folder, wanted, packed=found.status.st_size)
        unpacker.unpack(found.stream, PurePosixPath(archive.path).name, prefix="", depth=1)
        if signature(found.status) != expected or not found.is_unchanged():
            raise UnreadableError("the archive changes while it is unpacked; it is tried again the next time")
    return list(unpacker.members.values())


class _Unpacker:
    def __init__(self, archive: str, folder: Path, wanted: Wanted, *, packed: int) -> None:
        self.members: dict[str, Member] = {}
        self._archive = archive
        self._folder = folder
        self._wanted = wanted
        self._patterns = Patterns(exclude=wanted.exclude)
        self._left = min(MOST_BYTES, max(_HARMLESS, _MOST_TIMES * packed))
        self._allowed = self._left
        self._files = 0

    def unpack(self, stream: IO[bytes], name: str, *, prefix: str, depth: int) -> None:
        """All files of one archive; `prefix` is where it lies in the outermost one."""
        try:
            for entry in entries(stream, name=name, spend=self._spend, most=self._wanted.file_bytes):
                if not self._take(entry, prefix, depth) and not name.lower().endswith(".zip"):
                    raise EOFError  # what comes after it cannot be found
        except DAMAGE:
            self._add(Member(prefix.rstrip("/"), problem=_DAMAGED))

    def _take(self, entry: Entry, prefix: str, depth: int) -> bool:
        """Whether it is whole, as far as it was looked at."""
        path = prefix + _clean(entry.name)
        shown = PurePosixPath(self._archive, path)
        is_archive = has_type(shown, self._wanted.archives)
        types = self._wanted.types | self._wanted.archives
        if _is_hidden(path) or not self._patterns.want(shown, types=types):
            return True
        problem = (
            entry.problem or _problem_of_names(entry) or self._problem_of_size(entry, is_archive=is_archive)
        )
        if is_archive and depth >= _DEEPEST:
            problem = problem or f"archives are unpacked {_DEEPEST} deep; unpack or exclude it"
        if problem:
            self._add(Member(path, problem=problem))
        elif is_archive and not entry.link:
            with _writing(), tempfile.TemporaryFile(dir=self._folder) as inner:
                if not self._copy(entry, path, inner):
                    return False
                inner.seek(0)
                self.unpack(inner, shown.name, prefix=f"{path}/", depth=depth + 1)
        elif not entry.link:
            stored = f"{self._files}{shown.suffix.lower()}"
            with _writing(), (self._folder / stored).open("wb") as file:
                if not self._copy(entry, path, file):
                    return False
            self._add(Member(path, stored))
        return True

    def _copy(self, entry: Entry, path: str, target: IO[bytes]) -> bool:
        """Whether all of it is there; if not, that is reported."""
        size = 0
        try:
            with entry.open() as source:
                while block := source.read(_BLOCK):
                    size += len(block)
                    if not entry.is_spent:
                        self._spend(len(block))
                    if size > entry.size:
                        raise ArchiveError(f"{path} is larger than the archive says; exclude it")
                    with _writing():
                        target.write(block)
        except DAMAGE:
            self._add(Member(path, problem=_DAMAGED_FILE))
            return False
        return True

    def _problem_of_size(self, entry: Entry, *, is_archive: bool) -> str:
        most, kind = (MOST_BYTES, "archive") if is_archive else (self._wanted.file_bytes, "file")
        try:
            require_size(entry.size, max_bytes=most, kind=kind)
        except UnreadableError as error:
            return str(error)
        return ""

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ArchiveError(
                f"it unpacks to more than {self._allowed / 1e6:,.0f} MB, the limit for an archive of its size; "
                "unpack or exclude it"
            )

    def _add(self, member: Member) -> None:
        self.members[member.path] = member
        self._files += 1
        if self._files > _MOST_FILES:
            raise ArchiveError(
                f"it holds more than {_MOST_FILES:,} files; split it, or unpack it into a folder and exclude it"
            )


@contextmanager
def _writing() -> Iterator[None]:
    """The errors of the disk, told from those of the archive."""
    try:
        yield
    except OSError as error:
        raise UnreadableError(
            cannot_be_read(error, what="it cannot be unpacked into the data folder")
        ) from error


def _clean(name: str) -> str:
    """The path in an archive as it is shown; Windows has other slashes."""
    parts = printable(name.replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in {"", "."}) or "?"


def _problem_of_names(entry: Entry) -> str:
    name, link = entry.name.replace("\\", "/"), entry.link.replace("\\", "/")
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        return "its name leads out of the archive; pack it anew, or exclude it"
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), link))
    if link and (target.startswith(("/", "../")) or target == ".." or _DRIVE.match(link)):
        return "the link leads out of the archive and is not followed; exclude it"
    return ""


def _is_hidden(path: str) -> bool:
    return any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in path.split("/"))
