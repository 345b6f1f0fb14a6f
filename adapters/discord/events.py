"""What Discord sends, as what the desk understands. Asks Discord nothing.

discord.py's objects end here. The identity of a message is its own id, and that of a command or a button is the id
of the interaction; Discord never gives an id twice.
"""

import json
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import discord

from adapters.votes import Reaction
from bot.messages import Addressed, Attachment, IncomingMessage
from feedback.records import Score

PLATFORM = "discord"

SAID = frozenset({discord.MessageType.default, discord.MessageType.reply})
"""Kinds of messages that say something; the others report joins, pins, new threads, …"""
READABLE = frozenset(
    {"csv", "docx", "htm", "html", "ipynb", "markdown", "md", "pdf", "pptx", "rst", "txt", "xlsx"}
)
"""Files that are read with a question. Others are mostly pictures, which people post beside what they say."""
_THUMBS: dict[str, Score] = {"👍": 1, "👎": -1}
_SKIN = re.compile("[\U0001f3fb-\U0001f3ff\ufe0f]")
_EMOJI = re.compile(r"<a?(:\w+:)\d+>")


@dataclass(frozen=True, slots=True)
class Place:
    """A channel, as the rest of Parley knows places."""

    conversation_id: str
    """Whose settings apply and who may see what: the channel, also for its threads; a private thread is its own."""
    channel_id: str
    """Where messages are: the thread itself."""
    is_thread: bool = False
    guild_id: str = ""

    @property
    def thread_id(self) -> str:
        """That of all its messages; empty in a channel, where each begins its own."""
        return self.channel_id if self.is_thread or not self.guild_id else ""


@dataclass(frozen=True, slots=True)
class Way:
    """How a message is answered; kept in its `reply_to`."""

    channel_id: str
    question_id: str = ""
    """The message that the answer refers to; empty for none."""
    replied_to: str = ""
    """The message that the question itself replies to."""
    application_id: str = ""
    token: str = ""
    """Of an interaction, for an answer that only its asker sees."""
    response_id: str = ""
    """The message that was promised to Discord for it, and says "thinking" now."""

    def __str__(self) -> str:
        return json.dumps({key: value for key, value in asdict(self).items() if value})

    @classmethod
    def of(cls, message: IncomingMessage) -> "Way":
        return cls(**{"channel_id": message.conversation_id, **json.loads(message.reply_to or "{}")})


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as it arrived, before it is known to which talk it belongs."""

    message: IncomingMessage
    replied_to: str = ""
    in_thread: bool = False
    is_to_me: bool = False
    """Whether it replies to a message of the bot's."""
    is_pinged: bool = False
    """Whether Discord notifies the bot of it."""


def place_of(channel: Any, guild: discord.Guild | None) -> Place:
    """Of a channel, a thread, a direct conversation, or one of which nothing is known but its id."""
    guild_id = str(guild.id) if guild else ""
    channel_id = str(channel.id)
    if not isinstance(channel, discord.Thread):
        return Place(channel_id, channel_id, guild_id=guild_id)
    parent = channel_id if channel.is_private() else str(channel.parent_id)
    return Place(parent, channel_id, is_thread=True, guild_id=guild_id)


def message(
    found: discord.Message, *, me: int, my_role: int | None = None, forums: Collection[str] = ()
) -> Heard | None:
    """What a message means; None when it is not for the bot to know, as its own doing."""
    if found.type not in SAID or found.author.id == me or found.flags.ephemeral:
        return None
    place = place_of(found.channel, found.guild)
    is_post = place.is_thread and found.id == found.channel.id and place.conversation_id in forums
    replied_to = "" if is_post else _replied_to(found)
    said = IncomingMessage(
        platform=PLATFORM,
        event_id=str(found.id),
        workspace_id=place.guild_id,
        conversation_id=place.conversation_id,
        thread_id=place.thread_id or str(found.id),
        message_id=str(found.id),
        user_id=str(found.author.id),
        text=_with_title(found, me=me, my_role=my_role, is_post=is_post),
        addressed=_addressed(found, place, me=me, my_role=my_role, is_post=is_post),
        by_bot=found.author.bot or found.webhook_id is not None,
        attachments=_attachments(found),
        reply_to=str(Way(place.channel_id, str(found.id), replied_to)),
    )
    original = found.reference.resolved if found.reference else None
    return Heard(
        said,
        replied_to,
        in_thread=place.is_thread,
        is_to_me=isinstance(original, discord.Message) and original.author.id == me,
        is_pinged=any(user.id == me for user in found.mentions),
    )


