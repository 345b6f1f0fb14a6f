"""The routes of messages: post, change, delete, read, react, typing."""

import time
from urllib.parse import unquote

from tests.platforms import discord_checks
from tests.platforms.discord_gateway import (
    DIRECT_MESSAGES,
    DIRECT_REACTIONS,
    GUILD_MESSAGES,
    GUILD_REACTIONS,
    Gateway,
)
from tests.platforms.discord_model import Channel, Json, Message
from tests.platforms.discord_posts import (
    EVERY_KIND,
    announce,
    announce_thread,
    edit,
    fill,
    mention,
    prepare,
    reaches,
    readable,
    wire,
)
from tests.platforms.discord_rest import Answer, ApiError, Ask, Rest, route


@route("POST", "/channels/{channel}/messages")
def create_message(rest: Rest, ask: Ask) -> Answer:
    state = rest.state
    channel = rest.channel(ask.path["channel"])
    if channel.kind == "forum":
        raise ApiError(50008)
    rest.channel(channel.id, "SEND_MESSAGES_IN_THREADS" if channel.is_thread else "SEND_MESSAGES")
    other = next((m for m in channel.members if m != state.bot.id), "")
    if channel.kind == "dm" and not state.users[other].accepts_direct:
        raise ApiError(50007)
    if (known := _known(rest, ask.body, channel.id)) is not None:
        return shown(rest, known)
    message = post(rest, ask, channel, ask.body)
    return shown(rest, message)


def _known(rest: Rest, body: Json, channel: str) -> Message | None:
    """The message that was made with this nonce a few minutes ago, which Discord gives instead of a second one."""
    nonce = str(body.get("nonce") or "") if body.get("enforce_nonce") else ""
    made, message = rest.nonces.get(nonce, (0.0, None))
    if not nonce or message is None or time.monotonic() - made > rest.nonce_seconds:
        return None
    if message.channel != channel:
        rest.state.violations.append(f"nonce {nonce!r} was used in another channel before")
    return message


def post(rest: Rest, ask: Ask, channel: Channel, body: Json) -> Message:
    """Post a message of the bot in a channel or thread, with everything that follows from it."""
    state = rest.state
    files = prepare(rest, "message", ask, body, message=None, flags=discord_checks.MESSAGE_FLAGS)
    _may(rest, channel, body, has_files=bool(ask.files))
    message = Message(state.snowflake(), channel.id, state.bot.id, nonce=str(body.get("nonce") or ""))
    message.reference = _reference(rest, channel, body)
    message.type = 19 if message.reference else 0
    fill(rest, message, body, files)
    mention(state, message, body, default=EVERY_KIND)
    state.add(message)
    if body.get("enforce_nonce") and message.nonce:
        rest.nonces[message.nonce] = (time.monotonic(), message)
    enter(rest.gateway, channel, state.bot.id)
    announce(rest.gateway, "MESSAGE_CREATE", message)
    return message


def _may(rest: Rest, channel: Channel, body: Json, *, has_files: bool) -> None:
    needed = ["EMBED_LINKS"] if body.get("embeds") else []
    rest.channel(channel.id, *needed, *(["ATTACH_FILES"] if has_files else []))
    if channel.locked:
        raise ApiError(160005)


def _reference(rest: Rest, channel: Channel, body: Json) -> Message | None:
    given = body.get("message_reference")
    if not given:
        return None
    try:
        rest.channel(channel.id, "READ_MESSAGE_HISTORY")
    except ApiError:
        raise ApiError(160002) from None
    found = rest.state.find(channel.id, str(given.get("message_id")))
    if found is None and given.get("fail_if_not_exists", True):
        raise ApiError(50035, errors={"message_reference": {"_errors": [{"message": "Unknown message"}]}})
    if found and found.type not in {0, 19, 20, 23}:
        raise ApiError(50035, errors={"message_reference": {"_errors": [{"message": "A system message"}]}})
    return found


def enter(gateway: Gateway, channel: Channel, *users: str) -> None:
    """What writing in a thread, or naming somebody there, does: it opens again and they join it."""
    if not channel.is_thread:
        return
    new = [user for user in users if user not in channel.members]
    channel.members += new
    if gateway.state.bot.id in new and channel.kind == "private thread":
        announce_thread(gateway, "THREAD_CREATE", channel)
    if channel.archived:
        channel.archived = False
        announce_thread(gateway, "THREAD_UPDATE", channel)


def shown(rest: Rest, message: Message) -> Json:
    """The message as the REST API shows it to the bot."""
    return wire(rest.state, message, full=readable(rest.state, message, rest.state.privileged))


@route("PATCH", "/channels/{channel}/messages/{message}")
def edit_message(rest: Rest, ask: Ask) -> Answer:
    message = rest.message(ask.path["channel"], ask.path["message"])
    if message.author != rest.state.bot.id:
        raise ApiError(50005)
    if rest.channel(message.channel).archived:
        raise ApiError(50083)
    edit(rest, "edit", ask, message, default=EVERY_KIND)
    return shown(rest, message)


