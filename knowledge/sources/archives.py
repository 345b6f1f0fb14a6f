"""Archives among the files of any source, unpacked: each file in them is a file of the source.

They are unpacked in a worker process, below the data folder, when their content is new (`knowledge.sources.unpacking`,
which has the limits). Whatever is there can be deleted while Parley is stopped. An archive that is bad as a whole is a
file with a problem, and is tried again after a day, not every few minutes.
"""

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, replace
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from knowledge.formats import KNOWN_TYPES
from knowledge.sources.folder import ARCHIVE_TYPES
from knowledge.sources.opening import UnreadableError, cannot_be_read, opened, signature
from knowledge.sources.patterns import has_type
from knowledge.sources.protocol import Source, SourceFile
from knowledge.sources.unpacking import MOST_BYTES, ArchiveError, Member, Wanted, unpack
from knowledge.workers import WorkerDiedError, WorkerError, Workers, WorkerTimeoutError

_VERSION = 1
"""Raise it when the same archive gives other files."""
_LISTING = "files.json"
_LONGEST = 600.0
"""Seconds; the largest that are allowed take about one."""
_KEPT = 24 * 3600.0
"""Seconds that a problem is remembered."""
_GRACE = 3600.0
"""Seconds that what an archive held before may still be read by somebody."""
_FRESH = "new-"
"""With this begin the names of places that are being filled."""
_FOLDER = re.compile(r"[0-9a-f]{16}")
"""How the folders of sources are called."""


