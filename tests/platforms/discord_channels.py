"""The routes of the application, of people, guilds and channels, and of threads."""

from tests.platforms.discord_gateway import GUILDS, Gateway
from tests.platforms.discord_messages import enter, post, shown
from tests.platforms.discord_model import HAS_THREAD, Channel, Guild, Json, Message, now
from tests.platforms.discord_permissions import BITS
from tests.platforms.discord_posts import announce, announce_thread, reaches
from tests.platforms.discord_rest import Answer, ApiError, Ask, Rest, route
from tests.platforms.discord_state import State
from tests.platforms.slack_checks import string

# The application


@route("GET", "/gateway", without_token=True)
def get_gateway(rest: Rest, ask: Ask) -> Answer:
    return {"url": rest.state.base_url.replace("http", "ws", 1)}


@route("GET", "/gateway/bot")
def get_gateway_bot(rest: Rest, ask: Ask) -> Answer:
    limit = {"total": 1000, "remaining": 1000 - len(rest.gateway.identifies), "reset_after": 14400000}
    answer: Json = {"url": rest.state.base_url.replace("http", "ws", 1), "shards": rest.gateway.shards}
    return answer | {"session_start_limit": limit | {"max_concurrency": 1}}


@route("GET", "/users/@me")
def get_me(rest: Rest, ask: Ask) -> Answer:
    return rest.state.bot.wire() | {"verified": True, "mfa_enabled": False, "locale": "en-US", "email": None}


@route("GET", "/users/(?!@me){user}")
def get_user(rest: Rest, ask: Ask) -> Answer:
    found = rest.state.users.get(ask.path["user"])
    if found is None:
        raise ApiError(10013)
    return found.wire()


@route("GET", "/(oauth2/)?applications/@me")
def get_application(rest: Rest, ask: Ask) -> Answer:
    state = rest.state
    flags = {1 << 1: 1 << 15, 1 << 8: 1 << 13, 1 << 15: 1 << 19}
    enabled = sum(flag for intent, flag in flags.items() if state.privileged & intent)
    return {
        "id": state.bot.id,
        "name": state.bot.name,
        "icon": None,
        "description": "",
        "summary": "",
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": enabled,
        "owner": state.owner.wire(),
        "team": None,
        "integration_types_config": {"0": {}, "1": {}},
        "approximate_guild_count": len(state.guilds),
    }


@route("POST", "/users/@me/channels")
def open_direct(rest: Rest, ask: Ask) -> Answer:
    user = rest.state.users.get(str(ask.body.get("recipient_id")))
    if user is None or user.is_bot:
        raise ApiError(10013)
    return rest.state.direct(user.id).wire(rest.state)


# Guilds


def _guild(rest: Rest, ask: Ask) -> Guild:
    """The guild, when the bot is in it."""
    guild = rest.state.guilds.get(ask.path["guild"])
    if guild is None or rest.state.bot.id not in guild.members:
        raise ApiError(10004)
    return guild


def joins(state: State, guild: Guild) -> Json:
    """What GUILD_CREATE says: all channels, the threads that the bot sees, and of the members the bot alone."""
    channels = [c for c in guild.channels.values() if not c.is_thread]
    threads = [t for t in guild.channels.values() if t.is_thread and not t.archived and reaches(state, t)]
    shown = guild.wire(state) | {"unavailable": False, "large": False, "member_count": len(guild.members)}
    shown |= {"channels": [c.wire(state) for c in channels], "threads": [t.wire(state) for t in threads]}
    shown |= {
        "joined_at": guild.members[state.bot.id].joined,
        "members": [guild.members[state.bot.id].wire()],
    }
    for name in (
        "voice_states",
        "presences",
        "stage_instances",
        "guild_scheduled_events",
        "soundboard_sounds",
    ):
        shown[name] = []
    return shown


@route("GET", "/users/@me/guilds")
def list_guilds(rest: Rest, ask: Ask) -> Answer:
    mine = [g for g in rest.state.guilds.values() if rest.state.bot.id in g.members]
    return [{"id": g.id, "name": g.name, "icon": None, "owner": False, "permissions": "0"} for g in mine]


