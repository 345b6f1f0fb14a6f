"""The ways in which an answer comes to be seen in a thread: as a stream, by edits, or all at once; and reports.

Each shows what there is of the answer so far and settles it in the end. What a way cannot do it leaves to the next:
a stream that Slack does not take, or has let expire, goes on as edits of the same message. What was shown is kept in
`Posts` alone, so that a way can be left at any moment.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from adapters.slack.api import WorkspacePace
from adapters.slack.blocks import Json
from adapters.slack.contents import Content
from adapters.slack.errors import NO_CARDS, NOT_THERE, SlackBusyError, SlackRefusedError
from adapters.slack.posts import Posts
from bot.errors import PlatformError

log = logging.getLogger(__name__)


class Way(Protocol):
    """How an answer is brought to people. Every method raises `PlatformError`."""

    async def settle(self, contents: Sequence[Content]) -> None:
        """Show all of it, and nothing else. Goes on where it stopped when it is called again."""

    async def withdraw(self) -> None:
        """Take away everything that was shown."""


@runtime_checkable
class LiveWay(Way, Protocol):
    """One that shows the answer while it is being written."""

    async def room(self) -> None:
        """Wait until something can be shown; what is written meanwhile is shown with it."""

    async def show(self, contents: Sequence[Content]) -> Way:
        """Show this much of the answer; gives the way on which it goes on. `SlackBusyError` means: once more."""


class AtOnce:
    """Shows nothing before the end."""

    def __init__(self, posts: Posts) -> None:
        self._posts = posts

    async def settle(self, contents: Sequence[Content]) -> None:
        await self._posts.recover()
        for part, content in enumerate(contents):
            await self._posts.put(part, content)
        await self._posts.drop(start=len(contents))

    async def withdraw(self) -> None:
        await self._posts.recover()
        await self._posts.drop()


class Edited(AtOnce):
    """Posts what there is, and changes it as more comes."""

    async def room(self) -> None:
        """Posts and changes wait for their budgets themselves."""

    async def show(self, contents: Sequence[Content]) -> Way:
        for part, content in enumerate(contents):
            await self._posts.put(part, content)
        return self


class Reported(AtOnce):
    """Shows how far a command is: each state in place of the one before, at a pace that leaves room for answers."""

    def __init__(self, posts: Posts, pace: WorkspacePace) -> None:
        super().__init__(posts)
        self._pace = pace

    async def room(self) -> None:
        await self._pace.wait("reports")

    async def show(self, contents: Sequence[Content]) -> Way:
        await self.settle(contents)
        return self


class Streamed(AtOnce):
    """Slack's own streaming. `cards` gives the chunks that say what was done before the first text."""

    def __init__(
        self, posts: Posts, pace: WorkspacePace, *, team_id: str, cards: Callable[[], Sequence[Json]]
    ) -> None:
        super().__init__(posts)
        self._pace = pace
        self._team_id = team_id
        self._cards = cards

    async def room(self) -> None:
        if self._is_running():
            await self._pace.wait("chat.appendStream")

    async def show(self, contents: Sequence[Content]) -> Way:
        try:
            for part, content in enumerate(contents):
                if part not in self._posts.known:
                    await self._start(part, content.markdown)
                await self._go_on(part, content, is_last=part == len(contents) - 1)
        except PlatformError as error:
            if isinstance(error, SlackBusyError) and self._is_running():
                raise
            log.info("an answer goes on without a stream: %s", error)
            return await Edited(self._posts).show(contents)
        return self

    async def settle(self, contents: Sequence[Content]) -> None:
        for part, content in enumerate(contents):
            if part in self._posts.known:
                await self._posts.stop(part, content)
        await super().settle(contents)

    def _is_running(self) -> bool:
        return any(post.streamed is not None for post in self._posts.known.values())

    async def _start(self, part: int, text: str) -> None:
        cards = [] if part or "tasks" in self._pace.lacks else self._cards()
        try:
            await self._posts.start(part, text, team_id=self._team_id, chunks=cards)
        except SlackRefusedError as error:
            if error.code in NOT_THERE:
                self._pace.lacks.add("streams")
            if not (cards and error.code in NO_CARDS):
                raise
            self._pace.lacks.add("tasks")
            await self._posts.start(part, text, team_id=self._team_id)

    async def _go_on(self, part: int, content: Content, *, is_last: bool) -> None:
        """A text that does not begin with what is shown waits for the end: a stream can only grow."""
        shown = self._posts.known[part].streamed
        if shown is None:
            return
        if not is_last:
            await self._posts.stop(part, content)
        elif content.markdown != shown and content.markdown.startswith(shown):
            await self._posts.append(part, content.markdown)
