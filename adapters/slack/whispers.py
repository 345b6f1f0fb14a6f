"""Answers that only the asker sees, and what commands have to tell.

Slack keeps such messages nowhere: they cannot be streamed, changed, or found again. So they are told at once, and
told again only when the outbox does not say that they were. When the connection breaks before Slack has answered,
the asker may see one twice; silence would be worse. Where the bot can tell nobody anything, for it is not a member
there, it writes to the asker directly.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from adapters.slack.api import Answer, SlackApi, Then
from adapters.slack.blocks import Json
from adapters.slack.contents import UNFOLDED, Content, elsewhere
from adapters.slack.errors import UNSHOWABLE, SlackRefusedError
from adapters.slack.events import place_of
from bot.messages import IncomingMessage
from bot.outbox import Outbox

log = logging.getLogger(__name__)

WHISPERED = 1_000
"""Parts in the outbox are counted from here, for the same turn can have messages that everybody sees: an answer that
was shared, or one whose end could not be shown."""
TOLD = "told"
"""In place of an id, which these messages do not have."""


class Whispers:
    """Tells the asker alone."""

    def __init__(self, message: IncomingMessage, api: SlackApi, outbox: Outbox) -> None:
        self._message = message
        self._api = api
        self._outbox = outbox
        self._place = place_of(message)
        self._url = self._place.response_url

    async def settle(self, contents: Sequence[Content]) -> None:
        posts = await asyncio.to_thread(self._outbox.posts, self._message.turn_id)
        told = {post.part for post in posts if post.ref}
        for part, content in enumerate(contents, start=WHISPERED):
            if part not in told:
                await asyncio.to_thread(self._outbox.intend, self._message, part)
                await self._tell(content, partial(self._note, part))

    async def withdraw(self) -> None:
        return

    async def offer(self, said: Json) -> None:
        """Tell something beside the answer, of which no note is taken."""
        await self._whisper(said, _unnoted)

    async def _note(self, part: int, _: Answer) -> None:
        await asyncio.to_thread(self._outbox.posted, self._message, part, TOLD)

    async def _tell(self, content: Content, then: Then) -> None:
        """Where it was asked, else directly; raises what Slack said to the first of them."""
        try:
            await self._whisper(content.said, then)
        except SlackRefusedError as error:
            if error.code in UNSHOWABLE:
                raise
            log.info("the asker of turn %s is told directly: %s", self._message.turn_id, error)
            try:
                await self._write(content, then)
            except SlackRefusedError as refused:
                raise (refused if refused.code in UNSHOWABLE else error) from refused

    async def _write(self, content: Content, then: Then) -> None:
        """In the direct conversation with the asker, saying what it is about."""
        told = elsewhere(content, asked_in=self._message.conversation_id)
        where = {"channel": self._message.user_id}
        await self._api.call("chat.postMessage", told.said | where | UNFOLDED, then=then)

    async def _whisper(self, said: Json, then: Then) -> None:
        """Over the address that came with the command while it is good, else as an ephemeral message.

        In a thread it is the other way round: what comes over the address stands outside of it.
        """
        thread = self._thread()
        if not thread and await self._respond(said, then):
            return
        where = {"channel": self._message.conversation_id, "user": self._message.user_id}
        try:
            await self._api.call("chat.postEphemeral", said | where | thread, then=then)
        except SlackRefusedError as error:
            if error.code in UNSHOWABLE or not await self._respond(said, then):
                raise

    async def _respond(self, said: Json, then: Then) -> bool:
        """Whether it could be said so."""
        if not self._url:
            return False
        private = said | {"response_type": "ephemeral", "replace_original": False}
        try:
            await self._api.respond(self._url, private, then=then)
        except SlackRefusedError as error:
            if error.code in UNSHOWABLE:
                raise
            log.info("the response address of turn %s is spent: %s", self._message.turn_id, error)
            self._url = ""
            return False
        return True

    def _thread(self) -> Json:
        """An ephemeral reply is shown only in a thread that has begun."""
        thread_ts = self._place.thread_ts
        return {"thread_ts": thread_ts} if thread_ts and thread_ts != self._place.message_ts else {}


async def _unnoted(_: Answer) -> None:
    return