@route("GET", "/guilds/{guild}")
def get_guild(rest: Rest, ask: Ask) -> Answer:
    guild = _guild(rest, ask)
    counts = {"approximate_member_count": len(guild.members), "approximate_presence_count": 1}
    return guild.wire(rest.state) | counts


@route("GET", "/guilds/{guild}/channels")
def list_channels(rest: Rest, ask: Ask) -> Answer:
    return [c.wire(rest.state) for c in _guild(rest, ask).channels.values() if not c.is_thread]


@route("GET", "/guilds/{guild}/roles")
def list_roles(rest: Rest, ask: Ask) -> Answer:
    return [role.wire() for role in _guild(rest, ask).roles.values()]


@route("GET", "/guilds/{guild}/members/{user}")
def get_member(rest: Rest, ask: Ask) -> Answer:
    member = _guild(rest, ask).members.get(ask.path["user"])
    if member is None:
        raise ApiError(10007)
    return member.wire()


@route("GET", "/guilds/{guild}/members")
def list_members(rest: Rest, ask: Ask) -> Answer:
    guild = _guild(rest, ask)
    if not rest.state.privileged & 1 << 1:
        raise ApiError(50001)
    later = [m for m in guild.members.values() if int(m.user.id) > int(ask.query.get("after") or 0)]
    return [member.wire() for member in later[: ask.number("limit", 1)]]


@route("GET", "/guilds/{guild}/threads/active")
def list_active_threads(rest: Rest, ask: Ask) -> Answer:
    return _listed(rest, [c for c in _guild(rest, ask).channels.values() if not c.archived])


# Channels and threads


@route("GET", "/channels/{channel}")
def get_channel(rest: Rest, ask: Ask) -> Answer:
    return rest.channel(ask.path["channel"]).wire(rest.state)


@route("PATCH", "/channels/{channel}")
def edit_channel(rest: Rest, ask: Ask) -> Answer:
    channel = rest.channel(ask.path["channel"])
    if not channel.is_thread:
        raise ApiError(50013)
    mine = channel.owner_id == rest.state.bot.id
    if not mine or "locked" in ask.body:
        rest.channel(channel.id, "MANAGE_THREADS")
    if "name" in ask.body:
        rest.refuse("thread", string(100)(ask.body["name"], "name"))
    channel.name = ask.body.get("name", channel.name)
    if "archived" in ask.body:
        channel.archived, channel.archived_at = ask.body["archived"], now()
    channel.locked = ask.body.get("locked", channel.locked)
    announce_thread(rest.gateway, "THREAD_UPDATE", channel)
    return channel.wire(rest.state)


def add_thread(
    gateway: Gateway, parent: Channel, name: str, owner: str, *, start: Message | None, private: bool = False
) -> Channel:
    """A new thread, with the same id as the message that it is started from, and its THREAD_CREATE."""
    state = gateway.state
    kind = "private thread" if private else "thread"
    thread = Channel(start.id if start else state.snowflake(), name, kind, parent.guild_id, parent.id, owner)
    thread.members.append(owner)
    state.guilds[parent.guild_id].channels[thread.id] = thread
    announce_thread(gateway, "THREAD_CREATE", thread, newly_created=True)
    if start and start.channel == parent.id:
        start.flags |= HAS_THREAD
        first = Message(state.snowflake(), thread.id, owner, type=21, reference=start)
        announce(gateway, "MESSAGE_UPDATE", start)
        announce(gateway, "MESSAGE_CREATE", state.add(first))
    return thread


def _check_name(rest: Rest, ask: Ask) -> str:
    rest.refuse("thread", string(100)(ask.body.get("name"), "name"))
    minutes = ask.body.get("auto_archive_duration") or 1440
    allowed = minutes in {60, 1440, 4320, 10080}
    rest.refuse("thread", [] if allowed else [f"auto_archive_duration: {minutes} minutes"])
    return str(ask.body["name"])


