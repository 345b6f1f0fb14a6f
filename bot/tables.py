"""The tables of the durable core: what came in, what was posted, and what people set; see the stores for each.

    inbox           bot.inbox         a message that was accepted, and what became of it
    outbox          bot.outbox        a message of ours on a platform
    place_settings  bot.places        how the assistant behaves in a conversation
    secrets         bot.vault         an encrypted token
    thread_files    bot.thread_files  the text of a file that came with a question
    audit           bot.audit         what an admin did, or somebody else tried
    job_runs        bot.job_runs      how a scheduled job came out the last time
    evaluations     bot.evaluations   how well a source's questions found their documents

They are created by `bot.migrations`, never here.
"""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from feedback.columns import CONSTRAINT_NAMES, Moment, Text

metadata = sa.MetaData(naming_convention=CONSTRAINT_NAMES)

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("turn_id", Text, primary_key=True),
    sa.Column("platform", Text, nullable=False),
    sa.Column("event_id", Text, nullable=False),
    sa.Column("workspace_id", Text, nullable=False),
    sa.Column("conversation_id", Text, nullable=False),
    sa.Column("thread_id", Text, nullable=False),
    sa.Column("message_id", Text, nullable=False),
    sa.Column("user_id", Text, nullable=False),
    sa.Column("payload", sa.JSON, nullable=False, doc="The whole message."),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("outcome", Text, doc="Null until there is one."),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("began_at", Moment, doc="The last attempt."),
    sa.Column("finished_at", Moment),
    sa.UniqueConstraint("platform", "event_id"),
    # A few rows of very many, so the index is one of these only.
    sa.Index(
        "ix_inbox_unfinished",
        "platform",
        "received_at",
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    ),
    sa.Index(None, "platform", "user_id", "received_at"),
    sa.Index(None, "platform", "conversation_id", "received_at"),
    sa.Index(None, "platform", "conversation_id", "thread_id"),
    sa.Index(None, "platform", "conversation_id", "message_id", "received_at"),
)

outbox = sa.Table(
    "outbox",
    metadata,
    # Not a foreign key: what is posted without being asked for has no row in the inbox.
    sa.Column("turn_id", Text, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ref", Text, doc="The platform's id of the message; null when it may or may not be there."),
    sa.Column("platform", Text, nullable=False),
    sa.Column("conversation_id", Text, nullable=False),
    sa.Column("at", Moment, nullable=False, doc="When it was going to be posted."),
    sa.Index(None, "platform", "conversation_id", "ref"),
)

place_settings = sa.Table(
    "place_settings",
    metadata,
    sa.Column("platform", Text, primary_key=True),
    sa.Column("conversation_id", Text, primary_key=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("answer", Text, nullable=False),
    sa.Column("persona", Text, nullable=False),
    sa.Column("sources", sa.JSON, nullable=False),
    sa.Column("language", Text, nullable=False),
    sa.Column("changed_by", Text, nullable=False),
    sa.Column("changed_at", Moment, nullable=False),
)

secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("name", Text, primary_key=True),
    sa.Column("value", Text, nullable=False, doc="Encrypted."),
    sa.Column("changed_at", Moment, nullable=False),
)

thread_files = sa.Table(
    "thread_files",
    metadata,
    sa.Column("turn_id", Text, primary_key=True),
    sa.Column("name", Text, primary_key=True),
    sa.Column("platform", Text, nullable=False),
    sa.Column("conversation_id", Text, nullable=False),
    sa.Column("thread_id", Text, nullable=False),
    sa.Column("text", Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Index(None, "platform", "conversation_id", "thread_id", "created_at"),
)


audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("platform", Text, nullable=False),
    sa.Column("workspace_id", Text, nullable=False),
    sa.Column("conversation_id", Text, nullable=False),
    sa.Column("user_id", Text, nullable=False),
    sa.Column("command", Text, nullable=False, doc="As it was said."),
    sa.Column("outcome", Text, nullable=False, doc='"done", "refused" or "failed".'),
    sa.Column("detail", Text, nullable=False, doc="One sentence, or empty."),
    sa.Index(None, "at"),
)

job_runs = sa.Table(
    "job_runs",
    metadata,
    sa.Column("job", Text, primary_key=True),
    sa.Column("due_at", Moment, doc="What the last run was due at."),
    sa.Column("began_at", Moment),
    sa.Column("ended_at", Moment, doc="Null while it runs, or when the process ended in it."),
    sa.Column("outcome", Text, nullable=False, doc="See `bot.job_runs.Outcome`."),
    sa.Column("told", Text, nullable=False, doc="One sentence about the outcome."),
    sa.Column("failures", sa.Integer, nullable=False, doc="In a row."),
)

evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("source", Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False, doc="Of the index."),
    sa.Column("questions", sa.Integer, nullable=False),
    sa.Column(
        "found", sa.Integer, nullable=False, doc="Questions with a right document among the first five."
    ),
    sa.Column("mrr", sa.Float, nullable=False),
    sa.Column("missed", sa.JSON, nullable=False, doc="Ids of the others."),
    sa.Index(None, "source", "at"),
)


def insert_new(engine: sa.Engine, table: sa.Table, values: Mapping[str, object]) -> sa.Insert:
    """Insert a row unless there is one like it; with `returning`, the result says which."""
    return _insert(engine, table).values(values).on_conflict_do_nothing()


def upsert(engine: sa.Engine, table: sa.Table, values: Mapping[str, object]) -> sa.Insert:
    """Insert a row in place of the one with the same primary key, in one statement."""
    insert = _insert(engine, table).values(values)
    replaced = {name: insert.excluded[name] for name in values if not table.c[name].primary_key}
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=replaced)


def _insert(engine: sa.Engine, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if engine.dialect.name == "postgresql" else sqlite.insert(table)
