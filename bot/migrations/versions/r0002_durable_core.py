"""What came in, what was posted, and what people set."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _inbox()
    _outbox()
    _settings()
    _thread_files()


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("turn_id", name="pk_inbox"),
        sa.UniqueConstraint("platform", "event_id", name="uq_inbox_platform_event_id"),
    )
    op.create_index(
        "ix_inbox_unfinished",
        "inbox",
        ["platform", "received_at"],
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    )
    op.create_index("ix_inbox_platform_user_id_received_at", "inbox", ["platform", "user_id", "received_at"])
    op.create_index(
        "ix_inbox_platform_conversation_id_received_at",
        "inbox",
        ["platform", "conversation_id", "received_at"],
    )
    op.create_index(
        "ix_inbox_platform_conversation_id_thread_id", "inbox", ["platform", "conversation_id", "thread_id"]
    )
    op.create_index(
        "ix_inbox_platform_conversation_id_message_id_received_at",
        "inbox",
        ["platform", "conversation_id", "message_id", "received_at"],
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ref", sa.Text(), nullable=True),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("turn_id", "part", name="pk_outbox"),
    )
    op.create_index(
        "ix_outbox_platform_conversation_id_ref", "outbox", ["platform", "conversation_id", "ref"]
    )


def _settings() -> None:
    op.create_table(
        "place_settings",
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("persona", sa.Text(), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("platform", "conversation_id", name="pk_place_settings"),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )


def _thread_files() -> None:
    op.create_table(
        "thread_files",
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("turn_id", "name", name="pk_thread_files"),
    )
    op.create_index(
        "ix_thread_files_platform_conversation_id_thread_id_created_at",
        "thread_files",
        ["platform", "conversation_id", "thread_id", "created_at"],
    )
