"""The desk where messages of every platform arrive, and from which each goes out with exactly one outcome.

`receive` returns when a message is written down, so that nothing which was acknowledged can get lost. From there it
is answered in its turn, refused, or run as a command; what became of it is written to the inbox. What a crash or a
stop leaves without an outcome is taken up again when its platform joins the next time. A message that has ended the
process twice is set aside, and said to be.

Its methods belong to the event loop; what blocks runs in threads.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

from bot.assistant import Assistant
from bot.background import Background
from bot.commands import Call, Commands, Report
from bot.conversation import ReadFile
from bot.delivery import APOLOGY, Platform, Reply
from bot.errors import EXPLAINED, PlatformError, QueueFullError, UsageError
from bot.inbox import Inbox
from bot.line import Job, Line
from bot.messages import Final, IncomingMessage
from bot.notices import Notice
from bot.outbox import Outbox
from bot.places import PlaceSettings
from bot.policy import Policy, Verdict
from bot.queue import FairQueue
from bot.serving import MOST_ATTEMPTS, STOPPING, Serving
from bot.thread_files import ThreadFiles
from feedback.records import Turn, Vote
from feedback.store import FeedbackStore
from knowledge.access import visible_sources

log = logging.getLogger(__name__)


class Desk:
    """Takes messages in and brings answers out, for all platforms at once."""

    def __init__(
        self,
        *,
        assistant: Assistant,
        feedback: FeedbackStore,
        inbox: Inbox,
        outbox: Outbox,
        thread_files: ThreadFiles,
        policy: Policy,
        queue: FairQueue,
        commands: Commands,
        read_file: ReadFile,
        visible_to: dict[str, frozenset[str]],
        prepared: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`prepared` returns when answers can begin; a crash before that is no question's fault."""
        self.inbox = inbox
        self.outbox = outbox
        self._feedback = feedback
        self._policy = policy
        self.commands = commands
        self._visible_to = visible_to
        self._taken: set[str] = set()
        """Turns that this process has in hand, so that `join` does not take them up a second time."""
        self._serving = Serving(
            assistant=assistant,
            feedback=feedback,
            inbox=inbox,
            thread_files=thread_files,
            read_file=read_file,
            prepared=prepared,
            wait_again=lambda job: self._line.add(job, again=True),
            ended=self._taken.discard,
        )
        self._line = Line(queue, work=self._serving.serve)
        self._platforms: dict[str, Platform] = {}
        self._background = Background("a message could not be brought on its way")

    @property
    def load(self) -> tuple[int, int]:
        """Questions that are being answered, and that wait."""
        return self._line.load

    # What adapters call.

    def join(self, platform: Platform) -> None:
        """From now on replies can be posted there; what was left unanswered before is taken up."""
        self._platforms[platform.name] = platform
        self._background.later(self._take_up(platform))

    async def receive(self, message: IncomingMessage) -> None:
        """Write the message down, unless it is none of the bot's business or known already.

        When this returns, the platform may be told that the message has arrived. Raises `DatabaseError`, and then
        it may not.
        """
        verdict = await asyncio.to_thread(self._policy.judge, message)
        if verdict.kind == "ignore" or message.turn_id in self._taken:
            return
        self._taken.add(message.turn_id)
        try:
            is_new = await asyncio.to_thread(self.inbox.accept, message)
        except BaseException:
            self._taken.discard(message.turn_id)
            raise
        if is_new:
            self._background.later(self._admit(message, verdict))
        else:
            self._taken.discard(message.turn_id)

    async def ask(self, platform: Platform, message: IncomingMessage, reply: Reply) -> Final | None:
        """Answer somebody who waits on the line and is gone with it; None when there was no answer.

        Waits in the same queue as everybody. Cancelling it stops the answer.
        """
        job = Job(message, PlaceSettings(), platform, reply, in_inbox=False)
        try:
            self._line.add(job)
        except QueueFullError as error:
            await reply.fail(str(error))
            return None
        try:
            return await asyncio.shield(job.final)
        except asyncio.CancelledError:
            await asyncio.shield(self._end(job, "asker"))
            raise

    async def run_command(self, message: IncomingMessage, *, report: Report | None = None) -> Notice:
        """What a command has to show, for a platform that shows it itself; raises `UsageError`.

        `report` hears how far a long one is. Cancelling it ends the command's work.
        """
        call = self.commands.parse(message.text, explicit=True)
        if not isinstance(call, Call):
            raise UsageError(str(call))
        is_admin = self._policy.is_admin(message)
        if report is None:
            return await self.commands.run(call, message, is_admin=is_admin)
        return await self.commands.run(call, message, is_admin=is_admin, report=report)

    async def may(self, message: IncomingMessage) -> bool:
        """Whether its asker may give the command that the message is; refuses nobody what is no command."""
        call = self.commands.parse(message.text, explicit=True)
        if not isinstance(call, Call) or not call.command.needs_admin:
            return True
        platform = self._platforms.get(message.platform)
        completed = await platform.complete(message) if platform else message
        return await asyncio.to_thread(self._policy.is_admin, completed)

    async def edited(self, platform: str, conversation_id: str, message_id: str, text: str) -> None:
        """A question that still waits is replaced; one that is being answered, or was, stays as it is."""
        turn_id = await asyncio.to_thread(self.inbox.find, platform, conversation_id, message_id)
        job = self._line.job(turn_id)
        if job is not None and self._line.is_waiting(job):
            job.edit(text)
            await asyncio.to_thread(self.inbox.edit, platform, conversation_id, message_id, text)

    async def deleted(self, platform: str, conversation_id: str, message_id: str) -> None:
        """A question that has no answer yet is dropped, with everything that was shown for it."""
        turn_id = await asyncio.to_thread(self.inbox.find, platform, conversation_id, message_id)
        if job := self._line.job(turn_id):
            await self._end(job, "deletion")

    async def stop_turn(self, turn_id: str, *, user_id: str, by_admin: bool = False) -> bool:
        """Stop that answer, waiting or running; False when there is nothing to stop that is this person's."""
        job = self._line.job(turn_id)
        if job is None or not (by_admin or job.message.user_id == user_id):
            return False
        await self._end(job, "asker")
        return True

    async def stop(
        self,
        *,
        platform: str,
        conversation_id: str,
        thread_id: str | None,
        user_id: str,
        by_admin: bool = False,
    ) -> bool:
        """Stop all that this person asked in the thread, None for all threads; False when there was nothing."""
        jobs = self._line.in_thread(platform, conversation_id, thread_id)
        stopped = [
            await self.stop_turn(job.message.turn_id, user_id=user_id, by_admin=by_admin) for job in jobs
        ]
        return any(stopped)

    async def vote(self, vote: Vote) -> None:
        """Keep a vote; raises `FeedbackError`, and then it is not kept."""
        await asyncio.to_thread(self._feedback.save_vote, vote)

    async def withdraw_vote(self, turn_id: str, user_id: str) -> None:
        await asyncio.to_thread(self._feedback.withdraw_vote, turn_id, user_id)

    async def shareable(self, turn_id: str, principals: frozenset[str]) -> Turn:
        """The stored answer, for showing it to more people than it was given to.

        Raises `UsageError` with a sentence when they may not see a source that it rests on.
        """
        turn = await asyncio.to_thread(self._feedback.turn, turn_id)
        if turn is None:
            raise UsageError("That answer is not stored any more; ask again in the channel.")
        if {source.source for source in turn.sources} - visible_sources(self._visible_to, principals):
            raise UsageError(
                "This answer rests on documents that not everyone here may see, so it stays with you."
            )
        return turn

    async def tell_admins(self, sentence: str) -> None:
        """Tell those who run the bot, on every platform where they asked to be told; raises nothing."""
        log.warning("%s", sentence)
        for platform in list(self._platforms.values()):
            try:
                await platform.tell_admins(sentence)
            except PlatformError as error:
                log.warning("the admins on %s could not be told: %s", platform.name, error)

    async def post(self, place: str, markdown: str) -> None:
        """Post something nobody asked for, in a place such as "slack:C42"; raises `PlatformError`."""
        await self._platform(place).post(place.partition(":")[2], markdown)

    async def who_reads(self, place: str) -> frozenset[str]:
        """The principals of everybody who can read what is posted there; raises `PlatformError`."""
        return await self._platform(place).who_reads(place.partition(":")[2])

    def _platform(self, place: str) -> Platform:
        name = place.partition(":")[0]
        if name not in self._platforms:
            raise PlatformError(f"{name} is not on, so {place} cannot be reached; set its tokens.")
        return self._platforms[name]

    async def close(self, *, grace: float) -> None:
        """Let running answers come to their end for `grace` seconds; the others go on after the next start."""
        for job in self._line.waiting:
            if not job.in_inbox:
                await self._line.take_out(job)
                await job.reply.fail(STOPPING)
                job.final.set_result(None)
        await self._line.close(grace=grace)
        await self._background.close()
        await self._serving.close()

    # A message's way.

    async def _take_up(self, platform: Platform) -> None:
        for entry in await asyncio.to_thread(self.inbox.unfinished, platform.name):
            message = entry.message
            if message.turn_id in self._taken:
                continue
            self._taken.add(message.turn_id)
            if entry.attempts >= MOST_ATTEMPTS:
                await self._serving.set_aside(message, platform)
                continue
            verdict = await asyncio.to_thread(self._policy.judge, message, again=True)
            if verdict.kind == "ignore":  # what is to be answered here has changed meanwhile
                await self._serving.finish(
                    Job(message, verdict.place, platform, platform.reply(message)), "dropped"
                )
            else:
                await self._admit(message, verdict, again=True)

    async def _admit(self, message: IncomingMessage, verdict: Verdict, *, again: bool = False) -> None:
        platform = self._platforms.get(message.platform)
        if platform is None:  # it finds the message in the inbox when it joins
            self._taken.discard(message.turn_id)
            return
        job = Job(message, verdict.place, platform, platform.reply(message), overheard=verdict.overheard)
        call = self.commands.parse(message.text, explicit=message.addressed == "command")
        if isinstance(call, UsageError):
            await self._serving.end_with(job, Notice(str(call)), "refused")
        elif (
            call is not None
        ):  # also from somebody who may not ask now: to stop, or to switch the bot on again
            await self._run(job, call)
        elif verdict.sentence:
            await self._serving.end_with(job, Notice(verdict.sentence), "refused")
        else:
            try:
                self._line.add(job, again=again)
            except QueueFullError as error:
                await self._serving.end_with(job, Notice(str(error)), "refused")

    async def _run(self, job: Job, call: Call) -> None:
        turn_id = job.message.turn_id
        await asyncio.to_thread(self.inbox.begin, turn_id)
        try:
            message = await job.platform.complete(job.message)
            is_admin = await asyncio.to_thread(self._policy.is_admin, message)
            told = await self.commands.run(
                call, message, is_admin=is_admin, report=partial(_report, turn_id, job.reply)
            )
        except asyncio.CancelledError:  # Parley stops; the command goes on after the next start
            await asyncio.shield(asyncio.to_thread(self.inbox.release, turn_id))
            raise
        except EXPLAINED as error:
            told = Notice(str(error))
        except Exception:
            log.exception("the command of turn %s failed", turn_id)
            told = Notice(APOLOGY)
        await self._serving.end_with(job, told, "command")

    async def _end(self, job: Job, by: Literal["asker", "deletion"]) -> None:
        """End a job before its time, and wait until that is shown."""
        if job.ended_by:
            await asyncio.wait([job.final])
            return
        job.ended_by = by
        if await self._line.take_out(job):
            await self._serving.cancelled(job)
            if not job.final.done():
                job.final.set_result(None)


async def _report(turn_id: str, reply: Reply, markdown: str) -> None:
    """Show how far a command is; its work does not depend on whether that can be shown."""
    try:
        await reply.report(markdown)
    except PlatformError as error:
        log.info("turn %s cannot show how far it is: %s", turn_id, error)
