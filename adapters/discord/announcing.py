"""What the bot says in a channel without being asked: what its admins should know, and the week's digest.

It notifies nobody and leads nowhere. When the connection breaks between two parts of a long text, those that were not
posted are missing.
"""

import uuid

import discord

from adapters.discord.api import call
from adapters.discord.contents import said
from adapters.discord.errors import DiscordRefusedError
from adapters.pacing import Pace
from adapters.render import clean
from bot.errors import PlatformError


async def announce(client: discord.Client, pace: Pace, channel_id: str, markdown: str) -> None:
    """Post it, in as many messages as it takes; raises `PlatformError`."""
    if not channel_id.isdigit():
        raise PlatformError(
            f"“{channel_id}” is no channel of Discord; name it by its number (Developer Mode, Copy Channel ID)."
        )
    channel = client.get_partial_messageable(int(channel_id))
    for content in said()(clean(markdown, allowed_links=()), "usual"):
        nonce = uuid.uuid4().hex[:25]  # makes a second try the same message
        try:
            await call(
                pace,
                "posting",
                lambda: channel.send(content.text, nonce=nonce, suppress_embeds=True),  # noqa: B023 - awaited here
                of=channel_id,
            )
        except DiscordRefusedError as error:
            raise PlatformError(
                f"I cannot post in channel {channel_id} of Discord ({error.code}); check that it is there, and give "
                "my role View Channel and Send Messages in it."
            ) from error