@route("POST", "/channels/{channel}/messages/{message}/threads")
def start_thread_from_message(rest: Rest, ask: Ask) -> Answer:
    message = rest.message(ask.path["channel"], ask.path["message"])
    parent = rest.channel(message.channel, "CREATE_PUBLIC_THREADS")
    if parent.kind != "text":
        raise ApiError(50024)
    if message.flags & HAS_THREAD:
        raise ApiError(160004)
    name = _check_name(rest, ask)
    return add_thread(rest.gateway, parent, name, rest.state.bot.id, start=message).wire(rest.state)


@route("POST", "/channels/{channel}/threads")
def start_thread(rest: Rest, ask: Ask) -> Answer:
    """A thread without a message, or a post in a forum with its first message."""
    parent = rest.channel(ask.path["channel"])
    state = rest.state
    if parent.kind == "forum":
        rest.channel(parent.id, "SEND_MESSAGES")
        name = _check_name(rest, ask)
        thread = Channel(state.snowflake(), name, "thread", parent.guild_id, parent.id, state.bot.id)
        state.guilds[parent.guild_id].channels[thread.id] = thread
        message = post(rest, ask, thread, ask.body.get("message") or {})
        announce_thread(rest.gateway, "THREAD_CREATE", thread, newly_created=True)
        return thread.wire(state) | {"message": shown(rest, message)}
    if parent.kind != "text":
        raise ApiError(50024)
    private = ask.body.get("type", 12) == 12
    rest.channel(parent.id, "CREATE_PRIVATE_THREADS" if private else "CREATE_PUBLIC_THREADS")
    name = _check_name(rest, ask)
    return add_thread(rest.gateway, parent, name, state.bot.id, start=None, private=private).wire(state)


def _thread(rest: Rest, ask: Ask) -> Channel:
    thread = rest.channel(ask.path["channel"])
    if not thread.is_thread:
        raise ApiError(50024)
    return thread


@route("PUT", "/channels/{channel}/thread-members/{user}")
def add_thread_member(rest: Rest, ask: Ask) -> Answer:
    user = ask.path["user"].replace("@me", rest.state.bot.id)
    enter(rest.gateway, _thread(rest, ask), user)
    return None


@route("DELETE", "/channels/{channel}/thread-members/@me")
def leave_thread(rest: Rest, ask: Ask) -> Answer:
    thread = _thread(rest, ask)
    if rest.state.bot.id in thread.members:
        thread.members.remove(rest.state.bot.id)
    return None


@route("GET", "/channels/{channel}/thread-members")
def list_thread_members(rest: Rest, ask: Ask) -> Answer:
    thread = _thread(rest, ask)
    return [thread.member_wire(user) for user in thread.members]


@route("GET", "/channels/{channel}(/users/@me)?/threads/archived/{kind}")
def list_archived_threads(rest: Rest, ask: Ask) -> Answer:
    parent = rest.channel(ask.path["channel"], "READ_MESSAGE_HISTORY")
    kind = "private thread" if ask.path["kind"] == "private" else "thread"
    before, limit = ask.query.get("before", "9"), ask.number("limit", 50)
    threads = [
        thread
        for thread in rest.state.guilds[parent.guild_id].channels.values()
        if thread.parent_id == parent.id and thread.archived and thread.kind == kind
    ]
    found = sorted((t for t in threads if t.archived_at < before), key=lambda t: t.archived_at, reverse=True)
    return _listed(rest, found[:limit]) | {"has_more": len(found) > limit}


def _listed(rest: Rest, channels: list[Channel]) -> Json:
    bot = rest.state.bot.id
    seen = [c for c in channels if c.is_thread and rest.state.permissions(bot, c) & BITS["VIEW_CHANNEL"]]
    members = [c.member_wire(bot) for c in seen if bot in c.members]
    return {"threads": [c.wire(rest.state) for c in seen], "members": members, "has_more": False}


def announce_channel(gateway: Gateway, name: str, channel: Channel) -> None:
    """Send CHANNEL_CREATE, CHANNEL_UPDATE or CHANNEL_DELETE."""
    data = channel.wire(gateway.state)
    gateway.dispatch(name, lambda intents: data, guild=channel.guild_id, intent=GUILDS)
