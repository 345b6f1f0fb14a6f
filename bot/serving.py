"""One job from the head of the line to its outcome, and what is said where there is no answer.

Whatever happens on the way, a job ends with one outcome in the inbox, or, when Parley stops, stays there for the next
start. A platform that is away gets what it missed later.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from bot.assistant import Assistant
from bot.background import Background
from bot.conversation import Conversation, ReadFile
from bot.delivery import Platform, deliver
from bot.errors import PlatformError, PlatformUnavailableError
from bot.inbox import Inbox, Outcome
from bot.line import Job
from bot.messages import Final, IncomingMessage
from bot.notices import Notice
from bot.places import PlaceSettings
from bot.thread_files import ThreadFiles
from feedback.store import FeedbackStore

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 2
"""Begun that often without an outcome, a message is held to be what ended the process."""
RETRY_AFTER = (2.0, 10.0, 30.0, 120.0, 600.0)
"""Seconds before an answer is tried again that the platform could not take; then it is given up."""

SET_ASIDE = (
    "I could not answer this: it stopped me twice, so I have set it aside and told the people who run me. "
    "Please ask in other words."
)
STOPPING = "Parley is being stopped; please ask again in a moment."


class Serving:
    """Answers jobs, and ends those that get no answer."""

    def __init__(
        self,
        *,
        assistant: Assistant,
        feedback: FeedbackStore,
        inbox: Inbox,
        thread_files: ThreadFiles,
        read_file: ReadFile,
        prepared: Callable[[], Awaitable[None]] | None,
        wait_again: Callable[[Job], None],
        ended: Callable[[str], None],
    ) -> None:
        """`wait_again` puts a job back into the line; `ended` hears the turn id of each that has its outcome."""
        self._assistant = assistant
        self._feedback = feedback
        self._inbox = inbox
        self._thread_files = thread_files
        self._read_file = read_file
        self._prepared = prepared
        self._wait_again = wait_again
        self._ended = ended
        self._background = Background("a message could not be brought on its way")

    async def serve(self, job: Job) -> None:
        """One answer, from the head of the line to its outcome; raises nothing."""
        turn_id = job.message.turn_id
        final: Final | None = None
        try:
            final = await self._attempt(job)
        except asyncio.CancelledError:
            await self.cancelled(job)
        except PlatformUnavailableError as error:
            await self._try_later(job, error, lambda: self._answer_later(job))
        except PlatformError as error:
            log.warning("turn %s cannot be answered where it was asked: %s", turn_id, error)
            with suppress(PlatformError):
                await job.reply.say(str(error))  # to the asker alone that may work
            await self.finish(job, "undeliverable")
        except Exception:
            log.exception("turn %s was given up", turn_id)
            await self.finish(job, "failed")
        if not job.final.done():
            job.final.set_result(final)

    async def _attempt(self, job: Job) -> Final | None:
        await job.settle()
        if self._prepared:
            await self._prepared()
        if job.in_inbox and not await asyncio.to_thread(self._inbox.begin, job.message.turn_id):
            return None  # it has an outcome already
        conversation = Conversation(
            assistant=self._assistant,
            feedback=self._feedback,
            thread_files=self._thread_files,
            read_file=self._read_file,
            platform=job.platform,
            place=job.place,
        )
        outcome, final = await deliver(conversation, job.message, job.reply, overheard=job.overheard)
        job.is_delivered = True
        await asyncio.shield(self.finish(job, outcome))
        return final

    async def cancelled(self, job: Job) -> None:
        """By its asker, because the question was deleted, or, for now, because Parley stops."""
        if job.is_delivered:
            return
        turn_id = job.message.turn_id
        if job.ended_by is None:
            if job.in_inbox:
                await asyncio.to_thread(self._inbox.release, turn_id)
            else:
                await job.reply.fail(STOPPING)
            return
        try:
            await (job.reply.stopped() if job.ended_by == "asker" else job.reply.withdraw())
        except PlatformError as error:
            log.info("turn %s could not be shown as ended: %s", turn_id, error)
        await self.finish(job, "cancelled" if job.ended_by == "asker" else "dropped")

    async def _try_later(
        self, job: Job, error: PlatformUnavailableError, work: Callable[[], Awaitable[None]]
    ) -> None:
        """Do that work after a while, with a new reply, unless the platform has been away for too long."""
        turn_id = job.message.turn_id
        if not job.in_inbox or job.failures >= len(RETRY_AFTER):
            log.error("turn %s is given up, its platform does not take it: %s", turn_id, error)
            await self.finish(job, "undeliverable")
            return
        delay = RETRY_AFTER[job.failures]
        job.failures += 1
        log.warning("turn %s is tried again in %.0f s: %s", turn_id, delay, error)
        await asyncio.to_thread(self._inbox.release, turn_id)

        async def again() -> None:
            await asyncio.sleep(delay)
            job.reply = job.platform.reply(job.message)
            await work()

        self._background.later(again())

    async def _answer_later(self, job: Job) -> None:
        """An answer that is stored by now is only shown then, and not made again."""
        self._wait_again(job)

    async def end_with(self, job: Job, notice: Notice, outcome: Outcome) -> None:
        """Say one thing and be done."""
        try:
            await job.reply.say(notice.markdown, actions=notice.actions)
        except PlatformUnavailableError as error:
            await self._try_later(job, error, lambda: self.end_with(job, notice, outcome))
            return
        except PlatformError as error:
            log.warning("turn %s (%s) could not be told so: %s", job.message.turn_id, outcome, error)
            outcome = "undeliverable"
        await self.finish(job, outcome)

    async def set_aside(self, message: IncomingMessage, platform: Platform) -> None:
        turn_id = message.turn_id
        log.error("turn %s was begun %d times and has no outcome: set aside", turn_id, MOST_ATTEMPTS)
        job = Job(message, PlaceSettings(), platform, platform.reply(message))

        async def tell() -> None:
            try:
                await job.reply.fail(SET_ASIDE)
                await platform.tell_admins(
                    f"A question stopped me twice, so I have set it aside (turn {turn_id}); the log of that "
                    "time says more."
                )
            except PlatformUnavailableError as error:
                await self._try_later(job, error, tell)
                return
            except PlatformError as error:
                log.warning("turn %s could not be told that it is set aside: %s", turn_id, error)
            await self.finish(job, "set_aside")

        await tell()

    async def finish(self, job: Job, outcome: Outcome) -> None:
        if job.in_inbox:
            await asyncio.to_thread(self._inbox.finish, job.message.turn_id, outcome)
        self._ended(job.message.turn_id)

    async def close(self) -> None:
        """What was to be tried again is there at the next start."""
        await self._background.close()
