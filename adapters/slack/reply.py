"""One answer on Slack: what the desk says to a `bot.delivery.Reply` becomes messages, each of them once.

While it is written, an answer is shown by the best way that the place and the budgets allow (`ways`, `whispers`); its
end is settled whatever was shown before, so that trouble in between costs the show and never the answer. Text is
cleaned as a whole each time: what two pieces make together cannot slip through between them.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from adapters.pacing import Coalescer
from adapters.render import cleaned
from adapters.slack.api import SlackApi
from adapters.slack.blocks import Json, escaped, queue_blocks, task_cards
from adapters.slack.contents import FITS, Ending, answered, failed, noticed, stopped, written
from adapters.slack.errors import UNSHOWABLE, SlackBusyError, SlackRefusedError
from adapters.slack.events import is_direct, place_of
from adapters.slack.posts import Posts
from adapters.slack.status import StatusLine
from adapters.slack.ways import AtOnce, Edited, LiveWay, Reported, Streamed, Way
from adapters.slack.whispers import Whispers
from bot.errors import PlatformError
from bot.messages import Final, IncomingMessage, Progress
from bot.notices import Action
from bot.outbox import Outbox
from feedback.records import SourceRecord

log = logging.getLogger(__name__)


class SlackReply:
    """Satisfies `bot.delivery.Reply`. `api` posts with the token of the message's workspace."""

    def __init__(
        self,
        message: IncomingMessage,
        *,
        api: SlackApi,
        outbox: Outbox,
        bot_user_id: str,
    ) -> None:
        thread_ts = place_of(message).thread_ts
        self._message = message
        self._pace = api.pace
        self._posts = Posts(message, api, outbox, bot_user_id=bot_user_id, thread_ts=thread_ts)
        self._whispers = Whispers(message, api, outbox)
        self._status = StatusLine(api, channel=message.conversation_id, thread_ts=thread_ts)
        self._way: Way | None = None
        self._pump = Coalescer(wait=self._room, show=self._show)
        self._pieces: list[str] = []
        self._stages: dict[str, Progress] = {}
        self._has_stop_button = False
        self._is_reporting = False
        self._has_ended = False

    async def progress(self, progress: Progress) -> None:
        if self._pieces:
            return
        if progress.stage not in {"waiting", "writing"}:
            self._stages[progress.stage] = progress
        self._status.show(progress)
        if progress.stage == "waiting":
            await self._offer_to_stop(progress)

    async def text(self, content: str) -> None:
        self._pieces.append(content)
        self._pump.touch()

    async def finish(self, final: Final) -> None:
        if not self._pieces:
            self._pieces = [final.answer]
        can_share = self._message.is_private and not is_direct(self._message.conversation_id)
        await self._end(answered(final, can_share=can_share), sources=final.sources)

    async def fail(self, sentence: str) -> None:
        self._status.take_over()
        await self._end(failed(sentence))

    async def report(self, markdown: str) -> None:
        if self._has_ended:
            return
        self._is_reporting = True
        self._pieces = [markdown]
        self._pump.touch()

    async def say(self, markdown: str, *, actions: Sequence[Action] = ()) -> None:
        ending = noticed(actions)
        if not await self._is_said_to_all():
            self._way = self._whispers
        self._pieces = [markdown]
        try:
            await self._end(ending)
        except SlackRefusedError as error:
            if self._way is self._whispers or self._message.addressed == "direct":
                raise
            log.info("turn %s ends with its asker alone: %s", self._message.turn_id, error)
            self._way = self._whispers
            await self._end(ending)

    async def stopped(self) -> None:
        await self._end(stopped())

    async def withdraw(self) -> None:
        await self._pump.close()
        try:
            await (await self._chosen()).withdraw()
        finally:
            await self._status.end(is_cleared=False)

    # While it is being written.

    async def _room(self) -> None:
        """Wait until more can be shown."""
        with self._trouble_left_to_the_end():
            way = await self._chosen()
            if isinstance(way, LiveWay):
                await way.room()

    async def _show(self) -> None:
        """Show the newest state."""
        if not isinstance(self._way, LiveWay):
            return
        with self._trouble_left_to_the_end():
            await self._status.hide()
            contents = await asyncio.to_thread(lambda: written(self._cleaned()))
            if contents[0].markdown:
                self._way = await self._way.show(contents)

    @contextmanager
    def _trouble_left_to_the_end(self) -> Iterator[None]:
        try:
            yield
        except SlackBusyError as error:
            log.info("turn %s has to wait: %s", self._message.turn_id, error)
            self._pump.touch()
        except PlatformError as error:
            log.warning("turn %s is shown at its end only: %s", self._message.turn_id, error)
            self._way = AtOnce(self._posts)

    async def _chosen(self) -> Way:
        """The best way there is now; an answer that is there already is only changed at its end."""
        if self._way is None:
            await self._posts.recover()
            self._way = self._best()
        return self._way

    def _best(self) -> Way:
        if self._is_reporting:
            return Reported(self._posts, self._pace)
        if self._posts.known:
            return AtOnce(self._posts)
        if self._message.is_private:
            return self._whispers
        can_stream = self._posts.thread_ts and "streams" not in self._pace.lacks
        if can_stream and all(self._pace.has_room(name) for name in ("chat.startStream", "chat.stopStream")):
            return Streamed(self._posts, self._pace, team_id=self._message.workspace_id, cards=self._cards)
        return Edited(self._posts) if self._pace.has_room("chat.update") else AtOnce(self._posts)

    def _cards(self) -> list[Json]:
        return task_cards(list(self._stages.values()), last="complete")

    async def _offer_to_stop(self, progress: Progress) -> None:
        """Once, to the asker alone, where Slack itself shows no button for it."""
        if self._has_stop_button or not (self._message.is_private or "sessions" in self._pace.lacks):
            return
        self._has_stop_button = True
        try:
            blocks = queue_blocks(progress.text, self._message.turn_id)
            await self._whispers.offer({"text": escaped(progress.text), "blocks": blocks})
        except PlatformError as error:
            log.info("turn %s has no button to stop it: %s", self._message.turn_id, error)

    # Its end.

    async def _is_said_to_all(self) -> bool:
        """Whether a notice goes where everybody sees it: nobody else is there, or they saw the report before it."""
        if self._is_reporting or self._message.addressed == "direct":
            return True
        if self._pieces or self._way:  # the notice says why there is no answer
            return False
        await self._posts.recover()
        return bool(self._posts.known)

    async def _end(self, ending: Ending, *, sources: Sequence[SourceRecord] = ()) -> None:
        """Settle the answer; one that has been settled stays as it is."""
        if self._has_ended:
            return
        await self._pump.close()
        await self._status.hide()
        is_public = False
        try:
            way = await self._chosen()
            await self._settle(way, ending, await asyncio.to_thread(self._cleaned, sources))
            is_public = way is not self._whispers
            self._has_ended = True
        finally:
            await self._status.end(is_cleared=is_public)

    async def _settle(self, way: Way, ending: Ending, markdown: str) -> None:
        for fit in FITS:
            try:
                await way.settle(await asyncio.to_thread(ending, markdown, fit))
            except SlackRefusedError as error:
                if error.code not in UNSHOWABLE or fit == FITS[-1]:
                    raise
                log.warning("turn %s does not fit as %s: %s", self._message.turn_id, fit, error)
            else:
                return

    def _cleaned(self, sources: Sequence[SourceRecord] = ()) -> str:
        return cleaned("".join(self._pieces), question=self._message.text, sources=sources)
