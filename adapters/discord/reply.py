"""One answer on Discord: what the desk says to a `bot.delivery.Reply` becomes messages, each of them once.

While it is written, an answer is shown by edits, about one a second in a channel; its end is settled whatever was
shown before, so that trouble in between costs the show and never the answer. Text is cleaned as a whole each time:
what two pieces make together cannot slip through between them.

A command shows how far it is in one message, which its end takes over. When its asker alone would see that, it goes
into a message of its own for everybody, and the asker is told where; see `Aloud`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from adapters.discord.aloud import Aloud
from adapters.discord.contents import (
    FITS,
    Content,
    Ending,
    answered,
    failed,
    reported,
    said,
    stopped,
    waiting,
    written,
)
from adapters.discord.errors import UNSHOWABLE, DiscordRefusedError
from adapters.discord.homes import Home, WhisperHome
from adapters.discord.posts import Posts
from adapters.discord.signs import Typing
from adapters.pacing import Coalescer, Pace
from adapters.render import cleaned
from bot.errors import PlatformError, PlatformUnavailableError
from bot.messages import Final, IncomingMessage, Progress
from bot.notices import Action
from bot.outbox import Outbox
from feedback.records import SourceRecord

log = logging.getLogger(__name__)

MOVE_AHEAD = 30.0
"""Seconds before the token of a command is not used any more in which its asker is told where to look."""
MOVING = "This takes longer than Discord lets me answer here; the answer comes to you as a direct message."


class DiscordReply:
    """Satisfies `bot.delivery.Reply`."""

    def __init__(
        self,
        message: IncomingMessage,
        *,
        home: Home,
        outbox: Outbox,
        pace: Pace,
        typing: Typing,
        aloud: Aloud | None = None,
        can_embed: bool = True,
        can_share: bool = False,
        opened: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """`aloud` shows what `home` would show to the asker alone; `opened` may open a thread on an answer's end."""
        self._message = message
        self._home = home
        self._pace = pace
        self._typing = typing
        self._aloud = aloud
        self._can_embed = can_embed
        self._can_share = can_share
        self._opened = opened
        self._posts = Posts(message, home, outbox)
        self._pump = Coalescer(wait=self._room, show=self._show)
        self._pieces: list[str] = []
        self._progress: Progress | None = None
        self._report: str | None = None
        self._tells = False
        """Whether a message says what is being done; without one, typing says enough."""
        self._moving: asyncio.TimerHandle | None = None
        self._is_moving = False
        self._is_live: bool | None = None
        """None: not known yet. False: shown at its end only."""
        self._has_ended = False

    async def progress(self, progress: Progress) -> None:
        self._watch_the_token()
        if self._pieces:
            return
        self._progress = progress
        if progress.stage == "waiting":
            self._tells = True
        else:
            self._typing.start()
        if self._tells:
            self._pump.touch()

    async def text(self, content: str) -> None:
        self._pieces.append(content)
        self._pump.touch()

    async def finish(self, final: Final) -> None:
        if not self._pieces:
            self._pieces = [final.answer]
        ending = answered(final, can_share=self._can_share, can_embed=self._can_embed)
        await self._end(ending, sources=final.sources)
        if self._opened and final.mode != "unknown":
            await self._opened(self._posts.known[max(self._posts.known)].ref)

    async def fail(self, sentence: str) -> None:
        await self._end(failed(sentence))

    async def report(self, markdown: str) -> None:
        self._report = markdown
        self._pump.touch()

    async def say(self, markdown: str, *, actions: Sequence[Action] = ()) -> None:
        self._pieces = [markdown]
        await self._end(said(actions))

    async def stopped(self) -> None:
        await self._end(stopped())

    async def withdraw(self) -> None:
        try:
            await self._pump.close()
            await self._posts.recover()
            await self._posts.drop()
        finally:
            await self._quieten()

    # While it is being written.

    async def _room(self) -> None:
        """Wait until more can be shown."""
        if self._is_live is not False:
            posts = self._aloud.posts if self._aloud and self._report is not None else self._posts
            await self._pace.wait("editing", of=posts.budget)

    async def _show(self) -> None:
        """Show the newest state."""
        with self._trouble_left_to_the_end():
            if self._report is not None:
                await self._show_report()
                return
            if not await self._may_show():
                return
            for part, content in enumerate(await asyncio.to_thread(self._contents)):
                await self._posts.put(part, content, is_paid=True)
            if self._pieces:
                await self._typing.stop()
            self._is_live = not self._is_moving

    def _contents(self) -> Sequence[Content]:
        turn_id = self._message.turn_id
        if self._is_moving:
            return [Content(MOVING)]
        if contents := written(self._cleaned(), turn_id):
            return contents
        return [waiting(self._progress.text, turn_id)] if self._progress else []

    async def _show_report(self) -> None:
        """Unlike an answer, it goes on in the message that an earlier process has posted."""
        if self._is_live is False:
            return
        content = await asyncio.to_thread(lambda: reported(self._safe(self._report or "")))
        if self._aloud is not None:
            try:
                await self._aloud.show(content, tell=self._posts, is_paid=True)
            except DiscordRefusedError as error:
                if error.code in UNSHOWABLE:
                    raise
                log.warning("turn %s reports to its asker alone: %s", self._message.turn_id, error)
                self._aloud = None
            else:
                return
        self._watch_the_token()
        await self._posts.recover()
        await self._posts.put(0, Content(MOVING) if self._is_moving else content, is_paid=True)
        self._is_live = not self._is_moving

    async def _may_show(self) -> bool:
        """What an earlier process has shown is only changed at the end."""
        if self._is_live is None:
            await self._posts.recover()
            self._is_live = not self._posts.was_begun
        return self._is_live

    @contextmanager
    def _trouble_left_to_the_end(self) -> Iterator[None]:
        try:
            yield
        except PlatformError as error:
            goes_on = self._report is not None and isinstance(error, PlatformUnavailableError)
            how = "not shown as it is now" if goes_on else "shown at its end only"
            log.warning("turn %s is %s: %s", self._message.turn_id, how, error)
            self._is_live = goes_on

    def _watch_the_token(self) -> None:
        """Tell the asker of a command where the answer will be, as long as that can be told."""
        if self._moving is None and isinstance(self._home, WhisperHome):
            delay = max(0.0, self._home.seconds_left - MOVE_AHEAD)
            self._moving = asyncio.get_running_loop().call_later(delay, self._move)

    def _move(self) -> None:
        self._is_moving = True
        self._pump.touch()

    # Its end.

    async def _end(self, ending: Ending, *, sources: Sequence[SourceRecord] = ()) -> None:
        """Settle the answer; one that has been settled stays as it is."""
        if self._has_ended:
            return
        try:
            await self._pump.close()
            await self._posts.recover()
            markdown = await asyncio.to_thread(self._cleaned, sources)
            if not await self._settled_aloud(ending, markdown):
                await self._settle(self._posts, ending, markdown)
            self._has_ended = True
        finally:
            await self._quieten()

    async def _quieten(self) -> None:
        if self._moving:
            self._moving.cancel()
        await self._typing.stop()

    async def _settled_aloud(self, ending: Ending, markdown: str) -> bool:
        """Whether it is said to everybody, who have seen, or were to see, how far it was."""
        if self._aloud is None:
            return False
        await self._aloud.posts.recover()
        if self._report is None and not self._aloud.posts.was_begun:
            return False
        try:
            await self._settle(self._aloud.posts, ending, markdown)
        except DiscordRefusedError as error:
            log.warning("turn %s is told to its asker alone: %s", self._message.turn_id, error)
            return False
        await self._aloud.point(tell=self._posts)
        return True

    async def _settle(self, posts: Posts, ending: Ending, markdown: str) -> None:
        for fit in FITS:
            try:
                contents = await asyncio.to_thread(ending, markdown, fit)
                for part, content in enumerate(contents):
                    await posts.put(part, content)
                await posts.drop(start=len(contents))
            except DiscordRefusedError as error:
                if error.code not in UNSHOWABLE or fit == FITS[-1]:
                    raise
                log.warning("turn %s does not fit as %s: %s", self._message.turn_id, fit, error)
            else:
                return

    def _cleaned(self, sources: Sequence[SourceRecord] = ()) -> str:
        return self._safe("".join(self._pieces), sources)

    def _safe(self, markdown: str, sources: Sequence[SourceRecord] = ()) -> str:
        return cleaned(markdown, question=self._message.text, sources=sources)
