"""What a passage says by a key, where it begins, and in which language it is; how often vectors were restored."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("chunks") as chunks:
        chunks.add_column(sa.Column("key", sa.String(60), nullable=False, server_default=""))
        chunks.add_column(sa.Column("line", sa.Integer(), nullable=False, server_default="0"))
        chunks.add_column(sa.Column("language", sa.String(8), nullable=False, server_default=""))
        chunks.create_index("ix_chunks_key", ["key"])
    with op.batch_alter_table("index_state") as state:
        state.add_column(sa.Column("restores", sa.Integer(), nullable=False, server_default="0"))
    # Their vectors are stored by id, and are searched until the next sync has built a new generation.
    op.execute("UPDATE chunks SET key = id")
