"""A PostgreSQL server for the tests: one that they start for themselves, or the one that PARLEY_TEST_POSTGRES names.

That variable holds the URL of a database that is empty and may be emptied. Without it, a server is started when its
programs are installed (Debian's package `postgresql`): in a folder of its own, reached by a socket in there, and gone
with the tests, however they end. Without either, what needs PostgreSQL is skipped.

    from tests.postgres import database_url, postgres_url
"""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

__all__ = ["database_url", "postgres_url"]

LACKING = "PostgreSQL is not installed, and PARLEY_TEST_POSTGRES is not set"

# The shell outlives whoever started it, sees its input end, and clears up.
_SERVER = """
trap '' PIPE
umask 077
initdb --pgdata "$1/data" --username parley --auth trust --no-sync --encoding UTF8 --locale C >"$1/log" 2>&1 || exit 1
postgres -D "$1/data" -k "$1" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c synchronous_commit=off >>"$1/log" 2>&1 </dev/null &
until pg_isready --quiet --host "$1"; do kill -0 $! || exit 1; sleep 0.05; done
echo ready
cat >/dev/null
kill -INT $!
wait $!
rm -rf "$1"
"""


@pytest.fixture(scope="session")
def postgres_url() -> str | None:
    """The URL of a database that tests may do anything to, or None."""
    return os.environ.get("PARLEY_TEST_POSTGRES") or _start()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'parley.db'}"
    url: str | None = request.getfixturevalue("postgres_url")
    if url is None:
        pytest.skip(LACKING)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid != "
    with engine.begin() as connection:
        connection.exec_driver_sql(f"{others}pg_backend_pid()")  # left by a process that was killed
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    return url


@functools.cache  # the fixture is one for each folder that imports it
def _start() -> str | None:
    programs, owner = _programs(), _owner()
    if programs is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="parley-postgres-"))
    if owner is not None:
        shutil.chown(folder, *owner)
    server = subprocess.Popen(
        ["/bin/sh", "-c", _SERVER, "server", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"},
        cwd="/",
        user=owner and owner[0],
        group=owner and owner[1],
        extra_groups=owner and [],
        start_new_session=True,  # Ctrl-C is for the tests
    )
    atexit.register(server.communicate)  # closes its input
    assert server.stdout is not None
    if server.stdout.readline() != b"ready\n":
        pytest.fail(f"PostgreSQL does not start, see {folder}/log")
    return f"postgresql+psycopg://parley@/postgres?host={folder}"


def _programs() -> Path | None:
    """The folder of the server's programs; Debian keeps them out of the way of PATH."""
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    found = shutil.which("initdb", path=os.pathsep.join(map(str, sorted(versions, reverse=True))))
    found = found or shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _owner() -> tuple[str, str] | None:
    """User and group of the server, which refuses to run as root; None: those of the tests."""
    import grp
    import pwd

    if os.getuid() != 0:
        return None
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return user.pw_name, grp.getgrgid(user.pw_gid).gr_name
