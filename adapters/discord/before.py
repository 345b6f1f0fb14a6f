"""What people said before the bot was asked: in a thread since the bot last spoke there, in a channel the messages to
which the question replies. Left out when Discord does not show it.
"""

import logging

import discord

from adapters.discord.api import call
from adapters.discord.events import SAID, Way, plain
from adapters.pacing import Pace
from bot.errors import PlatformError
from bot.messages import IncomingMessage, Said

log = logging.getLogger(__name__)

CONTEXT = 30
"""Messages that are shown to the assistant."""
CHAIN = 5
"""Messages that are followed back along a chain of replies."""


class Before:
    """Reads what stands before a question."""

    def __init__(self, client: discord.Client, pace: Pace) -> None:
        self._client = client
        self._pace = pace

    async def of(self, message: IncomingMessage) -> tuple[Said, ...]:
        """Oldest first, without the bot's own part."""
        way = Way.of(message)
        if message.addressed not in {"mention", "shortcut"} or message.is_private or not way.question_id:
            return ()
        in_thread = message.thread_id == way.channel_id or way.channel_id != message.conversation_id
        try:
            if in_thread:
                return await self._in_thread(int(way.channel_id), int(way.question_id))
            return await self._along_replies(int(way.channel_id), way.replied_to)
        except PlatformError as error:
            log.warning("what was said before turn %s cannot be read: %s", message.turn_id, error)
            return ()

    async def _in_thread(self, channel_id: int, question_id: int) -> tuple[Said, ...]:
        channel = self._client.get_partial_messageable(channel_id)

        async def read() -> list[discord.Message]:
            history = channel.history(limit=CONTEXT, before=discord.Object(question_id))
            return [found async for found in history]

        newest_first = await call(self._pace, "reading", read, of=str(channel_id))
        said: list[Said] = []
        for found in map(_started, newest_first):
            if found is None:
                continue
            if self._is_mine(found):
                break
            if one := _said(found):
                said.append(one)
        return tuple(reversed(said))

    async def _along_replies(self, channel_id: int, message_id: str) -> tuple[Said, ...]:
        channel = self._client.get_partial_messageable(channel_id)
        said: list[Said] = []
        while message_id and len(said) < CHAIN:
            found = await call(
                self._pace,
                "reading",
                channel.get_partial_message(int(message_id)).fetch,
                of=str(channel_id),
            )
            if self._is_mine(found):
                break
            if one := _said(found):
                said.append(one)
            is_reply = found.type is discord.MessageType.reply and found.reference is not None
            message_id = str(found.reference.message_id or "") if is_reply and found.reference else ""
        return tuple(reversed(said))

    def _is_mine(self, found: discord.Message) -> bool:
        return self._client.user is not None and found.author.id == self._client.user.id


def _started(found: discord.Message) -> discord.Message | None:
    """The message on which a thread was opened, in place of the sign for it."""
    if found.type is not discord.MessageType.thread_starter_message:
        return found
    resolved = found.reference.resolved if found.reference else None
    return resolved if isinstance(resolved, discord.Message) else None


def _said(found: discord.Message) -> Said | None:
    text = plain(found.clean_content)
    return Said(found.author.display_name, text) if text and found.type in SAID else None
