"""The SQLite file in which the messages of channels are kept. What is deleted is overwritten in it."""

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS places (
    channel TEXT, id TEXT, is_thread INTEGER, is_listed INTEGER, begins REAL, newest REAL,
    mark TEXT, seen TEXT, title TEXT, read_at REAL, PRIMARY KEY (channel, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    channel TEXT, place TEXT, id TEXT, at REAL, author_id TEXT, by_bot INTEGER, body TEXT,
    PRIMARY KEY (channel, place, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS messages_at ON messages (channel, place, at);
CREATE TABLE IF NOT EXISTS changed (channel TEXT, part TEXT, PRIMARY KEY (channel, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (
    channel TEXT, part TEXT, path TEXT, uri TEXT, author TEXT, date TEXT, PRIMARY KEY (channel, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """The file, made if need be; one that cannot be read, or is of another version, is begun anew.

    Raises OSError, also in the block, when there is no room, or no right.
    """
    try:
        try:
            connection = _open(file)
        except sqlite3.OperationalError:  # not the file's fault
            raise
        except sqlite3.DatabaseError as error:
            log.warning("%s is begun anew: %s", file, error)
            for part in file.parent.glob(f"{file.name}*"):
                part.unlink()
            connection = _open(file)
        with closing(connection):
            yield connection
    except sqlite3.OperationalError as error:
        raise OSError(errno.EIO, str(error), os.fspath(file)) from error


def _check(version: int) -> None:
    if version not in {0, _VERSION}:
        raise sqlite3.DatabaseError(f"it is of version {version}")


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file)
    try:
        connection.execute("PRAGMA secure_delete = ON")
        # Without a wait for the disk at each place: what a crash of the machine loses is read again.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        _check(version)
        connection.executescript(f"{_TABLES} PRAGMA user_version = {_VERSION};")
    except BaseException:
        connection.close()
        raise
    return connection
