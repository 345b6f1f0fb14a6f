"""Who gave which command for admins, where and when, and what became of it; also who tried without being one.

Nothing is changed or deleted here but by `expire`. What looks like a secret is masked as far as it can be recognised:
passwords in addresses, and tokens of well-known forms. A command is kept to its first `LONGEST` characters.

The methods block; callers on an event loop go through `asyncio.to_thread`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import sqlalchemy as sa

from bot.database import transaction
from bot.messages import IncomingMessage
from bot.tables import audit

Outcome = Literal["done", "refused", "failed"]
"""`refused`: the person may not; `failed`: it was tried, or could not be understood."""

TERMINAL = "console"
"""The platform of commands that were given in a terminal."""
LONGEST = 200
"""Characters that are kept of a command."""
LONGEST_DETAIL = 500

_SECRET = re.compile(
    r"(?P<before>[a-z][a-z0-9+.-]*://)[^\s/?#]+@"  # who and with which password, in an address
    r"|\b(?:xox[a-z]-|xapp-|sk-|gh[a-z]_|github_pat_|glpat-|hf_)[\w-]{8,}"
    r"|\b[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}",  # Discord's
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One command and what became of it."""

    at: datetime
    platform: str
    workspace_id: str
    conversation_id: str
    user_id: str
    command: str
    """As it was said, on one line."""
    outcome: Outcome
    detail: str
    """One sentence, or empty."""

    @property
    def person(self) -> str:
        """`slack:U42`."""
        return f"{self.platform}:{self.user_id}"

    @property
    def place(self) -> str:
        """`slack:C42`; the platform alone when it has no places."""
        return f"{self.platform}:{self.conversation_id}" if self.conversation_id else self.platform


class Audit:
    """Reads and writes the record. Every method may raise `DatabaseError`."""

    def __init__(self, engine: sa.Engine, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._now = now

    def record(self, message: IncomingMessage, command: str, outcome: Outcome, detail: str = "") -> None:
        """Write down what the asker of `message` said, and what became of it."""
        self._add(
            platform=message.platform,
            workspace_id=message.workspace_id,
            conversation_id=message.conversation_id,
            user_id=message.user_id,
            command=command,
            outcome=outcome,
            detail=detail,
        )

    def record_in_terminal(self, user: str, command: str, outcome: Outcome, detail: str = "") -> None:
        """The same for a command of the command line; `user` is the account's name."""
        self._add(
            platform=TERMINAL,
            workspace_id="",
            conversation_id="",
            user_id=user,
            command=command,
            outcome=outcome,
            detail=detail,
        )

    def entries(
        self, *, since: datetime | None = None, outcome: Outcome | None = None, limit: int | None = 100
    ) -> list[Entry]:
        """The entries from `since` on, newest first; with `outcome`, those that ended so. No limit: all."""
        columns = [audit.c[name] for name in Entry.__dataclass_fields__]
        query = sa.select(*columns).order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit)
        if since is not None:
            query = query.where(audit.c.at >= since)
        if outcome is not None:
            query = query.where(audit.c.outcome == outcome)
        with transaction(self._engine) as connection:
            return [Entry(*row) for row in connection.execute(query)]

    def expire(self, before: datetime) -> int:
        """Delete what was written down before then; returns how many entries."""
        with transaction(self._engine) as connection:
            return connection.execute(sa.delete(audit).where(audit.c.at < before)).rowcount

    def _add(self, *, command: str, detail: str, **values: str) -> None:
        row = values | {
            "at": self._now(),
            "command": _line(command, most=LONGEST),
            "detail": _line(detail, most=LONGEST_DETAIL),
        }
        with transaction(self._engine) as connection:
            connection.execute(sa.insert(audit).values(row))


def _line(text: str, *, most: int) -> str:
    """On one line, without what looks like a secret, and not too long."""
    # Masked before it is cut: the end of an address that was cut off would not be recognised.
    line = _SECRET.sub(lambda found: f"{found['before'] or ''}…" + "@" * bool(found["before"]), text)
    line = " ".join(line.split())
    return line if len(line) <= most else line[: most - 1] + "…"
