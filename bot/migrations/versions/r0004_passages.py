"""What a passage says by a key, where it begins, and in which language it is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # Passages that are there keep no key: they belong to a generation that the next sync replaces.
    with op.batch_alter_table("chunks") as chunks:
        chunks.add_column(sa.Column("key", sa.String(32), nullable=False, server_default=""))
        chunks.add_column(sa.Column("line", sa.Integer(), nullable=False, server_default="0"))
        chunks.add_column(sa.Column("language", sa.String(8), nullable=False, server_default=""))
        chunks.create_index("ix_chunks_key", ["key"])
