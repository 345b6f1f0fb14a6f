"""Who can see a channel, as far as that can be said of all of them: pure, and strict in doubt.

A role is named only when the channel is shown to that role alone. Those who administer the server see every channel,
and other bots those to which somebody let them; neither counts, as it was they or the admins who decided it.
"""

from collections.abc import Iterator

import discord

from adapters.discord.events import PLATFORM
from knowledge.access import EVERYONE

_OPEN_SERVERS = frozenset({"DISCOVERABLE", "PREVIEW_ENABLED"})
"""Of servers whose public channels people can read without joining."""


def principals_of(channel: object, *, me: int) -> frozenset[str]:
    """What every person who can see the channel or thread has; see `knowledge.access`."""
    if isinstance(channel, discord.Thread):
        parent = principals_of(channel.parent, me=me)
        return parent | {_named(channel.id)} if channel.is_private() else parent
    found = {EVERYONE}
    if not isinstance(channel, discord.abc.GuildChannel):
        return frozenset(found)
    everybody = channel.guild.get_role(channel.guild.id)
    if everybody is None or not channel.permissions_for(everybody).view_channel:
        found |= {_named(channel.id), _named(channel.guild.id)}
        found |= {f"{PLATFORM}:role:{role.id}" for role in _only_role(channel, me=me)}
    else:
        found.add(_named(channel.id))
        if not _OPEN_SERVERS.intersection(channel.guild.features):
            found.add(_named(channel.guild.id))
    return frozenset(found)


def open_to(channel: object) -> frozenset[str]:
    """The server, when all of its people can see the channel or thread; nobody beyond those in it otherwise."""
    if isinstance(channel, discord.Thread):
        return frozenset() if channel.is_private() else open_to(channel.parent)
    if not isinstance(channel, discord.abc.GuildChannel):
        return frozenset()
    everybody = channel.guild.get_role(channel.guild.id)
    sees_it = everybody is not None and channel.permissions_for(everybody).view_channel
    return frozenset({_named(channel.guild.id)} if sees_it else ())


def _only_role(channel: discord.abc.GuildChannel, *, me: int) -> Iterator[discord.Role]:
    """The one role that sees the channel, when no person sees it without."""
    seeing = [
        role
        for role in channel.guild.roles
        if not (role.is_default() or role.is_bot_managed() or role.permissions.administrator)
        and channel.permissions_for(role).view_channel
    ]
    singled_out = any(
        overwrite.view_channel
        for target, overwrite in channel.overwrites.items()
        if not isinstance(target, discord.Role) and target.id != me
        # Somebody whose role was deleted is no person, but nobody can tell.
    )
    if len(seeing) == 1 and not singled_out:
        yield seeing[0]


def _named(number: int) -> str:
    return f"{PLATFORM}:{number}"
