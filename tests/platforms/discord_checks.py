"""What Discord accepts as a message and as the application's commands; yields complaints.

Lengths are counted in characters, as Discord's servers do.
"""

import re
from collections.abc import Iterator
from typing import Any

from tests.platforms import discord_components
from tests.platforms.discord_components import by_type
from tests.platforms.discord_model import COMPONENTS_V2, EPHEMERAL, Json
from tests.platforms.slack_checks import Check, anything, boolean, fields, items, string, whole

_LINK = string(2048)
_PICTURE = fields({"url": _LINK}, proxy_url=anything, height=anything, width=anything)
_EMBED = fields(
    {},
    title=string(256, least=0),
    description=string(4096, least=0),
    url=_LINK,
    timestamp=string(64),
    color=whole,
    flags=whole,
    footer=fields({"text": string(2048)}, icon_url=_LINK, proxy_icon_url=anything),
    author=fields({"name": string(256)}, url=_LINK, icon_url=_LINK, proxy_icon_url=anything),
    image=_PICTURE,
    thumbnail=_PICTURE,
    fields=items(fields({"name": string(256), "value": string(1024)}, inline=boolean), least=0, most=25),
)
_EMBEDS = items(_EMBED, least=0, most=10)
_IDS = items(string(20, only=r"\d+"), least=0, most=100)
_MENTIONS = fields({}, parse=items(anything, least=0), users=anything, roles=anything, replied_user=boolean)
_MESSAGE = fields(
    {},
    content=string(2000, least=0),
    tts=boolean,
    nonce=anything,
    enforce_nonce=boolean,
    embeds=_EMBEDS,
    allowed_mentions=_MENTIONS,
    message_reference=fields(
        {}, message_id=anything, channel_id=anything, guild_id=anything, fail_if_not_exists=boolean
    ),
    components=items(anything, least=0, most=40),
    attachments=items(anything, least=0, most=10),
    flags=whole,
    sticker_ids=anything,
    thread_name=anything,
)


def message(body: Any, *, flags: int, allowed_flags: int) -> Iterator[str]:
    """Complaints about what is sent as a message; `flags` are those it has then, `allowed_flags` may be set."""
    complaints = list(_MESSAGE(body, ""))
    yield from (c.removeprefix(".") for c in complaints)
    if complaints:
        return
    yield from _nonce(body)
    yield from _mentions(body.get("allowed_mentions"))
    total = sum(map(_embed_length, body.get("embeds") or ()))
    if total > 6000:
        yield f"embeds: {total} characters in all embeds, 6000 allowed"
    if (body.get("flags") or 0) & ~allowed_flags:
        yield f"flags: {body['flags']} cannot be set here"
    new = bool(flags & COMPONENTS_V2)
    if new and (body.get("content") or body.get("embeds")):
        yield "flags: a message of Components V2 has no content and no embeds"
    if body.get("components") or (new and "components" in body):
        yield from discord_components.components(body.get("components") or [], new=new)


def _nonce(body: Json) -> Iterator[str]:
    nonce = body.get("nonce")
    if nonce is not None and (not isinstance(nonce, str | int) or len(str(nonce)) > 25):
        yield f"nonce: {len(str(nonce))} characters, 25 allowed"


def _mentions(allowed: Json | None) -> Iterator[str]:
    for name in ("users", "roles"):
        listed = (allowed or {}).get(name)
        if not listed:
            continue
        yield from _IDS([str(one) for one in listed], f"allowed_mentions.{name}")
        if name in (allowed or {}).get("parse", ()):
            yield f"allowed_mentions: {name} are both listed and parsed"
    for kind in (allowed or {}).get("parse") or ():
        if kind not in {"users", "roles", "everyone"}:
            yield f"allowed_mentions.parse: {kind!r} is not a kind of mention"


def _embed_length(embed: Json) -> int:
    parts = [embed.get("title"), embed.get("description")]
    parts += [(embed.get("footer") or {}).get("text"), (embed.get("author") or {}).get("name")]
    parts += [part for one in embed.get("fields") or () for part in (one["name"], one["value"])]
    return sum(len(part.strip()) for part in parts if part)


