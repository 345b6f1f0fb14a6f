"""One process among those that share a database does what only one may do; another takes over when it is gone.

The leader holds a lock that ends with its process, however that ends: on PostgreSQL an advisory lock of a session, on a
connection of its own; on SQLite a lock on a file beside the database. A leader whose connection breaks is none any
more; it finds out within `every` and `UNANSWERED` seconds together. Until then two processes may take themselves for
the leader, so what must not happen twice has to be claimed in the database as well.

A connection pooler that gives a session another connection with each transaction cannot hold such a lock; then nobody
stays the leader, and the log says so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn, Protocol

import filelock
import sqlalchemy as sa

from bot.errors import ParleyError

log = logging.getLogger(__name__)

UNANSWERED = 15.0
"""Seconds after which a server that does not answer has lost its leader."""

_ADVISORY_LOCK = 7_172_952
"""Any number that Parley alone uses, and for nothing else."""
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""Seconds, and a count: after 25 s each end of the connection notices that the other has vanished."""


class Seat(Protocol):
    """What the leader holds. The methods block, and are called by one thread at a time."""

    def take(self) -> bool:
        """Whether this process has it now; False: another one does. Raises `OSError` or `sa.exc.SQLAlchemyError`."""

    def holds(self) -> bool:
        """Whether this process has it still."""

    def leave(self) -> None:
        """Let another one have it."""


def seat(engine: sa.Engine) -> Seat:
    """The seat of those who use this database."""
    if engine.dialect.name == "postgresql":
        return _SessionSeat(engine.url)
    file = engine.url.database
    return _OnlySeat() if file in {None, "", ":memory:"} else _FileSeat(Path(f"{file}.leader.lock"))


async def lead(seat: Seat, work: Callable[[], Awaitable[None]], *, every: float = 5.0) -> NoReturn:
    """Do `work` while this process is the leader; look every so many seconds whether it is. Ends when cancelled.

    `work` goes on until it is cancelled. It has ended, cleaning up included, before the seat is left. When it fails,
    the failure is logged, and whoever is the next leader begins it anew.
    """
    loop = asyncio.get_running_loop()
    calls = ThreadPoolExecutor(1, thread_name_prefix="leader")  # one call after another, whoever is cancelled
    said = ""
    try:
        while True:
            try:
                if await loop.run_in_executor(calls, seat.take):
                    await _work(seat, work, every, calls)
            except (OSError, sa.exc.SQLAlchemyError, ParleyError) as error:
                if said != (said := str(error)):
                    log.warning("no jobs are run, until this is mended: %s", error)
            except Exception:
                log.exception("the jobs stopped at a fault, and are begun anew")
            await asyncio.sleep(every)
    finally:
        await loop.run_in_executor(calls, seat.leave)
        calls.shutdown(wait=False)


async def _work(
    seat: Seat, work: Callable[[], Awaitable[None]], every: float, calls: ThreadPoolExecutor
) -> None:
    loop = asyncio.get_running_loop()
    log.info("this process runs the jobs now")
    working: asyncio.Future[Any] = asyncio.ensure_future(work())
    try:
        while not (await asyncio.wait([working], timeout=every))[0]:
            held: asyncio.Future[Any] = loop.run_in_executor(calls, seat.holds)
            done, _ = await asyncio.wait(
                [held, working], timeout=UNANSWERED, return_when=asyncio.FIRST_COMPLETED
            )
            if working not in done and not (held in done and held.result()):
                log.warning("this process lost the lock on the database, so it runs no jobs any more")
                return
        working.result()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await loop.run_in_executor(calls, seat.leave)


class _OnlySeat:
    """A database in memory has no other process."""

    def take(self) -> bool:
        return True

    def holds(self) -> bool:
        return True

    def leave(self) -> None:
        pass


class _FileSeat:
    def __init__(self, file: Path) -> None:
        # Threads take turns here, so the lock must not belong to one of them.
        self._lock = filelock.FileLock(file, blocking=False, thread_local=False, mode=0o600)

    def take(self) -> bool:
        try:
            self._lock.acquire()
        except filelock.Timeout:
            return False
        return True

    def holds(self) -> bool:
        return self._lock.is_locked

    def leave(self) -> None:
        self._lock.release(force=True)


class _SessionSeat:
    def __init__(self, url: sa.URL) -> None:
        options = {"connect_timeout": 10, "tcp_user_timeout": 25_000, **_KEEPALIVE}
        if not url.get_driver_name().startswith("psycopg"):  # others have other names for them
            options = {}
        self._engine = sa.create_engine(
            url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT", connect_args=options
        )
        self._connection: sa.Connection | None = None

    def take(self) -> bool:
        self.leave()
        self._connection = self._engine.connect()
        for name, value in _KEEPALIVE.items():
            self._connection.exec_driver_sql(f"SET tcp_{name} = {value}")
        taken = self._connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_ADVISORY_LOCK)))
        if not taken:
            self.leave()
        return bool(taken)

    def holds(self) -> bool:
        if self._connection is None:
            return False
        query = sa.text(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND classid = 0 AND objid = :key AND objsubid = 1"
        )
        try:
            return bool(self._connection.scalar(query, {"key": _ADVISORY_LOCK}))
        except sa.exc.SQLAlchemyError:
            return False

    def leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # closes it, and with it goes the lock, whatever state it is in
            connection.close()
