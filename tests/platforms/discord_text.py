"""What people read of a message and whom it would notify."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_CODE = re.compile(r"```.*?```|``.+?``|`[^`\n]+`", re.DOTALL)
_USER, _ROLE = re.compile(r"<@!?(\d+)>"), re.compile(r"<@&(\d+)>")
_ANY = re.compile(r"<(@!?|@&|#)(\d+)>")


def walk(components: list[Json]) -> Iterator[Json]:
    """Every component, outer ones first: rows, containers, sections with what is beside them, labels."""
    for component in components:
        yield component
        yield from walk(component.get("components") or [])
        yield from walk([c for c in (component.get("accessory"), component.get("component")) if c])


def interactive(components: list[Json]) -> Iterator[Json]:
    return (c for c in walk(components) if "custom_id" in c or "url" in c)


def displayed(components: list[Json]) -> list[str]:
    """The texts among the components."""
    return [c["content"] for c in walk(components) if c.get("type") == 10]


def read(content: str, embeds: list[Json], components: list[Json], name_of: Callable[[str], str]) -> str:
    parts: list[str | None] = [content]
    for embed in embeds:
        parts += [embed.get("author", {}).get("name"), embed.get("title"), embed.get("description")]
        parts += [f"{one['name']}\n{one['value']}" for one in embed.get("fields") or ()]
        parts.append(embed.get("footer", {}).get("text"))
    parts += displayed(components)
    text = "\n".join(part for part in parts if part)
    return _ANY.sub(lambda m: m[1].rstrip("!&") + name_of(m[2]), text)


@dataclass
class Notified:
    """Whom a message notifies."""

    everyone: bool = False
    roles: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)


def notified(text: str, allowed: Json | None, *, default: tuple[str, ...], reply_to: str | None) -> Notified:
    """Whom a message with this text notifies, given its allowed_mentions.

    `default` are the kinds that are read when there are no allowed_mentions, in which case a reply notifies the
    author of the message replied to (`reply_to`) as well. Nothing in code notifies.
    """
    plain = _CODE.sub("", text)
    kinds = default if allowed is None else allowed.get("parse") or ()
    listed: Json = allowed or {}
    found = Notified("everyone" in kinds and bool(re.search(r"@(everyone|here)\b", plain)))
    for target in dict.fromkeys(_ROLE.findall(plain)):
        if "roles" in kinds or target in map(str, listed.get("roles") or ()):
            found.roles.append(target)
    for target in dict.fromkeys(_USER.findall(plain)):
        if "users" in kinds or target in map(str, listed.get("users") or ()):
            found.users.append(target)
    if reply_to and (allowed is None or listed.get("replied_user")) and reply_to not in found.users:
        found.users.append(reply_to)
    return found