def command(
    interaction: discord.Interaction[Any],
    text: str,
    *,
    addressed: Addressed = "command",
    way: Way,
    is_private: bool = True,
) -> IncomingMessage:
    """What somebody asked or ordered by a command, a menu or a button."""
    place = place_of(interaction.channel, interaction.guild) if interaction.channel else Place("", "")
    guild_id = str(interaction.guild_id or "")
    talk = place.thread_id if place.channel_id and not is_private else ""
    return IncomingMessage(
        platform=PLATFORM,
        event_id=str(interaction.id),
        workspace_id=guild_id,
        conversation_id=place.conversation_id,
        thread_id=talk or way.question_id or str(interaction.id),
        user_id=str(interaction.user.id),
        text=plain(text),
        addressed=addressed,
        is_private=is_private,
        reply_to=str(way),
    )


def reaction(payload: discord.RawReactionActionEvent, *, me: int, place: Place) -> Reaction | None:
    """A thumb up or down, in any colour of skin; None for everything else, and for the bot's own."""
    score = _THUMBS.get(_SKIN.sub("", payload.emoji.name or ""))
    if score is None or payload.user_id == me or payload.emoji.id is not None:
        return None
    return Reaction(
        place.conversation_id,
        str(payload.message_id),
        str(payload.user_id),
        score,
        payload.event_type == "REACTION_ADD",
    )


def plain(text: str, *, me: int | None = None, my_role: int | None = None) -> str:
    """Discord's markup as people read it; the bot's own mention at either end is left out, other people stay ids."""
    if me is not None:
        name = _named(me, my_role)
        text = re.sub(rf"^(?:\s*{name}[\s,:;]*)+", "", text)
        text = re.sub(rf"[\s,]*{name}\s*([.?!]*)\s*$", r"\1", text)
    return _EMOJI.sub(r"\1", text).strip()


def attachments_of(found: discord.Message) -> tuple[Attachment, ...]:
    """The files that are read with it."""
    return _attachments(found)


def _named(me: int, my_role: int | None) -> str:
    """A pattern for the bot's name; people often pick the role of that name instead."""
    return rf"<@(?:!?{me}{rf'|&{my_role}' if my_role else ''})>"


def _with_title(found: discord.Message, *, me: int, my_role: int | None, is_post: bool) -> str:
    """The title of a post is often the whole question, and all that there is without the message content."""
    text = plain(found.content, me=me, my_role=my_role)
    title = found.channel.name if is_post and isinstance(found.channel, discord.Thread) else ""
    return f"{title}\n\n{text}".strip() if title else text


def _addressed(
    found: discord.Message, place: Place, *, me: int, my_role: int | None, is_post: bool
) -> Addressed:
    if not place.guild_id:
        return "direct"
    if is_post or re.search(_named(me, my_role), found.content):
        return "mention"
    return "thread" if place.is_thread or _replied_to(found) else "channel"


def _replied_to(found: discord.Message) -> str:
    return (
        str(found.reference.message_id or "")
        if found.type is discord.MessageType.reply and found.reference
        else ""
    )


def _attachments(found: discord.Message) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(name=file.filename, size=file.size, url=file.url)
        for file in found.attachments
        if file.filename.rpartition(".")[2].lower() in READABLE
    )
