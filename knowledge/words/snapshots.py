"""Indexes of words on disk: for each source a folder, and in it a folder for each set of keys, named after it.

None of these is ever changed. A new one is made beside the others, out of the last one where little has changed (its
files are linked, not copied), and gets its name when it is whole; a crash leaves a folder without a name, which is
swept up. So any number of processes may work here without waiting for each other: at worst two make the same index, and
one is thrown away. Which index is the right one, the caller's keys say; what is here can be old, but not wrong.

Files that were damaged are found by their checksums when an index is opened. What cannot be opened is deleted.
"""

import json
import logging
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from knowledge.documents import Chunk
from knowledge.words.source import SourceWords, build, fingerprint, new_index, open_index, recipe

log = logging.getLogger(__name__)

Load = Callable[[AbstractSet[str]], Iterable[tuple[str, Chunk]]]
"""The passages of a source for these keys, one for each; raises when some are not there any more."""

_LABEL = "parley.json"
_KEPT = 2
"""Of each source: the one in use, and the one before, to which a rollback returns."""
_ABANDONED = 3600.0
"""Seconds after which an unfinished folder is taken for one that a crash has left."""


@dataclass(frozen=True, slots=True)
class _Label:
    """Written last into a folder."""

    recipe: str
    keys: frozenset[str]
    written: int
    """Passages written since the index was begun; those that are gone since still take up room."""
    checksums: Mapping[str, int]


class Snapshots:
    """The indexes of all sources, below one folder."""

    def __init__(self, folder: Path, *, language: str) -> None:
        """`language` is that of passages whose language is not known. Nothing is opened or made."""
        self._folder = folder
        self._language = language

    def open(self, source: str, keys: AbstractSet[str], load: Load) -> SourceWords:
        """The index of a source's `keys`, made when it is not there; seconds for a large source that is new.

        Raises OSError when the folder cannot be written.
        """
        home = self._folder / sha256(source.encode()).hexdigest()[:16]
        final = home / fingerprint(keys, language=self._language)
        if final.exists() and (found := _opened(final)) is not None:
            _touch(final)
            return found
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f".{uuid.uuid4().hex}"
        try:
            self._make(draft, home, keys, load)
            try:
                draft.rename(final)
            except OSError:
                if not final.exists():
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        _sweep(home)
        found = _opened(final)
        if found is None:
            raise OSError(f"{final} cannot be read back")
        return found

    def discard(self, source: str) -> None:
        """Delete a source's indexes: one of them has turned out to be damaged."""
        shutil.rmtree(self._folder / sha256(source.encode()).hexdigest()[:16], ignore_errors=True)

    def keep_only(self, sources: AbstractSet[str]) -> None:
        """Delete the indexes of other sources."""
        names = {sha256(source.encode()).hexdigest()[:16] for source in sources}
        for home in _folders(self._folder):
            if home.name not in names:
                shutil.rmtree(home, ignore_errors=True)

    def _make(self, draft: Path, home: Path, keys: AbstractSet[str], load: Load) -> None:
        for base in sorted(_finished(home), key=_age):
            label = _label(base)
            if label and self._pays(label, keys) and label.checksums == _checksums(base):
                try:
                    self._extend(draft, base, label, keys, load)
                except (OSError, ValueError) as error:  # another process has deleted it meanwhile
                    log.info("the index of words %s could not be continued: %s", base, error)
                    shutil.rmtree(draft, ignore_errors=True)
                else:
                    return
        draft.mkdir()
        build(new_index(draft), load(keys), language=self._language)
        self._write_label(draft, keys, written=len(keys))

    def _extend(self, draft: Path, base: Path, label: _Label, keys: AbstractSet[str], load: Load) -> None:
        draft.mkdir()
        for name in label.checksums:
            _link(base / name, draft / name)
        new = keys - label.keys
        build(open_index(draft), load(new), gone=label.keys - keys, language=self._language)
        self._write_label(draft, keys, written=label.written + len(new))

    def _pays(self, label: _Label, keys: AbstractSet[str]) -> bool:
        """Whether changing a copy is less work than making the index anew, and leaves it in good shape."""
        added = len(keys - label.keys)
        return (
            label.recipe == recipe(self._language)
            and 2 * added <= len(keys)
            and label.written + added <= 2 * len(keys)
        )

    def _write_label(self, folder: Path, keys: AbstractSet[str], *, written: int) -> None:
        label = {
            "recipe": recipe(self._language),
            "written": written,
            "checksums": _checksums(folder),
            "keys": sorted(keys),
        }
        (folder / _LABEL).write_text(json.dumps(label))


def _opened(folder: Path) -> SourceWords | None:
    label = _label(folder)
    reason = "files are missing or damaged"
    try:
        if label is not None and label.checksums == _checksums(folder):
            found = SourceWords(open_index(folder), has_deleted=label.written > len(label.keys))
            if found.count == len(label.keys):
                return found
    except (OSError, ValueError) as error:
        reason = str(error)
    log.warning("the index of words %s is made anew: %s", folder, reason)
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _label(folder: Path) -> _Label | None:
    try:
        found = json.loads((folder / _LABEL).read_text())
        return _Label(
            str(found["recipe"]), frozenset(found["keys"]), int(found["written"]), dict(found["checksums"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _checksums(folder: Path) -> dict[str, int]:
    """CRC-32 of each of the index's files; of a gigabyte in half a second."""
    return {
        path.name: zlib.crc32(path.read_bytes())
        for path in sorted(folder.iterdir())
        if path.name != _LABEL and not path.name.endswith(".lock")
    }


def _link(old: Path, new: Path) -> None:
    """Tantivy writes a file once and replaces it by another, so that both folders may have it."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)


def _sweep(home: Path) -> None:
    """Delete old indexes, and what crashes have left; a process that has one of them open keeps its files."""
    for folder in sorted(_finished(home), key=_age)[_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
    for folder in _folders(home):
        if folder.name.startswith(".") and _age(folder) > _ABANDONED:
            shutil.rmtree(folder, ignore_errors=True)


def _finished(home: Path) -> list[Path]:
    return [folder for folder in _folders(home) if not folder.name.startswith(".")]


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []


def _age(folder: Path) -> float:
    """Seconds since it was last opened or made."""
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:
        return float("inf")


def _touch(folder: Path) -> None:
    try:
        os.utime(folder)
    except OSError:
        log.debug("%s cannot be marked as used", folder)
