"""Work that is due by the clock while Parley serves: reading the sources again."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

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
    return made


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
