"""What the keys of `[[sources]]` may be, by kind of source. Errors continue the sentence "it must be …"."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

KEYS = {
    "folder": frozenset({"path"}),
    "git": frozenset({"url", "branch", "token_file", "web"}),
    "website": frozenset({"url", "sitemap", "depth", "pages", "rate", "allow_private"}),
    "slack": frozenset({"channels", "days", "bots", "leave_out"}),
    "discord": frozenset({"channels", "days", "bots", "leave_out"}),
}
"""By kind the keys that only some kinds have; those of plugins have `settings`."""
OWN_KEYS = frozenset({"settings"}).union(*KEYS.values())
_NEEDED = frozenset({"path", "url", "channels"})
"""Those of them that every source of the kind must have."""

CHATS = {
    "slack": (re.compile(r"[CG][A-Z0-9]{2,}"), "C024BE7LH"),
    "discord": (re.compile(r"\d{15,20}"), "112233445566778899"),
}
"""Kinds that read channels: how the ids of these look, and one of them."""

_BRANCH = re.compile(r"(?![-/.])(?!.*(\.\.|//|@\{))[^\s~^:?*\[\\\x00-\x20\x7f]+(?<![/.])")
_SHORT = re.compile(r"[^/:@]+@?[^/:@]*:(?!//)")
"""How an address for ssh may begin: git@host:path."""


def known_kind(kind: str) -> str:
    """Raises ValueError unless there are sources of that kind."""
    if kind in KEYS:
        return kind
    from knowledge.sources.plugins import installed_kinds

    if kind not in (kinds := installed_kinds()):
        names = [f'"{name}"' for name in dict.fromkeys((*KEYS, *kinds))]
        raise ValueError(f"{', '.join(names[:-1])} or {names[-1]}")
    return kind


def key_of_its_kind(value: object, info: ValidationInfo, *, default: object) -> object:
    """The value of a key that only some kinds have; the errors are those of pydantic."""
    key, kind = str(info.field_name), info.data.get("kind")
    if kind is None:  # which is wrong already
        return value
    belongs = key in KEYS.get(kind, {"settings"})
    if value == default:
        if belongs and key in _NEEDED:
            raise PydanticCustomError("missing", "Field required")
        return value
    if not belongs:
        owners = " and ".join(f'"{name}"' for name, keys in KEYS.items() if key in keys)
        raise ValueError(f"left out: it belongs to sources of {f'kind {owners}' if owners else 'plugins'}")
    if key == "token_file" and not str(info.data.get("url")).startswith(("http://", "https://")):
        raise ValueError("left out: only addresses of https need it; for ssh there are keys")
    return value


def channel_ids(value: object, info: ValidationInfo) -> object:
    """Of channels whose history is read; raises ValueError."""
    ids = tuple(value) if isinstance(value, list) else value
    looks, example = CHATS.get(str(info.data.get("kind")), (None, ""))
    if looks and not (
        isinstance(ids, tuple) and ids and all(isinstance(one, str) and looks.fullmatch(one) for one in ids)
    ):
        raise ValueError(f'a list of the ids of channels, such as ["{example}"]')
    return ids


def audience(value: object, info: ValidationInfo) -> object:
    """Who may see a source: as it is given (a list), or by default (an empty tuple). Raises ValueError.

    By default everyone, but what is said in a channel only those who are in it.
    """
    kind, channels = info.data.get("kind"), info.data.get("channels", ())
    if value != ():
        return value
    if kind not in CHATS or not channels:  # a history without channels is refused
        return ("everyone",)
    if len(channels) > 1:
        raise ValueError(
            "given for several channels, because what is said in one would be shown in the others: say who may see "
            "all of it, or make each channel a source of its own"
        )
    return (f"{kind}:{channels[0]}",)


def source_address(value: object, info: ValidationInfo) -> object:
    """Of a git repository or a website; raises ValueError."""
    if not isinstance(value, str):
        return value
    if info.data.get("kind") == "git":
        return git_address(value, folder=(info.context or {}).get("folder"))
    return web_address(value)


def git_address(value: str, *, folder: Path | None) -> str:
    """What git can clone; a path is taken from `folder`. Raises ValueError."""
    without_secrets = "an address without a password; use a credential helper, an SSH key or `token_file`"
    if not value.strip() or not value.isprintable() or value.startswith("-"):
        raise ValueError('an address or a path, such as "https://github.com/acme/handbook.git"')
    if value.startswith("ext::"):
        raise ValueError("an address of https, ssh or git, or a path")
    if "::" in value.partition("/")[0]:  # of a program that git calls
        return value
    if "://" in value:
        login = value.partition("://")[2].partition("/")[0].rpartition("@")[0]
        if ":" in login or (login and urlsplit(value).scheme in {"http", "https"}):
            raise ValueError(without_secrets)
        return value
    if re.match(r"[^/@]*:[^/@]*@", value):
        raise ValueError(without_secrets)
    if _SHORT.match(value):
        return value
    try:
        return str(((folder or Path()) / Path(value).expanduser()).resolve())
    except (RuntimeError, OSError) as error:  # "~nobody", or links that go in a circle
        raise ValueError("a path that leads somewhere") from error


def web_address(value: str) -> str:
    """Of a website; raises ValueError."""
    try:
        parts = urlsplit(value)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_web = False
    if not is_web or not value.isprintable() or " " in value:
        raise ValueError('an address such as "https://docs.example.org/guide/"')
    if "@" in parts.netloc:
        raise ValueError("an address without a user or password; pages that need a login are not read")
    return value


def branch_name(value: str) -> str:
    """Of a branch or tag; raises ValueError."""
    if not _BRANCH.fullmatch(value):
        raise ValueError('the name of a branch or tag, such as "main"')
    return value
