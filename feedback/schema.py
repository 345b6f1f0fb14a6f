"""The tables of answers and votes; `feedback.store` and `feedback.report` have the queries.

They are created by the migrations in `bot`, never here.
"""

import json
from collections.abc import Sequence

import sqlalchemy as sa

from feedback.columns import CONSTRAINT_NAMES, Moment, Text, storable


class Names(sa.types.TypeDecorator[tuple[str, ...]]):
    """Names as a JSON list in a text, which unlike PostgreSQL's JSON can be compared, grouped and indexed."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.dumps([storable(name) for name in value], ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> tuple[str, ...] | None:  # noqa: ARG002
        return None if value is None else tuple(json.loads(value))


metadata = sa.MetaData(naming_convention=CONSTRAINT_NAMES)

turns = sa.Table(
    "turns",
    metadata,
    sa.Column("id", Text, primary_key=True),
    sa.Column("platform", Text, nullable=False),
    sa.Column("conversation_id", Text, nullable=False),
    sa.Column("thread_id", Text, nullable=False),
    sa.Column("user_id", Text, nullable=False),
    sa.Column("question", Text, nullable=False),
    sa.Column("answer", Text, nullable=False),
    sa.Column("mode", Text, nullable=False),
    sa.Column("outcome", Text, nullable=False),
    sa.Column("sources", sa.JSON, nullable=False),
    sa.Column("retrieved", sa.JSON, nullable=False),
    sa.Column("model_id", Text, nullable=False),
    sa.Column("prompt_id", Text, nullable=False),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("retrieve_ms", sa.Integer, nullable=False),
    sa.Column("first_text_ms", sa.Integer),
    sa.Column("total_ms", sa.Integer, nullable=False),
    sa.Column("dropped", sa.JSON, nullable=False),
    sa.Column("error", Text),
    sa.Column("audience", Names, doc="Null in turns stored before it was kept."),
    sa.Index(None, "platform", "conversation_id", "thread_id", "started_at"),
    sa.Index(None, "platform", "user_id"),
    # Has all that is counted, so that counting does not read the texts; they are most of a row.
    sa.Index(
        "ix_turns_counted", "started_at", "id", "platform", "conversation_id", "outcome", "mode", "audience"
    ),
)

votes = sa.Table(
    "votes",
    metadata,
    sa.Column("turn_id", Text, sa.ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("user_id", Text, primary_key=True),
    sa.Column("score", sa.SmallInteger, nullable=False),
    sa.Column("reason", Text, nullable=False),
    sa.Column("comment", Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.CheckConstraint("score IN (-1, 1)", name="score"),
)
