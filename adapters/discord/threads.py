"""Threads that the bot opens on long talks, so that the channel stays readable."""

import asyncio
import logging

import discord

from adapters.discord.api import call
from adapters.discord.errors import HAS_THREAD, DiscordRefusedError
from adapters.discord.events import PLATFORM, Way
from adapters.pacing import Pace
from bot.errors import PlatformError
from bot.messages import IncomingMessage
from feedback.store import FeedbackStore

log = logging.getLogger(__name__)

LONG_TALK = 3
"""Answers in one chain of replies after which a thread is opened on the last."""
_NAME = 80
"""Characters; Discord takes 100."""


class Threads:
    """Opens them; what does not work is logged, and the talk goes on in the channel."""

    def __init__(self, client: discord.Client, pace: Pace, feedback: FeedbackStore) -> None:
        self._client = client
        self._pace = pace
        self._feedback = feedback

    async def opened(self, message: IncomingMessage, ref: str) -> None:
        """Open one on `ref`, the answer to `message`, when the talk has become long."""
        way = Way.of(message)
        is_in_channel = way.channel_id == message.conversation_id != message.thread_id
        if not (message.workspace_id and is_in_channel) or message.is_private:
            return
        turns = await asyncio.to_thread(
            self._feedback.history,
            PLATFORM,
            message.conversation_id,
            message.thread_id,
            limit=LONG_TALK,
        )
        if len(turns) < LONG_TALK:
            return
        channel = self._client.get_partial_messageable(
            int(way.channel_id), guild_id=int(message.workspace_id)
        )
        name = " ".join(turns[0].question.split())[:_NAME] or "The talk goes on"
        answer = channel.get_partial_message(int(ref))
        try:
            await call(
                self._pace,
                "opening a thread",
                lambda: answer.create_thread(name=name),
                of=way.channel_id,
                is_repeatable=False,
            )
        except PlatformError as error:
            if not (isinstance(error, DiscordRefusedError) and error.code == HAS_THREAD):
                log.info("no thread is opened for turn %s: %s", message.turn_id, error)
