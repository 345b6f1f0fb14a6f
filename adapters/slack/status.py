"""What the bot is doing, as Slack shows it while there is no text yet: the status line, and a button to stop it.

Slack takes a status away after two minutes, so it is set again while it lasts. Nothing here fails an answer, and
nothing here waits for Slack but the end, so that no status comes after the text that replaces it.
"""

import asyncio
import logging
from contextlib import suppress

from adapters.slack.api import SlackApi
from adapters.slack.errors import NOT_THERE, SlackRefusedError
from bot.errors import PlatformError
from bot.messages import Progress

log = logging.getLogger(__name__)

REPEAT = 100.0
"""Seconds; Slack forgets a status after 120."""


class StatusLine:
    """Of one thread. A thread of "" has none."""

    def __init__(self, api: SlackApi, *, channel: str, thread_ts: str) -> None:
        self._api = api
        self._place = {"channel_id": channel, "thread_ts": thread_ts}
        self._progress: Progress | None = None
        self._is_new = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._was_set = False
        self._is_session = False

    def show(self, progress: Progress) -> None:
        """Show this from now on, until `hide`."""
        self._progress = progress
        self._is_new.set()
        if self._task is None and self._place["thread_ts"]:
            self._task = asyncio.create_task(self._keep())

    def take_over(self) -> None:
        """An earlier process may have begun, and could not end it."""
        self._is_session = bool(self._place["thread_ts"])

    async def hide(self) -> None:
        """The text is about to take its place."""
        self._progress = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def end(self, *, is_cleared: bool) -> None:
        """There is nothing more to do; `is_cleared`: a message has taken the status away."""
        await self.hide()
        if self._was_set and not is_cleared:
            await self._call("status", "assistant.threads.setStatus", status="")
        if self._is_session:
            await self._call("sessions", "agents.sessions.setStatus", status="active")

    async def _keep(self) -> None:
        await self._open_session()
        while self._progress is not None:
            self._is_new.clear()
            line = status_line(self._progress)
            self._was_set = True  # before it is: nothing is noted after a cancellation
            await self._call("status", "assistant.threads.setStatus", status=line, loading_messages=[line])
            # Not wait_for: in Python 3.11 it can swallow the cancellation, and `hide` would wait for another round.
            with suppress(TimeoutError):
                async with asyncio.timeout(REPEAT):
                    await self._is_new.wait()

    async def _open_session(self) -> None:
        """While a session is processing, Slack shows a button that stops it."""
        self._is_session = True
        self._is_session = await self._call("sessions", "agents.sessions.setStatus", status="processing")

    async def _call(self, feature: str, method: str, **arguments: object) -> bool:
        """Whether it worked; what the workspace lacks is not asked for again."""
        if feature in self._api.pace.lacks:
            return False
        try:
            await self._api.call(method, self._place | arguments, tries=1)
        except SlackRefusedError as error:
            log.info("%s did not work: %s", method, error)
            if error.code in NOT_THERE:
                self._api.pace.lacks.add(feature)
            return False
        except PlatformError as error:
            log.info("%s did not work this time: %s", method, error)
            return False
        return True


def status_line(progress: Progress) -> str:
    """As it stands behind the app's name."""
    said = progress.text.rstrip(".… ")
    if progress.stage == "waiting":
        return f"will answer soon: {said}"
    return f"is {said[:1].lower()}{said[1:]}…"
