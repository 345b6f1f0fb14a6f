"""How messages come about, change and look: what the routes, the interactions and the people's actions share.

A message of the bot is checked against Discord's rules and against Parley's: it may notify nobody but its asker.
"""

from collections.abc import Iterable
from typing import Any

from tests.platforms import discord_checks
from tests.platforms.discord_gateway import DIRECT_MESSAGES, GUILD_MESSAGES, GUILDS, Gateway
from tests.platforms.discord_model import (
    COMPONENTS_V2,
    LOADING,
    Channel,
    File,
    Guild,
    Json,
    Message,
    now,
    when,
)
from tests.platforms.discord_permissions import BITS
from tests.platforms.discord_rest import ApiError, Ask, Rest
from tests.platforms.discord_state import MESSAGE_CONTENT, State
from tests.platforms.discord_text import displayed, notified, walk

EVERY_KIND = ("users", "roles", "everyone")

# How a message looks


def readable(state: State, message: Message, intents: int) -> bool:
    """Whether an application with these intents sees what the message says."""
    mine = state.bot.id in {message.author, *message.mentions}
    channel = state.channel(message.channel)
    return bool(intents & MESSAGE_CONTENT) or mine or (channel is not None and channel.kind == "dm")


def wire(state: State, message: Message, *, full: bool, event: bool = False, depth: int = 1) -> Json:
    """The message as Discord shows it: `full` or without its content, `event` as the gateway sends it."""
    channel = state.channel(message.channel)
    guild = state.guilds.get(channel.guild_id) if channel else None
    shown: Json = {"id": message.id, "channel_id": message.channel, "type": message.type, "tts": False}
    shown |= {"author": state.users[message.author].wire(), "timestamp": when(message.id), "pinned": False}
    shown |= {
        "edited_timestamp": message.edited,
        "flags": message.flags,
        "mention_roles": message.mention_roles,
    }
    shown |= {"mention_everyone": message.mention_everyone}
    shown["mentions"] = [_mentioned(state, user, guild if event else None) for user in message.mentions]
    if message.reactions:
        shown["reactions"] = [_reaction(state, *pair) for pair in message.reactions.items() if pair[1]]
    shown |= {
        "content": message.content if full else "",
        "embeds": message.embeds if full else [],
        "components": message.components if full else [],
        "attachments": [file.wire(state.base_url) for file in message.files] if full else [],
    }
    if message.nonce:
        shown["nonce"] = message.nonce
    if message.interaction:
        shown |= {"interaction_metadata": message.interaction, "application_id": state.bot.id}
        shown["webhook_id"] = state.bot.id
    if message.reference is not None:
        shown |= _referenced(state, message.reference, full=full, depth=depth)
    thread = guild.channels.get(message.id) if guild else None
    if thread and thread.id != message.channel:
        shown["thread"] = thread.wire(state)
    if event and guild:
        shown["guild_id"] = guild.id
        if message.author in guild.members and not message.interaction:
            shown["member"] = guild.members[message.author].wire(user=False)
    return shown


def _mentioned(state: State, user: str, guild: Guild | None) -> Json:
    shown = state.users[user].wire()
    if guild and user in guild.members:
        shown["member"] = guild.members[user].wire(user=False)
    return shown


def _reaction(state: State, emoji: str, users: list[str]) -> Json:
    details = {"burst": 0, "normal": len(users)}
    shown: Json = {"count": len(users), "count_details": details, "me": state.bot.id in users}
    return shown | {"me_burst": False, "burst_colors": [], "emoji": {"id": None, "name": emoji}}


def _referenced(state: State, target: Message, *, full: bool, depth: int) -> Json:
    channel = state.channel(target.channel)
    reference = {"type": 0, "message_id": target.id, "channel_id": target.channel}
    if channel and channel.guild_id:
        reference["guild_id"] = channel.guild_id
    if not depth:
        return {"message_reference": reference}
    seen = full or readable(state, target, 0)
    shown = None if target.deleted else wire(state, target, full=seen, depth=depth - 1)
    return {"message_reference": reference, "referenced_message": shown}


# Telling the bot


def reaches(state: State, channel: Channel) -> bool:
    """Whether the bot gets events of this channel."""
    return bool(state.permissions(state.bot.id, channel) & BITS["VIEW_CHANNEL"])


def announce(gateway: Gateway, name: str, message: Message) -> None:
    """Send MESSAGE_CREATE or MESSAGE_UPDATE."""
    state, channel = gateway.state, gateway.state.channel(message.channel)
    if channel is None or message.ephemeral_to or not reaches(state, channel):
        return

    def make(intents: int) -> Json:
        return wire(state, message, full=readable(state, message, intents), event=True)

    intent = GUILD_MESSAGES if channel.guild_id else DIRECT_MESSAGES
    gateway.dispatch(name, make, guild=channel.guild_id, intent=intent)


def announce_thread(gateway: Gateway, name: str, thread: Channel, **more: Any) -> None:
    """Send THREAD_CREATE, THREAD_UPDATE and their like."""
    if reaches(gateway.state, thread):
        data = thread.wire(gateway.state) | more
        gateway.dispatch(name, lambda intents: data, guild=thread.guild_id, intent=GUILDS)


