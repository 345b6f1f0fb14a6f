"""Finding a message of ours of which Slack's id never reached us.

What we post carries metadata that names answer and part. A stream carries none before it is stopped; so a message of
ours in the thread, since the question, that is no part of any other answer is taken for the stream that is missing.
That is safe as long as everything the bot says in threads is written to the outbox and a thread gets one answer at
a time.
"""

import asyncio
from collections.abc import AsyncIterator, Collection

from adapters.slack.api import SlackApi
from adapters.slack.blocks import Json
from adapters.slack.events import place_of
from bot.messages import IncomingMessage
from bot.outbox import Outbox

PAGE = 200
EVENT_TYPE = "parley_answer"


def marker(turn_id: str, part: int) -> Json:
    """The metadata of a message of ours."""
    return {"event_type": EVENT_TYPE, "event_payload": {"turn_id": turn_id, "part": part}}


class Traces:
    """Looks where an answer would have been posted."""

    def __init__(
        self, message: IncomingMessage, api: SlackApi, outbox: Outbox, *, bot_user_id: str, thread_ts: str
    ) -> None:
        self._message = message
        self._api = api
        self._outbox = outbox
        self._bot_user_id = bot_user_id
        self._thread_ts = thread_ts

    async def find(self, part: int, *, taken: Collection[str]) -> str | None:
        """The `ts` of that part, which is none of `taken`; None when it is not there. Raises `PlatformError`."""
        wanted = marker(self._message.turn_id, part)
        unmarked: list[str] = []
        async for found in self._own_messages():
            metadata = found.get("metadata") or {}
            if metadata == wanted:
                return str(found["ts"])
            if metadata.get("event_type") != EVENT_TYPE and found["ts"] not in taken:
                unmarked.append(str(found["ts"]))
        for ts in unmarked if self._thread_ts else ():
            if await self._turn_of(ts) in {None, self._message.turn_id}:
                return ts
        return None

    async def _turn_of(self, ts: str) -> str | None:
        message = self._message
        return await asyncio.to_thread(self._outbox.turn_of, message.platform, message.conversation_id, ts)

    async def _own_messages(self) -> AsyncIterator[Json]:
        """Of the thread since the question; without a thread, of the latest in the conversation."""
        arguments: Json = {
            "channel": self._message.conversation_id,
            "include_all_metadata": True,
            "limit": PAGE,
        }
        if self._thread_ts:
            arguments |= {"ts": self._thread_ts, "oldest": place_of(self._message).message_ts}
        method = "conversations.replies" if self._thread_ts else "conversations.history"
        while True:
            answer = await self._api.call(method, arguments)
            for found in answer.get("messages") or ():
                if found.get("user") == self._bot_user_id:
                    yield found
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor or not self._thread_ts:
                return
            arguments["cursor"] = cursor
