"""Which files of a source are wanted: globs on the path within the source."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from knowledge.formats import is_generated

_OF_PROGRAMS = frozenset({"node_modules", "__pycache__"})
"""Folders that programs fill with what others have written, or with what nobody reads."""


@dataclass(frozen=True, slots=True)
class Patterns:
    """A glob without a slash is compared with the file's name (`*.md`), one with a slash with the whole path
    (`drafts/**`, `**/internal/*.md`). In `exclude`, one without a slash, or with one at its end alone, is compared with
    the names of the folders above as well (`drafts`, `drafts/`).
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def want(self, path: PurePosixPath, *, types: AbstractSet[str] | None = None) -> bool:
        """Whether the file is a document of the source.

        An empty `include` stands for files with one of the suffixes `types` that people read, or for all files when
        there are no types.
        """
        if self.include:
            included = any(matches(path, pattern) for pattern in self.include)
        else:
            included = types is None or (
                has_type(path, types) and not is_generated(path.name) and _OF_PROGRAMS.isdisjoint(path.parts)
            )
        return included and not self.leave_out(path)

    def leave_out(self, path: PurePosixPath) -> bool:
        """Whether `exclude` names it, or a folder in which it is."""
        return any(
            matches(path, pattern) or any(_names(part, pattern) for part in path.parts)
            for pattern in self.exclude
        )

    def pass_over(self, folder: PurePosixPath) -> bool:
        """Whether there is no need to look into the folder: nothing in it can be wanted where types are asked for."""
        return (not self.include and folder.name in _OF_PROGRAMS) or any(
            _names(part, pattern) for pattern in self.exclude for part in folder.parts
        )


def matches(path: PurePosixPath, pattern: str) -> bool:
    """`**` spans any number of folders, which it does not in PurePath.match before Python 3.13."""
    if "/" not in pattern:
        return fnmatchcase(path.name, pattern)
    return _match_parts(path.parts, tuple(part for part in pattern.split("/") if part))


def _names(part: str, pattern: str) -> bool:
    """Whether a pattern for names names this part of a path."""
    name = pattern.rstrip("/")
    return "/" not in name and fnmatchcase(part, name)


def has_type(path: PurePosixPath, types: AbstractSet[str]) -> bool:
    """Whether the name ends in one of these suffixes, which are lower case and may have two parts, as '.tar.gz'."""
    return path.suffix.lower() in types or "".join(path.suffixes[-2:]).lower() in types


def _match_parts(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return _match_parts(parts, patterns[1:]) or (bool(parts) and _match_parts(parts[1:], patterns))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _match_parts(parts[1:], patterns[1:])
