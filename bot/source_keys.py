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
}
"""By kind the keys that only some kinds have; those of plugins have `settings`."""
OWN_KEYS = frozenset({"settings"}).union(*KEYS.values())
_NEEDED = frozenset({"path", "url"})
"""Those of them that every source of the kind must have."""

_BRANCH = re.compile(r"(?![-/.])(?!.*(\.\.|//|@\{))[^\s~^:?*\[\\\x00-\x20\x7f]+(?<![/.])")
_SHORT = re.compile(r"[^/:@]+@?[^/:@]*:(?!//)")
"""How an address for ssh may begin: git@host:path."""


def known_kind(kind: str) -> str:
    """Raises ValueError unless there are sources of that kind."""
    if kind in KEYS:
        return kind
    from knowledge.sources.plugins import installed_kinds

    if kind not in (kinds := installed_kinds()):
        names = [f'"{name}"' for name in (*KEYS, *kinds)]
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