@route("DELETE", "/channels/{channel}/messages/{message}")
def delete_message(rest: Rest, ask: Ask) -> Answer:
    message = rest.message(ask.path["channel"], ask.path["message"])
    if message.author != rest.state.bot.id:
        rest.channel(message.channel, "MANAGE_MESSAGES")
    remove(rest.gateway, message)
    return None


def remove(gateway: Gateway, message: Message) -> None:
    message.deleted = True
    channel = gateway.state.channel(message.channel)
    if channel and reaches(gateway.state, channel) and not message.ephemeral_to:
        gone = {"id": message.id, "channel_id": channel.id}
        gone |= {"guild_id": channel.guild_id} if channel.guild_id else {}
        intent = GUILD_MESSAGES if channel.guild_id else DIRECT_MESSAGES
        gateway.dispatch("MESSAGE_DELETE", lambda intents: gone, guild=channel.guild_id, intent=intent)


@route("GET", "/channels/{channel}/messages/{message}")
def read_message(rest: Rest, ask: Ask) -> Answer:
    rest.channel(ask.path["channel"], "READ_MESSAGE_HISTORY")
    return shown(rest, rest.message(ask.path["channel"], ask.path["message"]))


@route("GET", "/channels/{channel}/messages")
def read_messages(rest: Rest, ask: Ask) -> Answer:
    channel = rest.channel(ask.path["channel"])
    try:
        rest.channel(channel.id, "READ_MESSAGE_HISTORY")
    except ApiError:
        return []
    limit = ask.number("limit", 50)
    rest.refuse("history", [] if 1 <= limit <= 100 else [f"limit: {limit}, 1 to 100 allowed"])
    newest_first = rest.state.visible(channel.id)[::-1]
    return [shown(rest, m) for m in _window(newest_first, ask.query, limit)]


def _window(messages: list[Message], query: dict[str, str], limit: int) -> list[Message]:
    """The page of a channel's messages, which come newest first; ids sort by time, and need not exist."""
    if around := query.get("around"):
        later = [m for m in messages if int(m.id) > int(around)][-(limit // 2) :] if limit > 1 else []
        return later + [m for m in messages if int(m.id) <= int(around)][: limit - len(later)]
    if after := query.get("after"):
        return [m for m in messages if int(m.id) > int(after)][-limit:]
    before = int(query.get("before") or 1 << 63)
    return [m for m in messages if int(m.id) < before][:limit]


@route("POST", "/channels/{channel}/typing")
def start_typing(rest: Rest, ask: Ask) -> Answer:
    channel = rest.channel(ask.path["channel"])
    rest.channel(channel.id, "SEND_MESSAGES_IN_THREADS" if channel.is_thread else "SEND_MESSAGES")
    rest.typing.append((channel.id, time.monotonic()))
    return None


@route("PUT", "/channels/{channel}/messages/{message}/reactions/{emoji}/@me")
def add_reaction(rest: Rest, ask: Ask) -> Answer:
    message = rest.message(ask.path["channel"], ask.path["message"])
    emoji = unquote(ask.path["emoji"])
    needed = [] if message.reactions.get(emoji) else ["ADD_REACTIONS"]
    rest.channel(message.channel, "READ_MESSAGE_HISTORY", *needed)
    if emoji.isascii() and ":" not in emoji:
        raise ApiError(10014)
    if rest.state.bot.id not in message.reactions.setdefault(emoji, []):
        react(rest.gateway, message, emoji, rest.state.bot.id)
    return None


@route("DELETE", "/channels/{channel}/messages/{message}/reactions/{emoji}/@me")
def remove_reaction(rest: Rest, ask: Ask) -> Answer:
    message = rest.message(ask.path["channel"], ask.path["message"])
    emoji = unquote(ask.path["emoji"])
    if rest.state.bot.id in message.reactions.get(emoji, []):
        react(rest.gateway, message, emoji, rest.state.bot.id, remove=True)
    return None


@route("GET", "/channels/{channel}/messages/{message}/reactions/{emoji}")
def read_reactions(rest: Rest, ask: Ask) -> Answer:
    message = rest.message(ask.path["channel"], ask.path["message"])
    users = message.reactions.get(unquote(ask.path["emoji"]), [])
    return [rest.state.users[user].wire() for user in users][: ask.number("limit", 25)]


def react(gateway: Gateway, message: Message, emoji: str, user: str, *, remove: bool = False) -> None:
    """Add or take away a reaction and send the event."""
    state, channel = gateway.state, gateway.state.channel(message.channel)
    users = message.reactions.setdefault(emoji, [])
    if remove:
        users.remove(user)
    else:
        users.append(user)
    if channel is None or not reaches(state, channel):
        return
    event: Json = {"user_id": user, "channel_id": channel.id, "message_id": message.id, "burst": False}
    event |= {"emoji": {"id": None, "name": emoji}, "type": 0, "message_author_id": message.author}
    guild = state.guilds.get(channel.guild_id)
    if guild:
        event["guild_id"] = guild.id
        if not remove and user in guild.members:
            event["member"] = guild.members[user].wire()
    name = "MESSAGE_REACTION_REMOVE" if remove else "MESSAGE_REACTION_ADD"
    intent = GUILD_REACTIONS if guild else DIRECT_REACTIONS
    gateway.dispatch(name, lambda intents: event, guild=channel.guild_id, intent=intent)
