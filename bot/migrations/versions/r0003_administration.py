"""Who did what, when what ran, how well the documents are found, and the way back to the index before."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _audit()
    _job_runs()
    _evaluations()
    _index_history()
    _turns()


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])


def _job_runs() -> None:
    op.create_table(
        "job_runs",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_job_runs"),
    )


def _evaluations() -> None:
    op.create_table(
        "evaluations",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("questions", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("mrr", sa.Float(), nullable=False),
        sa.Column("missed", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_evaluations"),
    )
    op.create_index("ix_evaluations_source_at", "evaluations", ["source", "at"])


def _index_history() -> None:
    with op.batch_alter_table("documents") as table:
        table.add_column(sa.Column("live_since", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("retired_in", sa.Integer(), nullable=True))
    with op.batch_alter_table("index_state") as table:
        table.add_column(sa.Column("previous_generation", sa.String(40), nullable=False, server_default=""))
        table.add_column(sa.Column("previous_embedder", sa.Text(), nullable=False, server_default=""))


def _turns() -> None:
    with op.batch_alter_table("turns") as table:
        table.add_column(sa.Column("audience", sa.Text(), nullable=True))
    counted = ["started_at", "id", "platform", "conversation_id", "outcome", "mode", "audience"]
    op.create_index("ix_turns_counted", "turns", counted)
    op.drop_index("ix_turns_started_at_id", "turns")
    op.create_index("ix_turns_platform_user_id", "turns", ["platform", "user_id"])
