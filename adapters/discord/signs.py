"""That the bot works on an answer, as Discord shows it while there is no text yet: "Parley is typing"."""

import asyncio
import logging

import discord

from adapters.discord.api import call
from adapters.pacing import Pace
from bot.errors import PlatformError

log = logging.getLogger(__name__)

REPEAT = 8.0
"""Seconds; Discord forgets it after ten."""


class Typing:
    """In one channel; nothing here fails an answer. A channel of "" has none."""

    def __init__(self, client: discord.Client, pace: Pace, *, channel_id: str) -> None:
        self._client = client
        self._pace = pace
        self._channel_id = channel_id
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """From now on, until `stop`."""
        if self._task is None and self._channel_id:
            self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """No more of it is under way when this returns, so that none comes after the answer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep(self) -> None:
        channel = self._client.get_partial_messageable(int(self._channel_id))
        while True:
            try:
                await call(self._pace, "typing", channel.typing, of=self._channel_id, tries=1)
            except PlatformError as error:
                log.info("typing is not shown: %s", error)
                return
            await asyncio.sleep(REPEAT)
