"""A folder on this machine.

Hidden files and folders are skipped. A symbolic link out of the root is never followed; one inside the root
only where its target is not found under its own name (Kubernetes mounts files as links into a hidden folder).
Every folder is visited once, so that loops of links are harmless.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from knowledge.errors import SourceError
from knowledge.sources.patterns import Patterns
from knowledge.sources.protocol import SourceFile

KNOWN_TYPES = frozenset({
    ".md", ".markdown", ".txt", ".rst", ".html", ".htm", ".pdf", ".docx", ".pptx", ".xlsx", ".csv", ".ipynb",
})  # fmt: skip


@dataclass(frozen=True)
class FolderSource:
    """Files below `root` that match `include` and not `exclude`, see `Patterns`; an empty `include` means every type
    that can be loaded.
    """

    name: str
    root: Path
    visible_to: frozenset[str]
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def files(self) -> Iterator[SourceFile]:
        """Files sorted by path within each folder; raises SourceError when the root cannot be listed."""
        root = self.root.expanduser().resolve()
        if not root.is_dir():
            raise SourceError(
                f"Source '{self.name}': the folder {printable(self.root)} does not exist or is no folder. "
                f"Create it, or correct the path of this source in the configuration."
            )
        try:
            with os.scandir(root):
                pass
        except OSError as error:
            raise SourceError(
                f"Source '{self.name}': the folder {printable(self.root)} cannot be listed "
                f"({error.strerror}). Give the user that runs Parley the right to read it."
            ) from error
        yield from self._walk(root, root, "", {root})

    def _walk(self, root: Path, folder: Path, prefix: str, seen: set[Path]) -> Iterator[SourceFile]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            return  # a folder below the root that may not be read is left out like a hidden one
        for entry in entries:
            path = f"{prefix}{entry.name}"
            if entry.name.startswith("."):
                continue
            try:
                real = Path(entry.path)
                if entry.is_symlink():
                    real = real.resolve(strict=True)
                    if not real.is_relative_to(root) or not _is_hidden(real.relative_to(root)):
                        continue
                if entry.is_dir():
                    if real not in seen:
                        seen.add(real)
                        yield from self._walk(root, real, f"{path}/", seen)
                elif entry.is_file() and self._patterns.want(PurePosixPath(path), types=KNOWN_TYPES):
                    shown = printable(path)
                    yield SourceFile(path=shown, uri=printable(root / path), local=Path(entry.path))
            except (OSError, RuntimeError):
                continue  # a dangling or circular link

    @property
    def _patterns(self) -> Patterns:
        return Patterns(self.include, self.exclude)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def printable(path: Path | str) -> str:
    r"""File names that are not UTF-8 keep their odd bytes as `\xff`, so that they can be stored and shown."""
    name = path if isinstance(path, str) else path.as_posix()
    return os.fsencode(name).decode("utf-8", "backslashreplace")
