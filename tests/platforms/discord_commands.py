"""The routes that register application commands, and which command a person finds when they type its name."""

from typing import Any

from tests.platforms import discord_checks
from tests.platforms.discord_model import Channel, Json, User
from tests.platforms.discord_permissions import BITS
from tests.platforms.discord_rest import Answer, ApiError, Ask, Rest, route
from tests.platforms.discord_state import State

GUILD, DIRECT = 0, 1
"""Interaction contexts: a server, the direct conversation with the bot."""
PERMANENT = "id application_id version guild_id".split()


def _scope(rest: Rest, ask: Ask) -> str:
    if ask.path["application"] != rest.state.bot.id:
        raise ApiError(20012)
    guild = ask.path.get("guild") or ""
    if guild and guild not in rest.state.guilds:
        raise ApiError(50001)
    return guild


def _stored(state: State, sent: Json, guild: str, old: list[Json]) -> Json:
    """The command with what Discord adds; it keeps its id when one of this type and name was there."""
    kind = sent.get("type", 1)
    same = next((c for c in old if (c["type"], c["name"]) == (kind, sent["name"])), None)
    base: Json = {"type": kind, "description": "", "options": [], "default_member_permissions": None}
    base |= {"nsfw": False, "dm_permission": True}
    if not guild:
        base |= {"integration_types": [0], "contexts": None}
    base |= {key: value for key, value in sent.items() if value is not None}
    base |= {"id": same["id"] if same else state.snowflake(), "version": state.snowflake()}
    base["application_id"] = state.bot.id
    return base | ({"guild_id": guild} if guild else {})


@route("PUT", "/applications/{application}(/guilds/(?P<guild>[^/]+))?/commands")
def register_commands(rest: Rest, ask: Ask) -> Answer:
    guild = _scope(rest, ask)
    rest.refuse("commands", discord_checks.commands(ask.body))
    old = rest.commands.get(guild, [])
    rest.commands[guild] = [_stored(rest.state, one, guild, old) for one in ask.body]
    return rest.commands[guild]


@route("POST", "/applications/{application}(/guilds/(?P<guild>[^/]+))?/commands")
def register_command(rest: Rest, ask: Ask) -> Answer:
    guild = _scope(rest, ask)
    old = rest.commands.get(guild, [])
    kept = [c for c in old if (c["type"], c["name"]) != (ask.body.get("type", 1), ask.body.get("name"))]
    plain = [{k: v for k, v in c.items() if k not in PERMANENT and v is not None} for c in kept]
    rest.refuse("commands", discord_checks.commands([*plain, ask.body]))
    new = _stored(rest.state, ask.body, guild, old)
    rest.commands[guild] = [*kept, new]
    return new


@route("GET", "/applications/{application}(/guilds/(?P<guild>[^/]+))?/commands")
def get_commands(rest: Rest, ask: Ask) -> Answer:
    return rest.commands.get(_scope(rest, ask), [])


@route("DELETE", "/applications/{application}(/guilds/(?P<guild>[^/]+))?/commands/{command}")
def delete_command(rest: Rest, ask: Ask) -> Answer:
    guild = _scope(rest, ask)
    left = [c for c in rest.commands.get(guild, []) if c["id"] != ask.path["command"]]
    if len(left) == len(rest.commands.get(guild, [])):
        raise ApiError(10063)
    rest.commands[guild] = left
    return None


# What people find


def find(rest: Rest, kind: int, name: str, user: User, channel: Channel) -> Json:
    """The command of this name, as this person sees it there; ValueError when it is not offered to them."""
    offered = [
        command
        for command in [*rest.commands.get(channel.guild_id or "-", []), *rest.commands.get("", [])]
        if command["type"] == kind and command["name"] == name
    ]
    if not offered:
        raise ValueError(f"no command {name!r}; there are {[c['name'] for c in rest.commands.get('', [])]}")
    reasons = [_missing(rest.state, command, user, channel) for command in offered]
    for command, reason in zip(offered, reasons, strict=True):
        if not reason:
            return command
    raise ValueError(f"{name!r} is not offered to {user.name}: {reasons[0]}")


def owners(state: State, command: Json, user: User, channel: Channel) -> Json:
    """The installations that allow the command there: of the server, of the person."""
    installs = command.get("integration_types") or [0]
    guild = state.guilds.get(channel.guild_id)
    found: Json = {}
    if 0 in installs and (guild is None or state.bot.id in guild.members):
        found["0"] = guild.id if guild else "0"
    if 1 in installs and user.has_app:
        found["1"] = user.id
    return found


def _missing(state: State, command: Json, user: User, channel: Channel) -> str:
    context = GUILD if channel.guild_id else DIRECT
    contexts = command.get("contexts")
    closed = contexts is None and context == DIRECT and not command["dm_permission"]
    if closed or (contexts is not None and context not in contexts):
        return "the command is not for such places"
    if not owners(state, command, user, channel):
        return "the app is installed neither in the server nor for the person"
    if not channel.guild_id:
        return ""
    allowed = state.permissions(user.id, channel)
    needed = command["default_member_permissions"]
    if (
        needed is not None
        and (allowed & int(needed) != int(needed) or not int(needed))
        and not (allowed & BITS["ADMINISTRATOR"])
    ):
        return "the person lacks the permissions that it asks for"
    return "" if allowed & BITS["USE_APPLICATION_COMMANDS"] else "the person may not use commands"


def filled(command: Json, options: dict[str, Any], *, path: list[str], sent: dict[str, Any]) -> list[Json]:
    """The options of a command as Discord sends them; ValueError for what people could not enter.

    `path` are the words after the command's name that choose a subcommand; `sent` collects files and people that
    options stand for, by id.
    """
    inner = command.get("options") or []
    if path:
        found = next((o for o in inner if o["type"] in {1, 2} and o["name"] == path[0]), None)
        if found is None:
            raise ValueError(f"{command['name']} has no subcommand {path[0]!r}")
        below = filled(found, options, path=path[1:], sent=sent)
        return [{"name": found["name"], "type": found["type"], "options": below}]
    known = {o["name"]: o for o in inner}
    if any(o["type"] in {1, 2} for o in inner):
        raise ValueError(f"{command['name']} needs one of the subcommands {list(known)}")
    missing = [name for name, o in known.items() if o.get("required") and name not in options]
    if missing or options.keys() - known.keys():
        raise ValueError(f"{command['name']} has the options {list(known)}, of which {missing} are missing")
    return [_option(known[name], value, sent) for name, value in options.items()]


def _option(option: Json, value: Any, sent: dict[str, Any]) -> Json:
    name, kind = option["name"], option["type"]
    choices = option.get("choices") or []
    if choices and value not in [c["value"] for c in choices]:
        raise ValueError(f"{name}: {value!r} is not among the choices")
    if kind == 3 and not option.get("min_length", 0) <= len(value) <= option.get("max_length", 6000):
        raise ValueError(f"{name}: {len(value)} characters")
    if kind in {4, 10} and not option.get("min_value", value) <= value <= option.get("max_value", value):
        raise ValueError(f"{name}: {value} is out of range")
    if kind in {6, 7, 8, 9, 11}:
        sent[value.id] = value
        value = value.id
    return {"name": name, "type": kind, "value": value}


def focus(options: list[Json], name: str) -> None:
    """Mark the option in which a person is typing."""
    for option in options:
        if option["name"] == name and "value" in option:
            option["focused"] = True
        focus(option.get("options") or [], name)
