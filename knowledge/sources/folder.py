"""A folder on this machine.

Hidden files and folders are skipped. A symbolic link out of the root is never followed, one inside the root only where
its target is not found under its own name (Kubernetes mounts files as links into a hidden folder). Every folder is
visited once, so that loops of links are harmless.

What looks like a document and cannot be read is listed with its problem, and so is a folder that cannot be listed:
nothing that is missing may look as if somebody had deleted it.

What is kept apart is never taken, by whatever link or pattern. It is told by its place: a second name that a hard link
or a mount gives it is not noticed.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from knowledge.errors import SourceError
from knowledge.formats import KNOWN_TYPES
from knowledge.sources.opening import OUTSIDE, cannot_be_read, no_file
from knowledge.sources.patterns import Patterns
from knowledge.sources.protocol import SourceFile

ARCHIVE_TYPES = frozenset({
    ".zip", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".mbox",
})  # fmt: skip
"""Files that hold others, see `knowledge.sources.archives`."""
LISTED_TYPES = KNOWN_TYPES | ARCHIVE_TYPES
_DEEPEST = 100
"""Folders within folders; far more than anybody has, and what a loop of mounts would have."""
_ENVIRONMENT = "pyvenv.cfg"
"""Stands in a folder with programs that Python has installed."""


@dataclass(frozen=True)
class FolderSource:
    """Files below `root` that match `include` and not `exclude`, see `Patterns`; an empty `include` means every type
    that can be loaded or unpacked.
    """

    name: str
    root: Path
    visible_to: frozenset[str]
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    apart: Collection[Path] = ()
    """Files and folders that hold no documents for anybody; absolute."""

    def files(self) -> Iterator[SourceFile]:
        """Files sorted by path within each folder; raises SourceError when the root cannot be listed."""
        try:
            root = self.root.expanduser().resolve()
            apart = frozenset(path.resolve() for path in self.apart)
            is_folder = root.is_dir()
        except (OSError, RuntimeError) as error:
            raise self._not_listed(error) from error
        if not is_folder:
            raise SourceError(
                f"Source '{self.name}': the folder {printable(self.root)} does not exist or is no folder. "
                f"Create it, or correct the path of this source in the configuration."
            )
        if _is_within(root, apart):
            raise SourceError(
                f"Source '{self.name}': the folder {printable(self.root)} holds what Parley keeps for itself. "
                f"Name another folder in the configuration."
            )
        before = self._identity(root)
        yield from self._walk(_Visit(root, apart, {root, *apart}), root, "")
        if self._identity(root) != before:
            raise SourceError(
                f"Source '{self.name}': the folder {printable(self.root)} was replaced by another one while it was "
                f"listed. Try again when nobody moves or mounts it."
            )

    def _identity(self, root: Path) -> tuple[int, int]:
        """Another one when another file system was mounted there, or this one is gone; raises SourceError."""
        try:
            with os.scandir(root):
                status = root.stat()
        except OSError as error:
            raise self._not_listed(error) from error
        return status.st_dev, status.st_ino

    def _not_listed(self, error: Exception) -> SourceError:
        reason = error.strerror if isinstance(error, OSError) else "its links lead in a circle"
        return SourceError(
            f"Source '{self.name}': the folder {printable(self.root)} cannot be listed ({reason}). "
            f"Give the user that runs Parley the right to read it."
        )

    def _walk(self, visit: "_Visit", folder: Path, prefix: str) -> Iterator[SourceFile]:
        root, path = visit.root, prefix.rstrip("/")
        if prefix.count("/") > _DEEPEST:
            yield _bad(root, path, f"the folder lies more than {_DEEPEST} folders deep; move or exclude it")
            return
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return  # deleted a moment ago; the root is looked at again at the end
        except OSError as error:
            if not self._patterns.leave_out(PurePosixPath(path)):
                yield _bad(root, path, cannot_be_read(error, what="the folder cannot be listed"))
            return
        if path and not self.include and any(entry.name == _ENVIRONMENT for entry in entries):
            return
        for entry in entries:
            if not entry.name.startswith("."):
                yield from self._found(visit, entry, f"{prefix}{entry.name}")

    def _found(self, visit: "_Visit", entry: os.DirEntry[str], path: str) -> Iterator[SourceFile]:
        """What this entry of a folder brings."""
        root = visit.root
        is_wanted = self._patterns.want(PurePosixPath(path), types=LISTED_TYPES)
        try:
            real = Path(entry.path)
            if entry.is_symlink():
                real = real.resolve(strict=True)
                if not real.is_relative_to(root):
                    if is_wanted or (entry.is_dir() and not self._patterns.leave_out(PurePosixPath(path))):
                        yield _bad(root, path, OUTSIDE)
                    return
                if not _is_hidden(real.relative_to(root)) or _is_within(real, visit.apart):
                    return
            if entry.is_dir():
                if real not in visit.seen and not self._patterns.pass_over(PurePosixPath(path)):
                    visit.seen.add(real)
                    yield from self._walk(visit, real, f"{path}/")
            elif is_wanted and real not in visit.apart:
                problem = "" if entry.is_file() else no_file(entry.stat().st_mode)
                yield _listed(root, path, local=Path(entry.path), problem=problem)
        except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links, before Python 3.13
            if is_wanted:
                yield from _failed(root, entry, path, error)

    @property
    def _patterns(self) -> Patterns:
        return Patterns(self.include, self.exclude)


@dataclass(frozen=True, slots=True)
class _Visit:
    """One listing of a folder; all paths are resolved."""

    root: Path
    apart: frozenset[Path]
    seen: set[Path]
    """Folders that are not entered, as they were already, or hold no documents."""


def _listed(root: Path, path: str, *, local: Path, problem: str = "") -> SourceFile:
    return SourceFile(
        path=printable(path), uri=printable(root / path), local=local, problem=problem, root=root
    )


def _failed(root: Path, entry: os.DirEntry[str], path: str, error: Exception) -> Iterator[SourceFile]:
    if entry.is_symlink():
        yield _bad(root, path, "the link leads nowhere, or in a circle; correct or exclude it")
    elif isinstance(error, OSError) and not isinstance(error, FileNotFoundError):  # deleted a moment ago
        yield _bad(root, path, cannot_be_read(error))


def _bad(root: Path, path: str, problem: str) -> SourceFile:
    return _listed(root, path, local=root / path, problem=problem)


def _is_within(path: Path, places: frozenset[Path]) -> bool:
    """Whether it is one of the places, or below one."""
    return path in places or not places.isdisjoint(path.parents)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def printable(path: Path | str) -> str:
    r"""File names that are not UTF-8 keep their odd bytes as `\xff`, so that they can be stored and shown."""
    name = path if isinstance(path, str) else path.as_posix()
    return os.fsencode(name).decode("utf-8", "backslashreplace")
