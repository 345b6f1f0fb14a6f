"""The messages of one answer on Slack, each there exactly once.

The outbox is told before a message is posted and again with Slack's id of it. When that id never came (the process
ended, the connection broke) the message may be there, and is looked for before it is posted again (`traces`).
Everything else is done by changing the message, and doing that twice does no harm.

Not guaranteed: a message that Slack shows only later than `LOOK_AFTER` after the connection broke is posted twice,
and so is one in a conversation whose history the app may not read.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapters.pacing import unbroken
from adapters.slack.api import TRIES, Answer, SlackApi
from adapters.slack.blocks import Json, markdown_chunks
from adapters.slack.contents import UNFOLDED, Content
from adapters.slack.errors import GONE, SlackLostError, SlackRefusedError
from adapters.slack.traces import Traces, marker
from adapters.slack.whispers import WHISPERED
from bot.messages import IncomingMessage
from bot.outbox import Outbox

log = logging.getLogger(__name__)

LOOK_AFTER = 1.0
"""Seconds between a broken connection and the look for what it may have left."""


@dataclass(slots=True)
class Post:
    """A message of ours."""

    ref: str
    """Slack's `ts`."""
    shown: Content | None = None
    """None: as an earlier process left it."""
    is_streaming: bool = True
    """Or may be, and has to be stopped before it can be changed."""
    in_chunks: bool = False
    """How the stream has begun, and has to go on."""

    @property
    def streamed(self) -> str | None:
        """What the stream shows; None when it is none that can go on."""
        return self.shown.markdown if self.shown and self.is_streaming else None


