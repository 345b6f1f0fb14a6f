"""Work that is due by the clock while Parley serves: reading the sources again, forgetting what is old."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bot.errors import DatabaseError
from knowledge.errors import IndexBusyError, KnowledgeError

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from bot.app import App

log = logging.getLogger(__name__)


def scheduler(app: "App") -> "AsyncIOScheduler":
    """A scheduler that keeps the index fresh every `knowledge.refresh_minutes`; not started yet."""
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    made = AsyncIOScheduler(timezone="UTC")
    minutes = app.settings.knowledge.refresh_minutes
    if minutes:
        made.add_job(
            refresh,
            "interval",
            minutes=minutes,
            next_run_time=datetime.now(UTC),  # what changed while nothing ran is read at once
            args=[app],
            id="refresh",
            max_instances=1,
            coalesce=True,
        )
    made.add_job(forget, "interval", days=1, next_run_time=datetime.now(UTC), args=[app], id="forget")
    return made


async def forget(app: "App") -> None:
    """Delete what the inbox has kept for `inbox.keep` days, and the files of threads."""
    before = datetime.now(UTC) - timedelta(days=app.settings.inbox.keep)
    try:
        messages = await asyncio.to_thread(app.desk.inbox.expire, before)
        await asyncio.to_thread(app.thread_files.expire, before)
    except DatabaseError as error:
        log.warning("what is old could not be deleted: %s", error)
    else:
        log.info("deleted %d messages from before %s", messages, before.date())


async def refresh(app: "App") -> None:
    """Reindex every source; a failure is logged, and the next run tries again."""
    try:
        report = await app.reindex()
    except asyncio.CancelledError:
        log.info("stopped while reading the sources; the next run continues there")
    except IndexBusyError:
        log.info("another process is indexing; the next run looks again")
    except KnowledgeError as error:
        log.warning("the sources could not be read again: %s", error)
    else:
        log.info("index refreshed: %s", report)
