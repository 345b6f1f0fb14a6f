"""Answers that only the asker sees, and what commands have to tell.

Slack keeps such messages nowhere: they cannot be streamed, changed, or found again. So they are told at once, and
told again only when the outbox does not say that they were. When the connection breaks before Slack has answered,
the asker may see one twice; silence would be worse.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from functools import partial

from adapters.slack.api import Answer, SlackApi, Then
from adapters.slack.blocks import Json
from adapters.slack.contents import Content
from adapters.slack.errors import UNSHOWABLE, SlackRefusedError
from bot.messages import IncomingMessage
from bot.outbox import Outbox

log = logging.getLogger(__name__)

TOLD = "told"
"""In place of an id, which these messages do not have."""


class Whispers:
    """Tells the asker alone."""

    def __init__(self, message: IncomingMessage, api: SlackApi, outbox: Outbox) -> None:
        self._message = message
        self._api = api
        self._outbox = outbox
        self._url = json.loads(message.reply_to).get("response_url", "") if message.reply_to else ""

    async def settle(self, contents: Sequence[Content]) -> None:
        posts = await asyncio.to_thread(self._outbox.posts, self._message.turn_id)
        told = {post.part for post in posts if post.ref}
        for part, content in enumerate(contents):
            if part not in told:
                await asyncio.to_thread(self._outbox.intend, self._message, part)
                said = {"text": content.text, "blocks": list(content.blocks)}
                await self._tell(said, then=partial(self._note, part))

    async def withdraw(self) -> None:
        return

    async def offer(self, said: Json) -> None:
        """Tell something beside the answer, of which no note is taken."""
        await self._tell(said, then=_unnoted)

    async def _note(self, part: int, _: Answer) -> None:
        await asyncio.to_thread(self._outbox.posted, self._message, part, TOLD)

    async def _tell(self, said: Json, *, then: Then) -> None:
        """Over the address that came with the command while it is good, else as an ephemeral message."""
        if not (self._url and await self._respond(said, then)):
            await self._api.call("chat.postEphemeral", said | self._place(), then=then)

    async def _respond(self, said: Json, then: Then) -> bool:
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

    def _place(self) -> Json:
        message = self._message
        place = {"channel": message.conversation_id, "user": message.user_id}
        # An ephemeral reply is shown only in a thread that has begun.
        if message.message_id and message.thread_id != message.message_id:
            place["thread_ts"] = message.thread_id
        return place


async def _unnoted(_: Answer) -> None:
    return
