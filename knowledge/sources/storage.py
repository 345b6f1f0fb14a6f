"""Where sources that fetch keep what they have fetched: `<data folder>/sources/<name>/<place>`.

Whatever is there can be deleted while Parley is stopped; it is fetched again.
"""

import hashlib
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from knowledge.errors import SourceError

LONGEST_WAIT = 600.0
"""Seconds to wait for another process that is fetching the same source."""
_PLACE = re.compile(r"[0-9a-f]{12}")
"""How the folders of places are called."""


@contextmanager
def fetching(
    data_dir: Path, *, source: str, place: str, longest_wait: float = LONGEST_WAIT
) -> Iterator[Path]:
    """The folder of a source, for nobody else until the block ends.

    Each `place` has a folder of its own, so that one never shows what was fetched from another; those of earlier places
    are deleted when the block ends well. Raises SourceError, also for an OSError in the block.
    """
    home = data_dir.absolute() / "sources" / source  # programs that are run may work elsewhere
    folder = home / hashlib.sha256(place.encode()).hexdigest()[:12]
    lock = _lock_of(home, timeout=longest_wait)
    try:
        home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with lock:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            yield folder
            for earlier in home.iterdir():
                if earlier != folder:
                    shutil.rmtree(earlier, ignore_errors=True)
    except Timeout as error:
        raise SourceError(
            f"Source '{source}': another process is fetching it already; wait for it, then try again."
        ) from error
    except OSError as error:
        raise SourceError(
            f"Source '{source}': {error.filename or folder} cannot be written ({error.strerror}); give the user that "
            "runs Parley the right to write to the data folder, or free some space."
        ) from error


def forget_fetched(data_dir: Path, names: Collection[str]) -> None:
    """Remove what was fetched for sources of other names, which are not configured any more.

    One that another process is fetching is left for the next time, and so is what cannot be removed now. Only what
    `fetching` has made goes: the data folder may be one that holds other things as well.
    """
    with suppress(OSError):
        for lock_file in (data_dir.absolute() / "sources").glob("*.lock"):
            home = lock_file.with_suffix("")
            if home.name not in names and home.is_dir():
                with suppress(Timeout, OSError), _lock_of(home, timeout=0):
                    for place in home.iterdir():
                        if _PLACE.fullmatch(place.name):
                            shutil.rmtree(place, ignore_errors=True)
                    home.rmdir()


def _lock_of(home: Path, *, timeout: float) -> FileLock:
    """What whoever works in the folder of a source holds; the file stays, as others may be waiting for it."""
    return FileLock(home.with_name(f"{home.name}.lock"), timeout=timeout)
