"""Where sources that fetch keep what they have fetched: `<data folder>/sources/<name>/<place>`.

Whatever is there can be deleted while Parley is stopped; it is fetched again.
"""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from knowledge.errors import SourceError

LONGEST_WAIT = 600.0
"""Seconds to wait for another process that is fetching the same source."""


@contextmanager
def fetching(
    data_dir: Path, *, source: str, place: str, longest_wait: float = LONGEST_WAIT
) -> Iterator[Path]:
    """The folder of a source, for nobody else until the block ends.

    Each `place` has a folder of its own, so that one never shows what was fetched from another; those of earlier places
    are deleted when the block ends well. Raises SourceError.
    """
    home = data_dir.absolute() / "sources" / source  # programs that are run may work elsewhere
    folder = home / hashlib.sha256(place.encode()).hexdigest()[:12]
    lock = FileLock(home.with_name(f"{source}.lock"), timeout=longest_wait)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire()
    except Timeout as error:
        raise SourceError(
            f"Source '{source}': another process is fetching it already; wait for it, then try again."
        ) from error
    except OSError as error:
        raise SourceError(
            f"Source '{source}': {error.filename or folder} cannot be written ({error.strerror}); give the user that "
            "runs Parley the right to write to the data folder, or free some space."
        ) from error
    try:
        yield folder
        for earlier in home.iterdir():
            if earlier != folder:
                shutil.rmtree(earlier, ignore_errors=True)
    except OSError as error:
        raise SourceError(
            f"Source '{source}': {error.filename or folder} cannot be written ({error.strerror}); give the user that "
            "runs Parley the right to write to the data folder, or free some space."
        ) from error
    finally:
        lock.release()
