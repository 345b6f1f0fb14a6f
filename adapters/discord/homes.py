"""Where the messages of an answer live: in a channel, for everybody there, or behind a command, for its asker alone.

In a channel, Discord drops a message that is posted twice with one nonce within some minutes; after that, the channel
is looked through. What an asker alone sees is kept nowhere: when the connection breaks while a second message of it is
sent, it may be there twice; the first cannot, as it takes the place of the promise that Discord shows.

The token of a command is good for fifteen minutes. What is left of the answer then goes to the asker directly.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import discord

from adapters.discord.api import call
from adapters.discord.buttons import embeds_of, turns_of, view_of
from adapters.discord.contents import Content
from adapters.discord.errors import SPENT, DiscordRefusedError
from adapters.discord.events import Way
from adapters.pacing import Pace

TOKEN_SECONDS = 14 * 60.0
"""For which the token of a command is used; it is good for 15 minutes."""
LOOKED_THROUGH = 200
"""Messages after the question among which an answer is looked for."""

Note = Callable[[str], Awaitable[None]]
"""Writes down the id of a message that was just posted."""
IsFree = Callable[[str], Awaitable[bool]]
"""Whether a message belongs to no other answer, nor is known to be another part of this one."""


class Home(Protocol):
    """Posts, changes, deletes and finds messages. Every method raises `PlatformError`."""

    @property
    def budget(self) -> str:
        """Of what its requests have a budget: the channel, or the token."""

    async def post(self, content: Content, *, part: int, nonce: str, note: Note) -> None: ...

    async def change(self, ref: str, content: Content, *, is_paid: bool) -> None: ...

    async def delete(self, ref: str) -> None: ...

    async def find(self, content: Content | None, *, part: int, is_free: IsFree) -> str | None:
        """The id of a part that may have been posted; `content` is what it would show, as far as that is known."""


class ChannelHome:
    """A channel, a thread, or a direct conversation."""

    def __init__(
        self,
        client: discord.Client,
        pace: Pace,
        *,
        channel_id: str,
        question_id: str,
        turn_id: str,
        since: str,
    ) -> None:
        """`since` is the id of the message or command that is answered, or any as old."""
        self._client = client
        self._pace = pace
        self._channel_id = channel_id
        self._question_id = question_id
        self._turn_id = turn_id
        self._since = since

    @property
    def budget(self) -> str:
        return self._channel_id

    @property
    def channel(self) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(int(self._channel_id))

    async def post(self, content: Content, *, part: int, nonce: str, note: Note) -> None:
        said: dict[str, Any] = {"content": content.text, "nonce": nonce}
        if content.below:
            said["embeds"] = embeds_of(content)
        if view := view_of(content):
            said["view"] = view
        if part == 0 and self._question_id:
            said["reference"] = discord.MessageReference(
                message_id=int(self._question_id), channel_id=int(self._channel_id), fail_if_not_exists=False
            )

        async def keep(posted: discord.Message) -> None:
            await note(str(posted.id))

        # Repeatable: the nonce makes a second one the same.
        await call(self._pace, "posting", lambda: self.channel.send(**said), of=self._channel_id, then=keep)

    async def change(self, ref: str, content: Content, *, is_paid: bool) -> None:
        message = self.channel.get_partial_message(int(ref))
        await call(
            self._pace,
            "editing",
            lambda: message.edit(content=content.text, embeds=embeds_of(content), view=view_of(content)),
            of=self._channel_id,
            is_paid=is_paid,
        )

    async def delete(self, ref: str) -> None:
        message = self.channel.get_partial_message(int(ref))
        await call(self._pace, "deleting", message.delete, of=self._channel_id)

    async def find(self, content: Content | None, *, part: int, is_free: IsFree) -> str | None:
        for found in await call(self._pace, "reading", self._mine, of=self._channel_id):
            if self._is_it(found, content, part=part) and await is_free(str(found.id)):
                return str(found.id)
        return None

    async def _mine(self) -> list[discord.Message]:
        me = self._client.user
        after = discord.Object(int(self._since))
        history = self.channel.history(limit=LOOKED_THROUGH, after=after, oldest_first=True)
        return [found async for found in history if me is not None and found.author.id == me.id]

    def _is_it(self, found: discord.Message, content: Content | None, *, part: int) -> bool:
        """By its buttons, by the question it refers to, else by what it says."""
        if turns := turns_of(found):
            return self._turn_id in turns
        if found.reference is not None:
            return part == 0 and str(found.reference.message_id) == self._question_id
        said = content.text.strip() if content else ""  # as Discord does
        return bool(said) and found.content.strip() == said


class WhisperHome:
    """Behind a command."""

    def __init__(
        self, client: discord.Client, pace: Pace, *, way: Way, user_id: str, event_id: str, turn_id: str
    ) -> None:
        self._client = client
        self._pace = pace
        self._way = way
        self._user_id = user_id
        self._event_id = event_id
        self._turn_id = turn_id
        self._direct: ChannelHome | None = None

    @property
    def budget(self) -> str:
        return self._way.token

    @property
    def is_awaited(self) -> bool:
        """Whether Discord shows the asker that something is to come."""
        return bool(self._way.response_id) and self.seconds_left > 0

    @property
    def seconds_left(self) -> float:
        """For which the token is used."""
        given = discord.utils.snowflake_time(int(self._event_id)).timestamp()
        return given + TOKEN_SECONDS - time.time()

    async def post(self, content: Content, *, part: int, nonce: str, note: Note) -> None:
        if not await self._by_token(lambda: self._post(content, part=part, note=note)):
            await (await self._moved()).post(content, part=part, nonce=nonce, note=note)

    async def change(self, ref: str, content: Content, *, is_paid: bool) -> None:
        if not await self._by_token(lambda: self._edit(ref, content, is_paid=is_paid)):
            await (await self._moved()).change(ref, content, is_paid=is_paid)

    async def delete(self, ref: str) -> None:
        async def delete() -> None:
            await call(
                self._pace, "deleting", lambda: self._webhook.delete_message(int(ref)), of=self._way.token
            )

        if not await self._by_token(delete):
            await (await self._moved()).delete(ref)

    async def find(self, content: Content | None, *, part: int, is_free: IsFree) -> str | None:
        if self.seconds_left > 0:
            return None
        return await (await self._moved()).find(content, part=part, is_free=is_free)

    async def _by_token(self, work: Callable[[], Awaitable[None]]) -> bool:
        """False when the token is not good any more, and nothing was done."""
        if self._direct is not None or self.seconds_left <= 0:
            return False
        try:
            await work()
        except DiscordRefusedError as error:
            if error.code in SPENT:
                return False
            raise
        return True

    async def _post(self, content: Content, *, part: int, note: Note) -> None:
        if part == 0 and self._way.response_id:
            await self._edit(self._way.response_id, content)
            await note(self._way.response_id)
            return
        said: dict[str, Any] = {"content": content.text, "embeds": embeds_of(content)}
        if view := view_of(content):
            said["view"] = view

        async def send() -> discord.Message:
            return cast("discord.Message", await self._webhook.send(wait=True, ephemeral=True, **said))

        async def keep(posted: discord.Message) -> None:
            await note(str(posted.id))

        await call(self._pace, "posting", send, of=self._way.token, then=keep)

    async def _edit(self, ref: str, content: Content, *, is_paid: bool = False) -> None:
        said: dict[str, Any] = {
            "content": content.text,
            "embeds": embeds_of(content),
            "view": view_of(content),
        }
        await call(
            self._pace,
            "editing",
            lambda: self._webhook.edit_message(int(ref), **said),
            of=self._way.token,
            is_paid=is_paid,
        )

    @property
    def _webhook(self) -> discord.Webhook:
        webhook = discord.Webhook.partial(int(self._way.application_id), self._way.token, client=self._client)
        webhook.type = discord.WebhookType.application
        return webhook

    async def _moved(self) -> ChannelHome:
        """The direct conversation with the asker."""
        if self._direct is None:
            channel = await call(
                self._pace,
                "reading",
                lambda: self._client.create_dm(discord.Object(int(self._user_id))),
                of=self._user_id,
            )
            self._direct = ChannelHome(
                self._client,
                self._pace,
                channel_id=str(channel.id),
                question_id="",
                turn_id=self._turn_id,
                since=self._event_id,
            )
        return self._direct
