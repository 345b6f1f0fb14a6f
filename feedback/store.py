"""Turns and votes in the database.

The methods block; callers on an event loop go through `asyncio.to_thread`. The tables are created by the
migrations in `bot`, never here. Works on SQLite and PostgreSQL. What a database cannot hold in a text becomes
U+FFFD, see `feedback.columns`: a turn must always be storable.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from feedback.columns import Moment, Text, storable
from feedback.errors import StoreError, UnknownTurnError
from feedback.records import Score, SourceRecord, Turn, Vote
from feedback.schema import metadata, turns, votes

__all__ = ["Counts", "FeedbackStore", "RatedTurn", "metadata", "turns", "votes"]

_PAGE = 500
"""Turns read at once; bounds memory, and stays below SQLite's limit of variables in a statement."""
_BATCH = 200
"""Turns deleted in one transaction: about a hundredth of a second in which nobody else can write to SQLite."""
_PAUSE = 0.01
"""Seconds between two of them, in which others can."""


@dataclass(frozen=True, slots=True)
class RatedTurn:
    """A turn and everybody's votes on it, oldest vote first."""

    turn: Turn
    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many; `up` and `down` count votes, `voted` counts turns that have one."""

    turns: int
    by_outcome: Mapping[str, int]
    by_mode: Mapping[str, int]
    """Answered turns only."""
    up: int
    down: int
    voted: int


class FeedbackStore:
    """Reads and writes turns and votes. Every method may raise `StoreError`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def save_turn(self, turn: Turn) -> None:
        """Store a turn in place of an earlier attempt at the same message.

        An answer that was given stays: only another answer takes its place, nothing else does, without an error.
        """
        insert = self._insert(turns).values(_row(turn))
        replaced = {c.name: insert.excluded[c.name] for c in turns.c if not c.primary_key}
        may_replace = (turns.c.outcome != "answered") | (insert.excluded.outcome == "answered")
        upsert = insert.on_conflict_do_update(
            index_elements=list(turns.primary_key), set_=replaced, where=may_replace
        )
        with self.transaction() as connection:
            connection.execute(upsert)

    def turn(self, turn_id: str) -> Turn | None:
        with self.transaction() as connection:
            row = connection.execute(sa.select(turns).where(turns.c.id == turn_id)).one_or_none()
        return None if row is None else _turn(row)

    def save_vote(self, vote: Vote) -> None:
        """Store a person's vote in place of their earlier one; the one saved last wins.

        Raises:
            UnknownTurnError: the turn is not in the database.
        """
        values = asdict(vote)
        # One statement: it finds the turn, inserts, and replaces, so that two presses at once cannot collide.
        found = sa.select(*(sa.literal(values[c.name], c.type) for c in votes.c)).where(
            turns.c.id == vote.turn_id
        )
        insert = self._insert(votes).from_select([c.name for c in votes.c], found)
        replaced = {c.name: insert.excluded[c.name] for c in votes.c if not c.primary_key}
        upsert = insert.on_conflict_do_update(index_elements=list(votes.primary_key), set_=replaced)
        with self.transaction() as connection:
            saved = connection.execute(upsert.returning(votes.c.turn_id)).one_or_none()
        if saved is None:
            raise UnknownTurnError("This answer is no longer stored, so the vote was not kept; ask again.")

    def withdraw_vote(self, turn_id: str, user_id: str) -> bool:
        """Delete a person's vote on a turn; False when there was none."""
        mine = (votes.c.turn_id == turn_id) & (votes.c.user_id == user_id)
        with self.transaction() as connection:
            return connection.execute(sa.delete(votes).where(mine)).rowcount > 0

    def votes(self, turn_id: str) -> list[Vote]:
        """Everybody's votes on a turn, oldest first."""
        with self.transaction() as connection:
            return _votes(connection, [turn_id]).get(turn_id, [])

    def history(self, platform: str, conversation_id: str, thread_id: str, *, limit: int) -> list[Turn]:
        """The last `limit` answered turns of a thread, oldest first."""
        query = (
            sa.select(turns)
            .where(turns.c.platform == platform, turns.c.conversation_id == conversation_id)
            .where(turns.c.thread_id == thread_id, turns.c.outcome == "answered")
            .order_by(turns.c.started_at.desc(), turns.c.id.desc())
            .limit(limit)
        )
        with self.transaction() as connection:
            rows = connection.execute(query).all()
        return [_turn(row) for row in reversed(rows)]

    def turns(
        self,
        *,
        since: datetime | None = None,
        limit: int | None = None,
        newest_first: bool = True,
        score: Score | None = None,
    ) -> list[RatedTurn]:
        """Turns begun at `since` or later, with votes; with `score`, those with at least one such vote."""
        return list(islice(self.iterate(since=since, newest_first=newest_first, score=score), limit))

    def iterate(
        self, *, since: datetime | None = None, newest_first: bool = False, score: Score | None = None
    ) -> Iterator[RatedTurn]:
        """Like `turns`, a page at a time, holding no transaction between pages."""
        position = (turns.c.started_at, turns.c.id)
        query = sa.select(turns).order_by(*(c.desc() if newest_first else c for c in position)).limit(_PAGE)
        if since is not None:
            query = query.where(turns.c.started_at >= since)
        if score is not None:
            query = query.where(sa.exists().where(votes.c.turn_id == turns.c.id, votes.c.score == score))
        page = query
        while True:
            with self.transaction() as connection:
                found = [_turn(row) for row in connection.execute(page)]
                opinions = _votes(connection, [turn.id for turn in found])
            for turn in found:
                yield RatedTurn(turn, tuple(opinions.get(turn.id, ())))
            if len(found) < _PAGE:
                return
            last = sa.tuple_(sa.literal(found[-1].started_at, Moment), sa.literal(found[-1].id, Text))
            here = sa.tuple_(*position)
            page = query.where(here < last if newest_first else here > last)

    def counts(self, *, since: datetime | None = None) -> Counts:
        """Counts over turns begun at `since` or later, and the votes on them."""
        recent = sa.true() if since is None else turns.c.started_at >= since
        grouped = (
            sa.select(turns.c.outcome, turns.c.mode, sa.func.count())
            .where(recent)
            .group_by(turns.c.outcome, turns.c.mode)
        )
        scores = sa.select(votes.c.score, sa.func.count()).join(turns).where(recent).group_by(votes.c.score)
        voted = sa.select(sa.func.count(votes.c.turn_id.distinct())).join(turns).where(recent)
        with self.transaction() as connection:
            rows = [(str(outcome), str(mode), int(n)) for outcome, mode, n in connection.execute(grouped)]
            by_score = {int(score): int(n) for score, n in connection.execute(scores)}
            voted_turns = connection.execute(voted).scalar_one()
        by_outcome: Counter[str] = Counter()
        by_mode: Counter[str] = Counter()
        for outcome, mode, n in rows:
            by_outcome[outcome] += n
            if outcome == "answered":
                by_mode[mode] += n
        return Counts(
            turns=by_outcome.total(),
            by_outcome=dict(by_outcome),
            by_mode=dict(by_mode),
            up=by_score.get(1, 0),
            down=by_score.get(-1, 0),
            voted=voted_turns,
        )

    def expire(self, before: datetime) -> int:
        """Delete the turns begun before then, with their votes; returns how many turns.

        In small transactions, oldest first, so that answers are stored meanwhile. When one of them fails, the
        earlier ones stay done.
        """
        old = (
            sa.select(turns.c.id)
            .where(turns.c.started_at < before)
            .order_by(turns.c.started_at, turns.c.id)
            .limit(_BATCH)
        )
        deleted = 0
        while True:
            with self.transaction() as connection:
                connection.execute(sa.delete(votes).where(votes.c.turn_id.in_(old)))
                batch = connection.execute(sa.delete(turns).where(turns.c.id.in_(old))).rowcount
            deleted += batch
            if batch < _BATCH:
                return deleted
            time.sleep(_PAUSE)

    def _insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """An insert that can say what to do about a row that is there already."""
        is_postgresql = self._engine.dialect.name == "postgresql"
        return postgresql.insert(table) if is_postgresql else sqlite.insert(table)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A transaction whose failures are the package's own error; for this package's reports."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.IntegrityError as error:
            raise StoreError(
                "The database refused the record, because a value in it is not allowed."
            ) from error
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(
                "The database of answers and votes cannot be used now; run `parley doctor` to see why."
            ) from error


