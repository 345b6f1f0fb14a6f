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
from knowledge.sources.protocol import SourceFile

KNOWN_TYPES = frozenset({
    ".md", ".markdown", ".txt", ".rst", ".html", ".htm", ".pdf", ".docx", ".pptx", ".xlsx", ".csv", ".ipynb",
})  # fmt: skip


@dataclass(frozen=True)
class FolderSource:
    """Files below `root` that match `include` and not `exclude` (globs on the path within the root).

    A glob without a slash is compared with the file's name (`*.md`), one with a slash with the whole path
    (`drafts/**`, `**/internal/*.md`). An empty `include` means every type that can be loaded.
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
                f"Source '{self.name}': the folder {_printable(self.root)} does not exist or is no folder. "
                f"Create it, or correct the path of this source in the configuration."
            )
        try:
            with os.scandir(root):
                pass
        except OSError as error:
            raise SourceError(
                f"Source '{self.name}': the folder {_printable(self.root)} cannot be listed "
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
                elif entry.is_file() and self._wanted(PurePosixPath(path)):
                    shown = _printable(path)
                    yield SourceFile(path=shown, uri=_printable(root / path), local=Path(entry.path))
            except (OSError, RuntimeError):
                continue  # a dangling or circular link

    def _wanted(self, path: PurePosixPath) -> bool:
        if self.include:
            included = any(_matches(path, pattern) for pattern in self.include)
        else:
            included = path.suffix.lower() in KNOWN_TYPES
        return included and not any(_matches(path, pattern) for pattern in self.exclude)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _matches(path: PurePosixPath, pattern: str) -> bool:
    """`**` spans any number of folders, which it does not in PurePath.match before Python 3.13."""
    if "/" not in pattern:
        return path.match(pattern)
    return _match_parts(path.parts, tuple(part for part in pattern.split("/") if part))


def _match_parts(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return _match_parts(parts, patterns[1:]) or (bool(parts) and _match_parts(parts[1:], patterns))
    return (
        bool(parts) and PurePosixPath(parts[0]).match(patterns[0]) and _match_parts(parts[1:], patterns[1:])
    )


def _printable(path: Path | str) -> str:
    r"""File names that are not UTF-8 keep their odd bytes as `\xff`, so that they can be stored and shown."""
    name = path if isinstance(path, str) else path.as_posix()
    return os.fsencode(name).decode("utf-8", "backslashreplace")
