"""The schema's history, shipped with the program; `bot.database.migrate` runs it.

To change the schema: change the tables where they are declared, run
`alembic revision --autogenerate -m "what it does"`, read the result, and set `HEAD` to its revision. A test
compares the models with the migrations, and `HEAD` with the last of them.
"""

from pathlib import Path

import sqlalchemy as sa

from bot.errors import DatabaseError

HEAD = "0004"
"""The last revision. Kept here so that a start with nothing to migrate need not import Alembic (0.2 s)."""

FOLDER = Path(__file__).parent


def models() -> list[sa.MetaData]:
    """Every table that the database has, by the package that owns it; for developing and testing."""
    import bot.tables
    import feedback.store
    import knowledge.schema

    return [bot.tables.metadata, feedback.store.metadata, knowledge.schema.metadata]


def upgrade(connection: sa.Connection) -> None:
    """Run what is missing, in the transaction that the connection is in.

    Raises:
        DatabaseError: the database was written by a newer version, or by another program.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise DatabaseError(
            "The database was written by a newer version of Parley; install that version again, or restore "
            "the backup that was made before it."
        ) from error
