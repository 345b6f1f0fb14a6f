"""What was read of channels, kept between readings in one SQLite file, and what of it is due to be read again.

A place is a week of a channel itself, or a thread. What was read of a place takes the place of what was kept of it, in
one transaction. `Kept.due` spaces the readings of a place: it is read again when as much time has passed since the last
reading as its newest message was old then, and after `LONGEST` at the latest. So what changes often is read often, and
an edit or a deletion that the platform does not show otherwise is found, however old the message is. The weeks of the
last `RECENT` are read each time, as far as they were read before: so threads that began in them are compared.

The file can be deleted; everything is read again then.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from knowledge.sources.chat.file import opened
from knowledge.sources.chat.messages import Channel, Message, Thread
from knowledge.sources.chat.parts import WEEK, day_named, is_day, part_of, week_name, week_of

LONGEST = timedelta(days=7)
"""Between two readings of a place."""
RECENT = timedelta(days=28)
"""What is read each time."""
_COLUMNS = "channel, id, is_thread, begins, newest, mark, title, read_at"
_DUE = f"""
SELECT {_COLUMNS} FROM places
WHERE channel = :channel AND (
    read_at IS NULL
    OR (read_at < :now AND (mark != seen OR read_at + min(max(read_at - newest, 0), :longest) <= :now)))
ORDER BY
    CASE WHEN NOT is_thread AND newest > :now THEN 0
         WHEN is_thread AND (read_at IS NULL OR mark != seen) THEN 1
         WHEN read_at IS NULL THEN 2
         ELSE 3 END,
    CASE WHEN read_at IS NULL OR mark != seen THEN -newest
         ELSE read_at + min(max(read_at - newest, 0), :longest) END,
    id
LIMIT 1
"""  # noqa: S608 - a constant
"""First what is being said now, then threads with something new, then what was never read, newest first."""


@dataclass(frozen=True, slots=True)
class Place:
    """A week of a channel, or a thread."""

    channel: str
    id: str
    is_thread: bool
    begins: datetime
    newest: datetime
    """When the last message was written, of a thread; of a week its end."""
    mark: str
    title: str
    was_read: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A document that was made of messages."""

    path: str
    uri: str
    author: str
    date: str
    """ISO 8601."""


