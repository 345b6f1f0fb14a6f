"""Run by Alembic, on the connection of `bot.migrations.upgrade`, or for a developer's `alembic` command."""

from alembic import context

models = None
if (connection := context.config.attributes.get("connection")) is None:
    from bot import migrations
    from bot.config import load_settings
    from bot.database import open_database

    models = migrations.models()  # only to compare with; migrating need not import what declares the tables
    connection = open_database(load_settings().database_url.get_secret_value()).connect()

context.configure(
    connection=connection,
    target_metadata=models,
    render_as_batch=True,  # SQLite cannot alter a column
)
with context.begin_transaction():
    context.run_migrations()
