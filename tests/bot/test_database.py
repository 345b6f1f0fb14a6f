"""A database is created, migrated once, and never mistaken for another."""

import multiprocessing
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from bot import migrations
from bot.database import migrate, open_database, transaction
from bot.errors import DatabaseError


def _url(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """An empty database."""
    made = open_database(database_url)
    yield made
    made.dispose()


def test_sqlite_is_private_and_set_up(tmp_path: Path) -> None:
    file = tmp_path / "data 100%" / "deep" / "parley.db"
    engine = open_database(SecretStr(_url(file)))
    migrate(engine)
    with engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        ]
        assert pragmas == ["wal", 1, 1, 30_000]
        assert {path.stat().st_mode & 0o077 for path in file.parent.iterdir()} == {0}
    assert file.parent.stat().st_mode & 0o077 == 0
    engine.dispose()


def test_in_memory_database_is_one() -> None:
    engine = open_database("sqlite://")
    migrate(engine)
    with engine.connect() as connection:
        assert sa.inspect(connection).has_table("turns")
    engine.dispose()


def test_migrations_make_the_models(engine: sa.Engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    migrate(engine)
    models = migrations.models()
    tables = [table for metadata in models for table in metadata.tables.values()]
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": models})
        several: Any = models  # Alembic takes a list, though its annotation does not say so
        assert compare_metadata(context, several) == []
        inspector = sa.inspect(connection)
        assert set(inspector.get_table_names()) == {table.name for table in tables} | {"alembic_version"}
        for table in tables:  # which the comparison leaves out
            checks = {str(one.name) for one in table.constraints if isinstance(one, sa.CheckConstraint)}
            assert {str(one["name"]) for one in inspector.get_check_constraints(table.name)} == checks
            assert inspector.get_pk_constraint(table.name)["name"] == table.primary_key.name


def test_head_is_the_last_migration() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory(str(migrations.FOLDER)).get_heads() == [migrations.HEAD]


def test_a_database_of_the_first_version_keeps_what_it_holds(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO turns VALUES ('t1', 'web', 'c', 't', 'ann', 'How long?', '30 days.', 'written', "
            "'answered', '[]', '[]', 'm', 'p', '2026-01-01 00:00:00', 5, NULL, 9, '[]', NULL)"
        )
    migrate(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT answer FROM turns").scalar_one() == "30 days."
        assert sa.inspect(connection).has_table("inbox")


def test_migrating_again_does_not_import_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from bot.database import *; e = open_database(sys.argv[1]); migrate(e); e.dispose();"
        "print('alembic' in sys.modules)"
    )
    run = [sys.executable, "-W", "error", "-c", code, _url(tmp_path / "parley.db")]
    printed = [
        subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip() for _ in range(2)
    ]
    assert printed == ["True", "False"]


def _start(url: str) -> None:
    engine = open_database(url)
    migrate(engine)
    engine.dispose()


def test_processes_that_start_at_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    starting = [spawn.Process(target=_start, args=(_url(tmp_path / "new" / "parley.db"),)) for _ in range(4)]
    for process in starting:
        process.start()
    for process in starting:
        process.join()
    assert [process.exitcode for process in starting] == [0, 0, 0, 0]


def test_failed_migration_changes_nothing(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as patched:
        patched.setattr(migrations, "upgrade", half)
        with pytest.raises(RuntimeError):
            migrate(engine)
    assert sa.inspect(engine).get_table_names() == []
    migrate(engine)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_newer_database_is_left_alone(engine: sa.Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseError, match="newer version of Parley"):
        migrate(engine)


def test_a_transaction_of_a_store_is_all_or_nothing_and_fails_with_a_sentence(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY)")

    def insert_twice() -> None:
        with transaction(engine) as connection:
            for _ in range(2):
                connection.exec_driver_sql("INSERT INTO t VALUES (1)")

    with pytest.raises(DatabaseError, match=r"cannot be used \(.+\); run `parley doctor`"):
        insert_twice()
    with transaction(engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 0


def test_too_many_transactions_at_once_fail_with_a_sentence(tmp_path: Path) -> None:
    engine = sa.create_engine(
        _url(tmp_path / "t.db"), poolclass=sa.QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01
    )
    with (
        transaction(engine),
        pytest.raises(DatabaseError, match="more to do than it can; try again"),
        transaction(engine),
    ):
        pass
    engine.dispose()


def test_foreign_keys_hold(engine: sa.Engine) -> None:
    migrate(engine)
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO votes VALUES ('gone', 'ann', 1, '', '', '2026-01-01 00:00:00')"
        )


def test_immediate_transactions_do_not_lose_updates(tmp_path: Path) -> None:
    engine = open_database(_url(tmp_path / "parley.db"))
    writing = engine.execution_options(sqlite_begin="IMMEDIATE")
    with writing.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER)")
    with engine.connect() as reader:
        assert reader.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
        with writing.begin() as connection:
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        assert reader.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0  # its own snapshot
    with pytest.raises(ValueError, match="sqlite_begin"), engine.execution_options(sqlite_begin="X").begin():
        pass
    engine.dispose()


def test_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_bytes(b"these are notes and no database\n" * 100)
    with pytest.raises(DatabaseError, match="not a SQLite database; move it away"):
        open_database(_url(file))
    assert file.read_bytes().startswith(b"these are notes")


def test_damaged_database(tmp_path: Path) -> None:
    file = tmp_path / "parley.db"
    _start(_url(file))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with file.open("r+b") as stream:
        stream.seek(100)
        stream.write(b"\xff" * 4000)
    with pytest.raises(DatabaseError, match="is damaged; restore a backup"):
        _start(_url(file))


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match="cannot be created"):
        open_database(_url(tmp_path / "file" / "parley.db"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatabaseError, match="cannot be created"):
        open_database(_url(tmp_path / "folder"))


def test_read_only_file(tmp_path: Path) -> None:
    file = tmp_path / "parley.db"
    _start(_url(file))
    engine = open_database(_url(file))
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE votes")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
        connection.commit()
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(DatabaseError, match="check the permissions"):
        migrate(engine)
    engine.dispose()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://h/x"])
def test_urls_that_are_not_understood(url: str) -> None:
    with pytest.raises(DatabaseError, match="database URL"):
        open_database(url)


def test_server_out_of_reach_hides_the_password() -> None:
    pytest.importorskip("psycopg")
    engine = open_database("postgresql+psycopg://ann:hush@127.0.0.1:1/x")
    with pytest.raises(DatabaseError, match="check that the server runs") as caught:
        migrate(engine)
    assert "hush" not in str(caught.value)
    engine.dispose()