class Kept:
    """Made by `kept_in`; for one thread. Times are aware, and UTC when they come back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    # What is to be read

    def prepare(self, channels: Collection[str], *, since: datetime, now: datetime) -> datetime:
        """Forget other channels and what is older than `since`; have a place for each week from then to now.

        Returns the time from which on messages are kept: the beginning of the week of `since`.
        """
        since = week_of(since)
        with self._db as db:
            for (channel,) in db.execute("SELECT DISTINCT channel FROM places").fetchall():
                if channel not in channels:
                    self._drop(channel)
            for channel, place in db.execute(
                "SELECT channel, id FROM places WHERE newest <= ?", [since.timestamp()]
            ).fetchall():
                self._remove(channel, place)
            for channel in channels:
                begins = since
                while begins <= now:
                    ends = begins + WEEK
                    row = [channel, week_name(begins), begins.timestamp(), ends.timestamp()]
                    db.execute(
                        "INSERT OR IGNORE INTO places VALUES (?, ?, 0, 0, ?, ?, '', '', '', NULL)", row
                    )
                    begins = ends
        return since

    def due(self, channel: str, *, now: datetime) -> Place | None:
        """What is to be read next; None when all is as new as it has to be."""
        row = self._db.execute(
            _DUE, {"channel": channel, "now": now.timestamp(), "longest": LONGEST.total_seconds()}
        ).fetchone()
        return None if row is None else _place(row)

    def recent(self, channel: str, *, now: datetime) -> list[Place]:
        """The current week, and those of the last `RECENT` that were read before; oldest first, never empty."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM places WHERE channel = ? AND NOT is_thread AND newest > ?"  # noqa: S608 - a constant
            " AND (newest > ? OR read_at IS NOT NULL) ORDER BY begins",
            [channel, (now - RECENT).timestamp(), now.timestamp()],
        )
        return [_place(row) for row in rows]

    def is_complete(self, channel: str) -> bool:
        """Whether everything in the channel was read at some time."""
        unread = "SELECT 1 FROM places WHERE channel = ? AND read_at IS NULL"
        return self._db.execute(unread, [channel]).fetchone() is None

    def apply(self, options: str, *, wanted: Callable[[str, bool], bool]) -> None:
        """Take up what is wanted: by the author's id and whether a bot wrote it.

        What is not wanted any more is deleted now; what is wanted now and was not is found by reading all again.
        """
        with self._db as db:
            if self._note("options") == options:
                return
            rows = db.execute("SELECT channel, place, id, at, author_id, by_bot FROM messages").fetchall()
            for channel, place, message, at, author_id, by_bot in rows:
                if not wanted(author_id, bool(by_bot)):
                    db.execute(
                        "DELETE FROM messages WHERE channel = ? AND place = ? AND id = ?",
                        [channel, place, message],
                    )
                    self._touch(channel, [part_of(place, at)])
            db.execute("UPDATE places SET read_at = NULL")
            self._set_note("options", options)

    # What was read

    def put(self, place: Place, messages: Sequence[Message], *, now: datetime) -> None:
        """These are all messages of the place now, and it had its `mark` when they were asked for."""
        key = [place.channel, place.id]
        rows = {
            message.id: (
                message.at.timestamp(),
                message.author_id,
                message.by_bot,
                json.dumps(asdict(message) | {"at": message.at.isoformat()}, ensure_ascii=False),
            )
            for message in messages
        }
        newest = max((at for at, *_ in rows.values()), default=place.begins.timestamp())
        with self._db as db:
            before = {
                message: (at, body)
                for message, at, body in db.execute(
                    "SELECT id, at, body FROM messages WHERE channel = ? AND place = ?", key
                )
            }
            after = {message: (at, body) for message, (at, _, _, body) in rows.items()}
            differ = {message for message, _ in before.items() ^ after.items()}
            parts = {
                part_of(place.id, state[message][0])
                for message in differ
                for state in (before, after)
                if message in state
            }
            self._touch(place.channel, parts)
            db.executemany(
                "DELETE FROM messages WHERE channel = ? AND place = ? AND id = ?",
                [(*key, message) for message in differ & before.keys()],
            )
            db.executemany(
                "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(*key, message, *rows[message]) for message in differ & rows.keys()],
            )
            db.execute(
                "UPDATE places SET seen = ?, read_at = ? WHERE channel = ? AND id = ?",
                [place.mark, now.timestamp(), *key],
            )
            if place.is_thread:
                db.execute("UPDATE places SET newest = ? WHERE channel = ? AND id = ?", [newest, *key])

    def found(self, channel: str, threads: Iterable[Thread], *, week: Place | None = None) -> None:
        """These threads are there; of those that were found in the `week` before, no others."""
        with self._db as db:
            mine = {thread.id: thread for thread in threads}
            for thread in mine.values():
                self._find(channel, thread, is_listed=week is not None)
            if week is None:
                return
            bounds = [channel, week.begins.timestamp(), week.newest.timestamp()]
            listed = db.execute(
                "SELECT id FROM places WHERE channel = ? AND is_thread AND is_listed AND begins >= ? AND begins < ?",
                bounds,
            ).fetchall()
            for (thread_id,) in listed:
                if thread_id not in mine:  # reading it says what became of it
                    db.execute(
                        "UPDATE places SET mark = '' WHERE channel = ? AND id = ?", [channel, thread_id]
                    )

    def _find(self, channel: str, thread: Thread, *, is_listed: bool) -> None:
        key = [channel, thread.id]
        known = self._db.execute("SELECT title FROM places WHERE channel = ? AND id = ?", key).fetchone()
        if known is None:
            times = thread.begins.timestamp(), thread.newest.timestamp()
            row = (channel, thread.id, 1, is_listed, *times, thread.mark, "", thread.title, None)
            self._db.execute("INSERT INTO places VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            return
        if known[0] != thread.title:
            self._touch(channel, [thread.id])
        self._db.execute(
            "UPDATE places SET mark = ?, title = ?, newest = max(newest, ?) WHERE channel = ? AND id = ?",
            [thread.mark, thread.title, thread.newest.timestamp(), *key],
        )

    def call(self, channel: Channel) -> None:
        """Note what the channel is called."""
        with self._db:
            self._set_note(f"name {channel.id}", channel.name)

    def drop(self, channel: str) -> None:
        """Forget a channel."""
        with self._db:
            self._drop(channel)

    def listed_at(self, channel: str) -> datetime | None:
        """When the threads of a channel were last listed to the end."""
        value = self._note(f"listed {channel}")
        return datetime.fromisoformat(value) if value else None

    def was_listed(self, channel: str, *, now: datetime) -> None:
        with self._db:
            self._set_note(f"listed {channel}", now.isoformat())

    # What becomes of it

    def name(self, channel: str) -> str:
        """What the channel is called."""
        return self._note(f"name {channel}") or channel

    def changed(self) -> list[tuple[str, str]]:
        """Channels and parts (a thread, or a day of the channel itself) whose documents are not as the messages."""
        return self._db.execute("SELECT channel, part FROM changed ORDER BY channel, part").fetchall()

    def messages(self, channel: str, part: str) -> tuple[str, list[Message]]:
        """Title and messages of a part, in order."""
        place, begins, ends = part, 0.0, float("inf")
        if is_day(part):
            day = day_named(part)
            place, begins, ends = week_name(day), day.timestamp(), (day + timedelta(days=1)).timestamp()
        key = [channel, place]
        title = self._db.execute("SELECT title FROM places WHERE channel = ? AND id = ?", key).fetchone()
        rows = self._db.execute(
            "SELECT body FROM messages WHERE channel = ? AND place = ? AND at >= ? AND at < ? ORDER BY at, id",
            [*key, begins, ends],
        )
        return title[0] if title else "", [_message(body) for (body,) in rows]

    def documents(self, channel: str, part: str | None = None) -> list[Entry]:
        """Of a channel, or of one part of it; in a stable order."""
        rows = self._db.execute(
            "SELECT path, uri, author, date FROM documents WHERE channel = ? AND (? IS NULL OR part = ?) ORDER BY path",
            [channel, part, part],
        )
        return [Entry(*row) for row in rows]

    def settle(self, channel: str, part: str, entries: Iterable[Entry]) -> None:
        """These are the documents of the part now."""
        with self._db as db:
            db.execute("DELETE FROM documents WHERE channel = ? AND part = ?", [channel, part])
            for entry in entries:
                row = [channel, part, entry.path, entry.uri, entry.author, entry.date]
                db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?)", row)
            db.execute("DELETE FROM changed WHERE channel = ? AND part = ?", [channel, part])

    # Inside a transaction

    def _drop(self, channel: str) -> None:
        for table in ("places", "messages", "changed", "documents"):
            self._db.execute(f"DELETE FROM {table} WHERE channel = ?", [channel])  # noqa: S608 - constants
        keys = [f"listed {channel}", f"name {channel}"]
        self._db.execute("DELETE FROM notes WHERE key IN (?, ?)", keys)

    def _remove(self, channel: str, place: str) -> None:
        times = self._db.execute("SELECT at FROM messages WHERE channel = ? AND place = ?", [channel, place])
        self._touch(channel, {part_of(place, at) for (at,) in times})
        self._db.execute("DELETE FROM messages WHERE channel = ? AND place = ?", [channel, place])
        self._db.execute("DELETE FROM places WHERE channel = ? AND id = ?", [channel, place])

    def _touch(self, channel: str, parts: Iterable[str]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO changed VALUES (?, ?)", [(channel, part) for part in parts]
        )

    def _note(self, key: str) -> str:
        row = self._db.execute("SELECT value FROM notes WHERE key = ?", [key]).fetchone()
        return row[0] if row else ""

    def _set_note(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", [key, value])


@contextmanager
def kept_in(folder: Path) -> Iterator[Kept]:
    """What is kept in that folder."""
    with opened(folder / "messages.db") as connection:
        yield Kept(connection)


def _place(row: tuple[Any, ...]) -> Place:
    """Of `_COLUMNS`."""
    channel, place, is_thread, begins, newest, mark, title, read_at = row
    times = datetime.fromtimestamp(begins, UTC), datetime.fromtimestamp(newest, UTC)
    return Place(channel, place, bool(is_thread), *times, mark, title, read_at is not None)


def _message(body: str) -> Message:
    fields = json.loads(body)
    fields |= {"at": datetime.fromisoformat(fields["at"]), "attachments": tuple(fields["attachments"])}
    return Message(**fields)
