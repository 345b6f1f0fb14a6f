"""Column types and names of constraints that the SQL tables share. Works on SQLite and PostgreSQL.

Text is kept as it came, except that NUL and lone surrogates, which PostgreSQL and UTF-8 cannot hold, become
U+FFFD: what people write must always be storable.
"""

import re
from datetime import UTC, datetime

import sqlalchemy as sa

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

CONSTRAINT_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""For `sa.MetaData(naming_convention=…)`: a later migration can only change a constraint that has a name."""


def storable(text: str) -> str:
    """The text without the characters that a database refuses."""
    return _UNSTORABLE.sub("\ufffd", text)


class Text(sa.types.TypeDecorator[str]):
    """Text without the characters that a database refuses."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else storable(value)


class Moment(sa.types.TypeDecorator[datetime]):
    """A moment in UTC; SQLite would forget the time zone. Naive values are refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
