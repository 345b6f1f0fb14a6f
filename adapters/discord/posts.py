"""The messages of one answer on Discord, each there exactly once.

The outbox is told before a message is posted and again with Discord's id of it. When that id never came (the process
ended, the connection broke), the message is posted again with the same nonce, which makes no second one for some
minutes; after a restart it is looked for first (`homes`). Everything else is done by changing the message, and doing
that twice does no harm.

Not guaranteed: a message of an answer that could not be found because the bot may not read the channel's history is
posted a second time when the restart took longer than Discord remembers nonces. So is one without a question to refer
to whose text is another by then, as the progress of a command.
"""

import asyncio
import hashlib
import logging
from dataclasses import dataclass

from adapters.discord.contents import Content
from adapters.discord.errors import GONE, DiscordLostError, DiscordRefusedError
from adapters.discord.homes import Home
from adapters.pacing import unbroken
from bot.messages import IncomingMessage
from bot.outbox import Outbox

log = logging.getLogger(__name__)

NONCE = 25
"""Characters at most."""


@dataclass(slots=True)
class Post:
    """A message of ours."""

    ref: str
    shown: Content | None = None
    """None: as an earlier process left it."""


class Posts:
    """Posts, changes and deletes the parts of one answer."""

    def __init__(self, message: IncomingMessage, home: Home, outbox: Outbox) -> None:
        self.known: dict[int, Post] = {}
        self._message = message
        self._home = home
        self._outbox = outbox
        self._doubtful: set[int] = set()
        """Parts that may be there without our knowing where."""
        self._remade = 0
        """How often a message was taken away; a nonce must not bring back one that is gone."""
        self._is_recovered = False

    @property
    def budget(self) -> str:
        """Of what changes have a budget."""
        return self._home.budget

    @property
    def was_begun(self) -> bool:
        """Whether an earlier process, or an earlier try, has shown anything."""
        return bool(self.known or self._doubtful)

    async def recover(self) -> None:
        """Learn what an earlier process posted, before anything else. Does nothing the second time."""
        if self._is_recovered:
            return
        for post in await asyncio.to_thread(self._outbox.posts, self._message.turn_id):
            if post.ref is None:
                self._doubtful.add(post.part)
            else:
                self.known[post.part] = Post(post.ref)
        self._is_recovered = True

    async def put(self, part: int, content: Content, *, is_paid: bool = False) -> None:
        """Make the part show this: posted when it is not there yet, else changed, or left when it does already.

        `is_paid`: a change has been waited for already.
        """
        was_doubtful = part in self._doubtful
        await self._look_for(part, content)
        if part not in self.known:
            await self._create(part, content)
            if was_doubtful:  # the nonce may have brought the one back that was there, as it was
                await self._change(self.known[part], content, is_paid=False)
            return
        post = self.known[part]
        if post.shown == content:
            return
        try:
            await self._change(post, content, is_paid=is_paid)
        except DiscordRefusedError as error:
            if error.code not in GONE:
                raise
            await unbroken(self._forget(part))
            await self._create(part, content)

    async def drop(self, *, start: int = 0) -> None:
        """Delete the parts from `start` on."""
        for part in sorted({*self.known, *self._doubtful}):
            if part >= start:
                await self._look_for(part, None)
                await self._delete(part)

    # One message.

    async def _create(self, part: int, content: Content) -> None:
        async def note(ref: str) -> None:
            self.known[part] = Post(ref, content)
            self._doubtful.discard(part)
            await asyncio.to_thread(self._outbox.posted, self._message, part, ref)

        await asyncio.to_thread(self._outbox.intend, self._message, part)
        try:
            await self._home.post(content, part=part, nonce=self._nonce(part), note=note)
        except DiscordLostError:
            self._doubtful.add(part)
            raise

    async def _change(self, post: Post, content: Content, *, is_paid: bool) -> None:
        post.shown = None  # for as long as nobody knows
        await self._home.change(post.ref, content, is_paid=is_paid)
        post.shown = content

    async def _delete(self, part: int) -> None:
        if part in self.known:
            try:
                await self._home.delete(self.known[part].ref)
            except DiscordRefusedError as error:
                if error.code not in GONE:
                    raise
        await unbroken(self._forget(part))

    async def _forget(self, part: int) -> None:
        self.known.pop(part, None)
        self._doubtful.discard(part)
        self._remade += 1
        await asyncio.to_thread(self._outbox.withdrawn, self._message.turn_id, part)

    async def _look_for(self, part: int, content: Content | None) -> None:
        if part not in self._doubtful:
            return
        try:
            ref = await self._home.find(content, part=part, is_free=self._is_free)
        except DiscordRefusedError as error:
            log.warning(
                "whether part %d of turn %s is there cannot be seen: %s", part, self._message.turn_id, error
            )
            ref = None
        self._doubtful.discard(part)
        if ref is not None:
            self.known[part] = Post(ref)
            await asyncio.to_thread(self._outbox.posted, self._message, part, ref)

    async def _is_free(self, ref: str) -> bool:
        if any(post.ref == ref for post in self.known.values()):
            return False
        message = self._message
        owner = await asyncio.to_thread(self._outbox.turn_of, message.platform, message.conversation_id, ref)
        return owner in {None, message.turn_id}

    def _nonce(self, part: int) -> str:
        seed = f"{self._message.turn_id}:{part}:{self._remade}"
        return hashlib.sha256(seed.encode()).hexdigest()[:NONCE]