class Posts:
    """Posts, streams, changes and deletes the parts of one answer."""

    def __init__(
        self, message: IncomingMessage, api: SlackApi, outbox: Outbox, *, bot_user_id: str, thread_ts: str
    ) -> None:
        self.known: dict[int, Post] = {}
        self.thread_ts = thread_ts
        self._message = message
        self._api = api
        self._outbox = outbox
        self._traces = Traces(message, api, outbox, bot_user_id=bot_user_id, thread_ts=thread_ts)
        self._doubtful: set[int] = set()
        """Parts that may be there without our knowing where."""
        self._is_recovered = False

    async def recover(self) -> None:
        """Learn what an earlier process posted, before anything else. Does nothing the second time."""
        if self._is_recovered:
            return
        noted = await asyncio.to_thread(self._outbox.posts, self._message.turn_id)
        posts = [post for post in noted if post.part < WHISPERED]
        self.known |= {post.part: Post(post.ref) for post in posts if post.ref is not None}
        self._doubtful |= {post.part for post in posts if post.ref is None}
        for part in sorted(self._doubtful):
            await self._look_for(part)
        self._is_recovered = True

    async def put(self, part: int, content: Content) -> None:
        """Make the part show this: posted when it is not there yet, else changed, or left when it does already."""
        for attempt in range(1, TRIES + 1):
            await self._look_for(part)
            try:
                await (self._change if part in self.known else self._create)(part, content)
            except SlackLostError:
                if attempt == TRIES:
                    raise
                await asyncio.sleep(LOOK_AFTER)
            else:
                return

    async def drop(self, *, start: int = 0) -> None:
        """Delete the parts from `start` on."""
        for part in sorted({*self.known, *self._doubtful}):
            if part >= start:
                await self._look_for(part)
                await self._delete(part)

    async def start(self, part: int, text: str, *, team_id: str, chunks: Sequence[Json] = ()) -> None:
        """Begin a stream with this text, below `chunks` when there are any."""
        arguments = {
            "channel": self._message.conversation_id,
            "thread_ts": self.thread_ts,
            "recipient_user_id": self._message.user_id,
            "recipient_team_id": team_id,
            **_added(text, chunks=chunks, in_chunks=bool(chunks)),
        }
        begun = Post("", _streamed(text), in_chunks=bool(chunks))
        await self._make(part, "chat.startStream", arguments, begun, tries=1)

    async def append(self, part: int, text: str) -> None:
        """Bring the stream to `text`, which begins with what it shows; the budget for that has been taken."""
        post = self.known[part]

        async def keep(_: Answer) -> None:
            post.shown = _streamed(text)

        added = _added(text[len(post.streamed or "") :], in_chunks=post.in_chunks)
        await self._api.call("chat.appendStream", self._place(post) | added, then=keep, tries=1, is_paid=True)

    async def stop(self, part: int, content: Content) -> None:
        """End the stream so that it shows this; by changing the message when streaming cannot do it."""
        post = self.known[part]
        if post.streamed is None or not content.markdown.startswith(post.streamed):
            await self._change(part, content)
            return

        async def keep(_: Answer) -> None:
            post.shown, post.is_streaming = content, False

        rest = content.markdown[len(post.streamed) :]
        arguments = self._place(post) | {"metadata": self._metadata(part)}
        arguments |= _added(rest, in_chunks=post.in_chunks)
        if content.below:
            arguments["blocks"] = list(content.below)
        try:
            await self._api.call("chat.stopStream", arguments, then=keep)
        except (SlackRefusedError, SlackLostError) as error:
            log.info("part %d of turn %s is ended by an edit: %s", part, self._message.turn_id, error)
            await self._change(part, content)

    # One message.

    async def _create(self, part: int, content: Content) -> None:
        arguments = {
            "channel": self._message.conversation_id,
            "metadata": self._metadata(part),
            **UNFOLDED,
            **content.said,
        }
        if self.thread_ts:
            arguments["thread_ts"] = self.thread_ts
        await self._make(part, "chat.postMessage", arguments, Post("", content, is_streaming=False))

    async def _make(self, part: int, method: str, arguments: Json, post: Post, *, tries: int = TRIES) -> None:
        async def keep(answer: Answer) -> None:
            await self._keep(part, replace(post, ref=str(answer["ts"])))

        await asyncio.to_thread(self._outbox.intend, self._message, part)
        self._doubtful.add(part)
        try:
            await self._api.call(method, arguments, then=keep, tries=tries)
        except SlackLostError:
            raise
        except Exception:
            self._doubtful.discard(part)  # it was surely not done
            raise

    async def _keep(self, part: int, post: Post) -> None:
        self.known[part] = post
        self._doubtful.discard(part)
        await asyncio.to_thread(self._outbox.posted, self._message, part, post.ref)

    async def _change(self, part: int, content: Content) -> None:
        post = self.known[part]
        if post.shown == content and not post.is_streaming:
            return
        await self._freeze(post, part)

        async def keep(_: Answer) -> None:
            post.shown = content

        arguments = self._place(post) | {"metadata": self._metadata(part), **content.said}
        try:
            await self._api.call("chat.update", arguments, then=keep)
        except SlackRefusedError as error:
            if error.code not in GONE:
                raise
            await unbroken(self._forget(part))
            await self._create(part, content)

    async def _freeze(self, post: Post, part: int) -> None:
        """A message cannot be changed while it streams."""
        if not post.is_streaming:
            return

        async def keep(_: Answer) -> None:
            post.is_streaming = False

        try:
            arguments = self._place(post) | {"metadata": self._metadata(part)}
            await self._api.call("chat.stopStream", arguments, then=keep)
        except SlackRefusedError:  # it has expired, was stopped, or never was a stream
            post.is_streaming = False

    async def _delete(self, part: int) -> None:
        if part in self.known:
            await self._freeze(self.known[part], part)
            try:
                await self._api.call("chat.delete", self._place(self.known[part]))
            except SlackRefusedError as error:
                if error.code not in GONE:
                    raise
        await unbroken(self._forget(part))

    async def _forget(self, part: int) -> None:
        self.known.pop(part, None)
        self._doubtful.discard(part)
        await asyncio.to_thread(self._outbox.withdrawn, self._message.turn_id, part)

    async def _look_for(self, part: int) -> None:
        if part not in self._doubtful:
            return
        try:
            ref = await self._traces.find(part, taken={post.ref for post in self.known.values()})
        except SlackRefusedError as error:
            log.warning("turn %s may be answered twice, for I may not look: %s", self._message.turn_id, error)
            ref = None
        if ref is None:
            self._doubtful.discard(part)
        else:
            await unbroken(self._keep(part, Post(ref)))

    def _place(self, post: Post) -> Json:
        return {"channel": self._message.conversation_id, "ts": post.ref}

    def _metadata(self, part: int) -> Json:
        return marker(self._message.turn_id, part)


def _streamed(text: str) -> Content:
    return Content(text="", markdown=text)


def _added(text: str, *, chunks: Sequence[Json] = (), in_chunks: bool) -> Json:
    """As the streaming methods take it."""
    if in_chunks:
        return {"chunks": [*chunks, *markdown_chunks(text)]} if chunks or text else {}
    return {"markdown_text": text} if text else {}
