"""How far a command is, for everybody, when it was given in a way that only its asker sees the reply to.

The message is the bot's own, in the channel where the command was given, so it does not depend on a token that ends
after fifteen minutes. To the outbox it is the answer to a message of its own: after a restart it is found again, and
never taken for what the asker alone sees.
"""

import logging
from dataclasses import replace

from adapters.discord.contents import Content
from adapters.discord.homes import ChannelHome, WhisperHome
from adapters.discord.posts import Posts
from bot.errors import PlatformError
from bot.messages import IncomingMessage
from bot.outbox import Outbox

log = logging.getLogger(__name__)

FOLLOW = "Everybody here can follow it: "
LINK = "https://discord.com/channels/{guild}/{channel}/{message}"


class Aloud:
    """One such message."""

    def __init__(
        self, message: IncomingMessage, *, home: ChannelHome, whisper: WhisperHome, outbox: Outbox
    ) -> None:
        """`message` is the command, `home` its channel, `whisper` where only its asker sees what is said."""
        own = replace(message, event_id=f"report:{message.event_id}")
        self.posts = Posts(own, home, outbox)
        self._message = message
        self._home = home
        self._whisper = whisper
        self._has_pointed = False

    async def show(self, content: Content, *, tell: Posts, is_paid: bool) -> None:
        """Make the message show this, and point to it; see `point`. Raises `PlatformError`."""
        await self.posts.recover()
        await self.posts.put(0, content, is_paid=is_paid)
        await self.point(tell=tell)

    async def point(self, *, tell: Posts) -> None:
        """Tell the asker once, by `tell`, where it is, if Discord shows them that something is to come; never fails."""
        if self._has_pointed or not self._whisper.is_awaited:
            return
        self._has_pointed = True
        link = LINK.format(
            guild=self._message.workspace_id or "@me",
            channel=self._home.budget,
            message=self.posts.known[0].ref,
        )
        try:
            await tell.recover()
            await tell.put(0, Content(FOLLOW + link))
        except PlatformError as error:
            log.info("the asker of turn %s is not told where to look: %s", self._message.turn_id, error)