def _row(turn: Turn) -> dict[str, Any]:
    row = {column.name: getattr(turn, column.name) for column in turns.c}
    row |= {key: [_source_row(source) for source in getattr(turn, key)] for key in ("sources", "retrieved")}
    row["dropped"] = [storable(sentence) for sentence in turn.dropped]
    return row


def _source_row(source: SourceRecord) -> dict[str, Any]:
    row = {key: storable(value) if isinstance(value, str) else value for key, value in asdict(source).items()}
    row["score"] = float(source.score)  # scores often come as numpy floats, which JSON does not know
    return row


def _turn(row: sa.Row[Any]) -> Turn:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    values |= {
        key: tuple(SourceRecord(**source) for source in values[key]) for key in ("sources", "retrieved")
    }
    values["dropped"] = tuple(values["dropped"])
    return Turn(**values)


def _votes(connection: sa.Connection, turn_ids: Sequence[str]) -> dict[str, list[Vote]]:
    query = (
        sa.select(votes).where(votes.c.turn_id.in_(turn_ids)).order_by(votes.c.created_at, votes.c.user_id)
    )
    found: dict[str, list[Vote]] = {}
    for row in connection.execute(query):
        vote = Vote(**row._mapping)  # noqa: SLF001
        found.setdefault(vote.turn_id, []).append(vote)
    return found