class Unpacked:
    """Satisfies `Source`: another one, with the files in its archives where the archives were."""

    def __init__(self, source: Source, folder: Path, *, max_bytes: int) -> None:
        """`folder` is for nobody else; no file that is larger than `max_bytes` is unpacked."""
        self.name = source.name
        self.visible_to = source.visible_to
        self._source = source
        self._folder = folder / _short(source.name)
        # Patterns are no part of a source, but those that have some mean the files in archives as well.
        exclude: Sequence[str] = getattr(source, "exclude", ())
        self._wanted = Wanted(KNOWN_TYPES, ARCHIVE_TYPES, tuple(exclude), max_bytes)

    def files(self) -> Iterator[SourceFile]:
        """See `Source.files`; unpacks what is new."""
        used: set[str] = set()
        with Workers(errors=(ArchiveError, UnreadableError)) as workers:
            for file in self._source.files():
                if file.problem or not has_type(PurePosixPath(file.path), ARCHIVE_TYPES):
                    yield file
                else:
                    yield from self._within(file, workers, used)
        self._clear(used)

    def _within(self, archive: SourceFile, workers: Workers, used: set[str]) -> Iterator[SourceFile]:
        try:
            place, expected = self._place(archive)
            used.add(place.name)
            members = _remembered(place)
            if members is None:
                members = self._unpack(archive, expected, place, workers)
        except UnreadableError as error:
            yield replace(archive, problem=str(error))
            return
        for member in members:
            yield _listed(archive, member, place)

    def _place(self, archive: SourceFile) -> tuple[Path, tuple[int, int, int, int]]:
        """Where the files of the archive are, or should be, and its `signature`."""
        with opened(archive, max_bytes=MOST_BYTES, kind="archive") as found:
            if not found.status.st_size:
                raise UnreadableError("the archive is empty (0 bytes); fill or exclude it")
            digest = hashlib.file_digest(found.stream, "sha256")
            if not found.is_unchanged():
                raise UnreadableError("the archive changes while it is read; it is tried again the next time")
        wanted = self._wanted
        settings = [_VERSION, archive.path, sorted(wanted.types), sorted(wanted.archives)]
        digest.update(json.dumps([*settings, wanted.exclude, wanted.file_bytes]).encode())
        return self._folder / f"{_short(archive.path)}-{digest.hexdigest()[:32]}", signature(found.status)

    def _unpack(
        self, archive: SourceFile, expected: tuple[int, int, int, int], place: Path, workers: Workers
    ) -> list[Member]:
        """Fill the place; nobody sees it half full. Raises UnreadableError for what may go well the next time."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = Path(tempfile.mkdtemp(prefix=_FRESH, dir=self._folder))
        except OSError as error:
            raise UnreadableError(_no_room(error)) from error
        try:
            try:
                members = workers.run(unpack, archive, expected, fresh, self._wanted, timeout_s=_LONGEST)
            except (ArchiveError, WorkerError, MemoryError) as error:
                members = [Member("", problem=_sentence(error))]
                for file in fresh.iterdir():
                    file.unlink()
            (fresh / _LISTING).write_text(json.dumps([astuple(member) for member in members]))
            shutil.rmtree(place, ignore_errors=True)
            fresh.rename(place)
        except OSError as error:
            if _remembered(place) is None:  # else another process was faster
                raise UnreadableError(_no_room(error)) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return members

    def _clear(self, used: set[str]) -> None:
        """Remove what belongs to archives that are gone or have changed, and what was left half done.

        Of each archive the place that was used last stays for a while; the others go at once, as one that changes all
        the time would fill the disk.
        """
        with suppress(OSError):
            unused = [
                (place.stat().st_mtime, place) for place in self._folder.iterdir() if place.name not in used
            ]
            given_grace: set[str] = set()
            for used_at, place in sorted(unused, reverse=True):
                archive = place.name if place.name.startswith(_FRESH) else place.name.partition("-")[0]
                if archive in given_grace or time.time() - used_at > _GRACE:
                    shutil.rmtree(place, ignore_errors=True)
                given_grace.add(archive)


def forget_others(folder: Path, names: Iterable[str]) -> None:
    """Remove what was unpacked for sources of other names, which are not configured any more; nothing else."""
    kept = {_short(name) for name in names}
    with suppress(OSError):
        for place in folder.iterdir():
            if place.name not in kept and _FOLDER.fullmatch(place.name):
                shutil.rmtree(place, ignore_errors=True)


def _short(name: str) -> str:
    """A name for a folder, of the name of a source or the path of an archive."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _remembered(place: Path) -> list[Member] | None:
    """What was unpacked there; None when there is nothing, or it has to be done again."""
    listing = place / _LISTING
    try:
        members = [Member(*row) for row in json.loads(listing.read_text())]
        age = time.time() - listing.stat().st_mtime
        there = {file.name for file in place.iterdir()}
        place.touch()
    except (OSError, ValueError, TypeError):
        return None
    is_whole = all(member.stored in there for member in members if member.stored)
    is_good = all(member.path for member in members)
    return members if is_whole and (is_good or age < _KEPT) else None


def _listed(archive: SourceFile, member: Member, place: Path) -> SourceFile:
    if not member.path:
        return replace(archive, problem=member.problem)
    path = f"{archive.path}/{member.path}"
    # A browser that is sent to a place in an archive shows the archive.
    uri = f"{archive.uri}{'#' if '://' in archive.uri else '/'}{_quoted(archive, member)}"
    return SourceFile(path, uri, place / member.stored, archive.metadata, member.problem)


def _quoted(archive: SourceFile, member: Member) -> str:
    return quote(member.path) if "://" in archive.uri else member.path


def _sentence(error: Exception) -> str:
    match error:
        case ArchiveError():
            return str(error)
        case WorkerTimeoutError():
            return f"it could not be unpacked within {_LONGEST:g} s; split or exclude it"
        case MemoryError():
            return "unpacking it takes too much memory; unpack or exclude it"
        case WorkerDiedError():
            return "unpacking it crashed; replace or exclude it"
        case _:
            return f"it is no archive that can be read ({error}); replace or exclude it"


def _no_room(error: OSError) -> str:
    return cannot_be_read(error, what="it cannot be unpacked into the data folder")
