"""The one database: SQLite in the data directory by default, PostgreSQL by URL.

SQLite runs in WAL mode with foreign keys on and `synchronous = NORMAL`: a crash of the process loses nothing,
a power failure may lose the last transactions, never the database. Transactions are begun by this module, not
by the driver, so that changes of the schema are transactional too. One that reads before it writes should ask
for the write lock at once, `engine.execution_options(sqlite_begin="IMMEDIATE")`, or it may fail as locked;
PostgreSQL ignores the option.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from bot import migrations
from bot.errors import DatabaseError

BUSY_SECONDS = 30
"""How long a statement waits for another process's write lock, and for another process's migration."""

_ADVISORY_LOCK = 7_172_951
"""Any number that Parley alone uses; processes that migrate a PostgreSQL database meet on it."""


def open_database(url: SecretStr | str) -> sa.Engine:
    """An engine for the URL; a SQLite file is created, readable by its owner only, with its folder.

    Raises:
        DatabaseError: the URL is not understood, its driver is not installed, or the file is not usable.
    """
    try:
        parsed = sa.make_url(url.get_secret_value() if isinstance(url, SecretStr) else url)
        if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
            raise DatabaseError("The database URL must begin with sqlite:/// or postgresql+psycopg://.")
        if parsed.get_backend_name() == "postgresql":
            return sa.create_engine(parsed, pool_pre_ping=True)
    except sa.exc.ArgumentError as error:
        raise DatabaseError("The database URL is not understood; check `database_url`.") from error
    except ModuleNotFoundError as error:
        raise DatabaseError("PostgreSQL needs its driver: pip install 'parley-bot[postgres]'.") from error
    return _open_sqlite(parsed)


def migrate(engine: sa.Engine) -> None:
    """Bring the database to the schema of this version; does nothing, quickly, when it is there already.

    Two processes may start at once: the second waits and finds the work done. A migration that fails
    leaves the database as it was.

    Raises:
        DatabaseError: the database is newer than this version, damaged, read-only or out of reach.
    """
    with _translated(engine):
        with engine.connect() as connection:
            if _revision(connection) == migrations.HEAD:
                return
        with _exclusive(engine) as connection:
            if _revision(connection) != migrations.HEAD:
                migrations.upgrade(connection)


@contextmanager
def transaction(engine: sa.Engine, *, reads_first: bool = False) -> Iterator[sa.Connection]:
    """A transaction of a store: committed at the end, rolled back after an error.

    `reads_first`: it writes what depends on what it read, so it asks for SQLite's write lock at once. On
    PostgreSQL its queries lock what they read, by `with_for_update`.

    Raises:
        DatabaseError: the database is locked, full, damaged or out of reach.
    """
    if reads_first:
        engine = engine.execution_options(sqlite_begin="IMMEDIATE")
    with _translated(engine), engine.begin() as connection:
        yield connection


def _open_sqlite(url: sa.URL) -> sa.Engine:
    in_memory = url.database in {None, "", ":memory:"}
    engine = sa.create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        poolclass=sa.StaticPool if in_memory else sa.QueuePool,
    )
    sa.event.listen(engine, "connect", _prepare_connection)
    sa.event.listen(engine, "begin", _begin)
    try:
        with _translated(engine):
            if not in_memory:
                _create_private(Path(str(url.database)))
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
    except DatabaseError:
        engine.dispose()
        raise
    return engine


def _create_private(file: Path) -> None:
    """Make the file and its folder, unless they are there."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives the same permissions to the files that it keeps beside this one.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing; `_begin` does
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # Unlike elsewhere, SQLite does not wait when two processes make this change at once.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin(connection: sa.Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    if mode not in {"DEFERRED", "IMMEDIATE"}:
        raise ValueError(f"sqlite_begin is {mode!r}; it can be DEFERRED or IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {mode}")


@contextmanager
def _exclusive(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction for the schema that no other process holds at the same time."""
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            yield connection
        return
    with engine.execution_options(sqlite_begin="IMMEDIATE").connect() as connection:
        driver: Any = connection.connection.driver_connection
        # Altering a table means copying and dropping it, and dropping would delete what refers to it.
        driver.execute("PRAGMA foreign_keys = OFF")
        try:
            with connection.begin():
                yield connection
                if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise DatabaseError("The migration would break references; nothing was changed.")
        finally:
            driver.execute("PRAGMA foreign_keys = ON")


def _revision(connection: sa.Connection) -> str | None:
    """The schema's revision in the database, or None before the first migration."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return revision


@contextmanager
def _translated(engine: sa.Engine) -> Iterator[None]:
    """Turn the errors of the file system, the driver and SQLAlchemy into a sentence with its fix."""
    where = (
        engine.url.database
        if engine.dialect.name == "sqlite"
        else engine.url.render_as_string(hide_password=True)
    )
    try:
        yield
    except OSError as error:
        raise DatabaseError(
            f"The database {where} cannot be created ({error.strerror}); check `data_dir`."
        ) from error
    except sa.exc.TimeoutError as error:
        raise DatabaseError(
            f"The database {where} has more to do than it can; try again in a moment."
        ) from error
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        raise DatabaseError(f"The database {where} {_trouble(error)}") from error


def _trouble(error: Exception) -> str:
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    if not isinstance(code, int):
        if not isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
            return f"cannot be used ({type(cause).__name__}); run `parley doctor`."
        return "cannot be reached; check that the server runs, and PARLEY_DATABASE_URL."
    # The low byte is the kind of error; the others say where it happened.
    return _TROUBLES.get(code & 0xFF, f"cannot be used ({cause}); run `parley doctor`.")


_NOT_WRITABLE = "cannot be written; check the permissions of the file and its folder."
_LOCKED = f"was locked by another process for {BUSY_SECONDS} seconds; stop that process and start again."
_DISK = "cannot be written because its disk is full or failing; free some space."
_TROUBLES = {
    sqlite3.SQLITE_NOTADB: "is not a SQLite database; move it away, or point `database_url` elsewhere.",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore a backup, or move it away to begin with an empty one.",
    sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    sqlite3.SQLITE_CANTOPEN: _NOT_WRITABLE,
    sqlite3.SQLITE_PERM: _NOT_WRITABLE,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_FULL: _DISK,
    sqlite3.SQLITE_IOERR: _DISK,
}
