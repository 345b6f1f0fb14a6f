"""To which talk a message belongs: what `thread_id` means on Discord.

A Discord thread, a direct conversation and a post in a forum are each one talk. In a channel a talk is a chain of
replies: it begins with a message that names the bot, and goes on with replies to the bot's answers, or in a thread
that was opened on one of them. It has the id of its first message.
"""

import asyncio
from dataclasses import replace

from adapters.discord.events import PLATFORM, Heard
from bot.inbox import Inbox
from bot.messages import IncomingMessage
from bot.outbox import Outbox

NOTED_AFTER = 1.0
"""Seconds after which the id of an answer is written down surely, when somebody replies as soon as they see it."""


class Talks:
    """Finds talks in what the bot has written down; asks Discord nothing. May raise `DatabaseError`."""

    def __init__(self, inbox: Inbox, outbox: Outbox) -> None:
        self._inbox = inbox
        self._outbox = outbox

    async def joined(self, heard: Heard) -> IncomingMessage:
        """The message in its talk."""
        found = await asyncio.to_thread(self._joined, heard)
        if found is None and heard.is_to_me:
            await asyncio.sleep(NOTED_AFTER)
            found = await asyncio.to_thread(self._joined, heard)
        # A reply to somebody else; or to something of the bot's that is forgotten, when it is pinged by it.
        return found or replace(heard.message, addressed="mention" if heard.is_pinged else "channel")

    def _joined(self, heard: Heard) -> IncomingMessage | None:
        """None when it is a reply to what is no part of any talk."""
        message = heard.message
        if message.addressed == "direct":
            return message
        if heard.in_thread:  # one that was opened on a message has the id of the message
            talk = self._of_message(message.conversation_id, message.thread_id)
            return replace(message, thread_id=talk) if talk else message
        if not heard.replied_to:
            return message
        if talk := self._of_answer(message.conversation_id, heard.replied_to):
            return replace(message, thread_id=talk)
        if message.addressed == "mention":
            talk = self._of_question(message.conversation_id, heard.replied_to)
            return replace(message, thread_id=talk or message.thread_id)
        return None

    def _of_message(self, conversation_id: str, message_id: str) -> str | None:
        return self._of_answer(conversation_id, message_id) or self._of_question(conversation_id, message_id)

    def _of_answer(self, conversation_id: str, ref: str) -> str | None:
        turn_id = self._outbox.turn_of(PLATFORM, conversation_id, ref)
        asked = self._inbox.message(turn_id) if turn_id else None
        return asked.thread_id if asked else None

    def _of_question(self, conversation_id: str, message_id: str) -> str | None:
        turn_id = self._inbox.find(PLATFORM, conversation_id, message_id)
        asked = self._inbox.message(turn_id) if turn_id else None
        return asked.thread_id if asked else None
