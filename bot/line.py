"""Questions on their way to an answer: those that wait, in the fair queue's order, and those that are worked on.

Tells those who wait where they stand. Knows nothing of what the work is, nor of the inbox.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from bot.delivery import Platform, Reply
from bot.errors import PlatformError
from bot.messages import Final, IncomingMessage, Progress
from bot.places import PlaceSettings
from bot.queue import FairQueue, Standing, Ticket

log = logging.getLogger(__name__)

TOLD = 10
"""Places of the queue whose askers are told about every move."""


@dataclass(eq=False)
class Job:
    """A question on its way to an answer."""

    message: IncomingMessage
    place: PlaceSettings
    platform: Platform
    reply: Reply
    in_inbox: bool = True
    """Whether it outlives this process; else somebody waits on the line for `final`."""
    overheard: bool = False
    """Whether nobody said it to the bot."""
    final: asyncio.Future[Final | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    ended_by: Literal["asker", "deletion"] | None = None
    is_delivered: bool = False
    failures: int = 0
    """How often the platform could not take the answer."""
    told: int = 0
    """The place in the queue that the asker knows of."""
    notice: asyncio.Task[None] | None = None
    task: asyncio.Task[None] | None = None

    def edit(self, text: str) -> None:
        """The asker has changed the question while it waits."""
        self.message = replace(self.message, text=text)
        self.reply = self.platform.reply(self.message)

    async def settle(self) -> None:
        """Return when nothing is being said about the queue any more."""
        if self.notice:
            await asyncio.wait([self.notice])

    @property
    def ticket(self) -> Ticket:
        message = self.message
        return Ticket(
            key=message.turn_id,
            person=message.person,
            place=message.place,
            thread=(message.platform, message.conversation_id, message.thread_id),
        )


class Line:
    """Brings jobs to `work`, as many at once as the queue allows; belongs to the event loop."""

    def __init__(self, queue: FairQueue, *, work: Callable[[Job], Awaitable[None]]) -> None:
        """`work` ends every job and raises nothing, not even when its task is cancelled."""
        self._queue = queue
        self._work = work
        self._waiting: dict[str, Job] = {}
        self._running: dict[str, Job] = {}
        self._is_closed = False

    @property
    def waiting(self) -> list[Job]:
        return list(self._waiting.values())

    @property
    def load(self) -> tuple[int, int]:
        """How many are worked on, and how many wait."""
        return len(self._running), len(self._waiting)

    def job(self, turn_id: str | None) -> Job | None:
        """The job of that turn, waiting or running."""
        return self._waiting.get(turn_id or "") or self._running.get(turn_id or "")

    def in_thread(self, platform: str, conversation_id: str, thread_id: str | None) -> list[Job]:
        """What waits or runs in a thread, or in all of the conversation's."""
        return [
            job
            for job in (*self._running.values(), *self._waiting.values())
            if (job.message.platform, job.message.conversation_id) == (platform, conversation_id)
            and thread_id in {None, job.message.thread_id}
        ]

    def is_waiting(self, job: Job) -> bool:
        return job.message.turn_id in self._waiting

    def add(self, job: Job, *, again: bool = False) -> None:
        """Let it wait its turn; raises `QueueFullError` with the limit that it meets.

        `again` is for one that was accepted before, and meets no limit.
        """
        self._queue.add(job.ticket, again=again)
        self._waiting[job.message.turn_id] = job
        self._move()

    async def take_out(self, job: Job) -> bool:
        """True when it still waited and waits no more; else its task was cancelled and has ended."""
        if self._waiting.pop(job.message.turn_id, None):
            self._queue.remove(job.message.turn_id)
            await job.settle()
            self._move()
            return True
        if job.task:
            await asyncio.sleep(0)  # a task that is cancelled before its first step would not run its own end
            job.task.cancel()
            await asyncio.wait([job.task])
        return False

    async def close(self, *, grace: float) -> None:
        """Begin nothing more; let running jobs end for `grace` seconds, then cancel them."""
        self._is_closed = True
        tasks = [job.task for job in self._running.values() if job.task]
        await asyncio.sleep(0)
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for task in tasks:
            task.cancel()
        notices = [job.notice for job in self._waiting.values() if job.notice]
        await asyncio.gather(*tasks, *notices, return_exceptions=True)

    def _move(self) -> None:
        """Begin what can begin now, and tell those who wait where they stand."""
        while not self._is_closed and (ticket := self._queue.take()) is not None:
            job = self._waiting.pop(ticket.key)
            self._running[ticket.key] = job
            job.task = asyncio.create_task(self._serve(job, ticket), name=f"turn {ticket.key}")
        for position, key in enumerate(self._queue.waiting()[:TOLD], start=1):
            job = self._waiting[key]
            if job.told != position and (job.notice is None or job.notice.done()):
                job.told = position
                job.notice = asyncio.create_task(_tell(job, self._queue.standing(key)))

    async def _serve(self, job: Job, ticket: Ticket) -> None:
        began = time.monotonic()
        try:
            await self._work(job)
        finally:
            seconds = None if job.ended_by or job.failures else time.monotonic() - began
            self._running.pop(ticket.key, None)
            self._queue.done(ticket, seconds)
            self._move()


async def _tell(job: Job, standing: Standing | None) -> None:
    if standing is None or job.overheard:
        return
    about = f", about {_duration(standing.seconds)}" if standing.seconds else ""
    try:
        await job.reply.progress(Progress("waiting", f"{_ordinal(standing.position)} in line{about}"))
    except PlatformError as error:
        log.info("turn %s could not be told its place: %s", job.message.turn_id, error)


def _ordinal(position: int) -> str:
    return "Next" if position == 1 else f"{position}{ {2: 'nd', 3: 'rd'}.get(position, 'th') }"


def _duration(seconds: float) -> str:
    minute = 60
    return f"{max(1, round(seconds))} s" if seconds < 1.5 * minute else f"{round(seconds / minute)} min"