INTERACTION_FLAGS = (1 << 2) | EPHEMERAL | (1 << 12) | COMPONENTS_V2
MESSAGE_FLAGS = (1 << 2) | (1 << 12) | COMPONENTS_V2
"""The flags that may be set: SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS and Components V2, and EPHEMERAL."""


# Commands

_NAME = re.compile(r"[-_'\w]{1,32}")


def _name(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, str) or not _NAME.fullmatch(value) or value != value.lower():
        yield f"{path}: {value!r} is not 1 to 32 lower-case letters, digits, - and _"


def _choices(value: Json, path: str) -> Iterator[str]:
    names = [choice.get("name") for choice in value.get("choices") or () if isinstance(choice, dict)]
    if len(names) != len(set(names)):
        yield f"{path}.choices: two choices have the same name"
    if value.get("autocomplete") and names:
        yield f"{path}.autocomplete: cannot be combined with choices"


def _order(value: Json, path: str) -> Iterator[str]:
    options = [o for o in value.get("options") or () if isinstance(o, dict)]
    required = [bool(o.get("required")) for o in options]
    if required != sorted(required, reverse=True):
        yield f"{path}.options: required options come first"
    names = [o.get("name") for o in options]
    if len(names) != len(set(names)):
        yield f"{path}.options: two options have the same name"


_CHOICE = fields({"name": string(100), "value": anything}, name_localizations=anything)
_DESCRIBED: dict[str, Check] = {"name": _name, "description": string(100)}
_LOCAL: dict[str, Check] = {"name_localizations": anything, "description_localizations": anything}
_VALUE = fields(
    _DESCRIBED,
    _choices,
    required=boolean,
    choices=items(_CHOICE, least=0, most=25),
    channel_types=anything,
    min_value=anything,
    max_value=anything,
    min_length=whole,
    max_length=whole,
    autocomplete=boolean,
    **_LOCAL,
)
_VALUES: dict[int, Check] = dict.fromkeys(range(3, 12), _VALUE)
_SUB = fields(_DESCRIBED, _order, options=items(by_type(_VALUES, "option"), least=0, most=25), **_LOCAL)
_GROUP = fields(_DESCRIBED, _order, options=items(by_type({1: _SUB}, "option"), most=25), **_LOCAL)
_SHARED: dict[str, Check] = {
    "id": anything,
    "default_member_permissions": anything,
    "dm_permission": anything,
    "nsfw": boolean,
    "contexts": anything,
    "integration_types": anything,
    **_LOCAL,
}
_OPTION = by_type({1: _SUB, 2: _GROUP} | _VALUES, "option")
_SLASH = fields(_DESCRIBED, _order, options=items(_OPTION, least=0, most=25), **_SHARED)
_MENU = fields(
    {"name": string(32)}, description=string(0, least=0), options=items(anything, least=0, most=0), **_SHARED
)


LONGEST_COMMAND = 8_000
"""Characters of all names, descriptions and values of a command and what is below it."""


def _length(command: Json) -> int:
    own = sum(len(command.get(key) or "") for key in ("name", "description"))
    values = sum(
        len(str(choice["name"])) + len(str(choice["value"])) for choice in command.get("choices") or ()
    )
    return own + values + sum(map(_length, command.get("options") or ()))


def commands(listed: Any) -> Iterator[str]:
    """Complaints about a list of application commands, of which each scope has one."""
    if not isinstance(listed, list):
        yield "commands: a list expected"
        return
    for number, one in enumerate(listed):
        kind = one.get("type", 1)
        yield from by_type({1: _SLASH, 2: _MENU, 3: _MENU}, "command")(
            {"type": kind} | one, f"commands[{number}]"
        )
        if (length := _length(one)) > LONGEST_COMMAND:
            yield f"commands[{number}]: {length} characters in all, {LONGEST_COMMAND} allowed"
    keys = [(one.get("type", 1), one.get("name")) for one in listed]
    for kind, most in ((1, 100), (2, 15), (3, 15)):
        count = len([key for key in keys if key[0] == kind])
        if count > most:
            yield f"commands: {count} of type {kind}, {most} allowed"
    for key in sorted({str(key) for key in keys if keys.count(key) > 1}):
        yield f"commands: {key} is there twice"