# Making and changing messages of the bot


def prepare(
    rest: Rest, where: str, ask: Ask, body: Any, *, message: Message | None, flags: int
) -> list[File]:
    """Check what is sent as a message, or as a change of `message`; gives the files it has afterwards."""
    has = (message.flags if message else 0) | (body.get("flags") or 0 if isinstance(body, dict) else 0)
    rest.refuse(where, discord_checks.message(body, flags=has, allowed_flags=flags))
    listed = body.get("attachments")
    files = list(ask.files.values())
    rest.refuse(where, (f"files[0]: {f.name} is too large" for f in files if len(f.content) > rest.max_file))
    old = message.files if message else []
    if listed is not None:
        kept = {str(one.get("id")) for one in listed}
        old = [file for file in old if file.id in kept]
        named = {str(one.get("id")): one.get("filename") for one in listed}
        files = [file for number, file in ask.files.items() if str(number) in named]
    rest.state.files.update({file.id: file for file in files})
    return [*old, *files]


def fill(rest: Rest, message: Message, body: Json, files: list[File]) -> None:
    """Put what was sent into the message; raises ApiError when nothing is left in it."""
    content = message.content if "content" not in body else (body["content"] or "").strip()
    embeds = body.get("embeds", message.embeds) or []
    components = body.get("components", message.components) or []
    if not (content or embeds or files or components):
        rest.state.violations.append("message: empty")
        raise ApiError(50006)
    message.content, message.embeds, message.files = content, [{"type": "rich"} | e for e in embeds], files
    message.components = numbered(components)
    message.flags = message.flags & ~LOADING | (body.get("flags") or 0)


def numbered(components: list[Json]) -> list[Json]:
    """The components with the ids that Discord gives to those without."""
    used = {c["id"] for c in walk(components) if "id" in c}
    free = (n for n in range(1, 1000) if n not in used)

    def give(component: Json) -> Json:
        new = component | ({} if "id" in component else {"id": next(free)})
        for name in ("components", "accessory", "component"):
            if isinstance(inner := new.get(name), list):
                new[name] = [give(one) for one in inner]
            elif inner:
                new[name] = give(inner)
        return new

    return [give(component) for component in components]


def mention(
    state: State,
    message: Message,
    body: Json,
    *,
    default: tuple[str, ...],
    asker: Iterable[str] = (),
    new: bool = True,
) -> None:
    """Note whom the message notifies; a violation when that is anybody but its askers.

    An edit notifies nobody, but Discord reads its mentions anew, so that it is held to the same rule.
    """
    text = "\n".join([message.content, *displayed(message.components)])
    reply_to = message.reference.author if message.reference and new and message.type == 19 else None
    found = notified(text, body.get("allowed_mentions"), default=default, reply_to=reply_to)
    known = [user for user in found.users if user in state.users]
    message.mentions, message.mention_roles = known, found.roles
    message.mention_everyone = found.everyone
    people = {*asker, *askers(state, message), state.bot.id}
    told = ["everyone"] * found.everyone + [f"the role {role}" for role in found.roles]
    told += [state.name_of(user) for user in found.users if user not in people]
    if told:
        state.violations.append(f"{text[:60]!r}: would notify {', '.join(told)}")


def askers(state: State, message: Message) -> set[str]:
    """Who may be notified: who is replied to, who named the bot or gave it a command here, and who wrote last."""
    channel = state.channel(message.channel)
    before = [m for m in state.everything(message.channel) if m.author != state.bot.id]
    if channel and channel.is_thread and (start := state.find(channel.parent_id, channel.id)):
        before.insert(0, start)
    found = {m.author for m in before if state.bot.id in m.mentions} | {m.author for m in before[-1:]}
    found |= {m.interaction["user"]["id"] for m in state.everything(message.channel) if m.interaction}
    return found | ({message.reference.author} if message.reference else set())


def edit(
    rest: Rest, where: str, ask: Ask, message: Message, *, default: tuple[str, ...], asker: str = ""
) -> None:
    """Change a message of the bot and send MESSAGE_UPDATE."""
    was_loading = message.loading
    allowed = discord_checks.INTERACTION_FLAGS
    files = prepare(rest, where, ask, ask.body, message=message, flags=allowed)
    _turn_new(rest, where, message, ask.body)
    fill(rest, message, ask.body, files)
    if {"content", "components", "allowed_mentions"} & ask.body.keys():
        mention(rest.state, message, ask.body, default=default, asker=[asker], new=was_loading)
    if not was_loading:
        message.edits, message.edited = message.edits + 1, now()
    announce(rest.gateway, "MESSAGE_UPDATE", message)


def _turn_new(rest: Rest, where: str, message: Message, body: Json) -> None:
    """A message turned into Components V2 must give up its content and embeds."""
    turns = (body.get("flags") or 0) & ~message.flags & COMPONENTS_V2
    left = [name for name in ("content", "embeds") if getattr(message, name) and name not in body]
    if turns and left:
        rest.refuse(where, [f"flags: Components V2 needs {', '.join(left)} to be emptied"])
