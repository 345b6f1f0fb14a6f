"""Sentences for what is wrong with a settings file: the key, what was given, and what is allowed."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

_KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_SECRETS = {
    "api_key",
    "chroma_token",
    "token",
    "bot_token",
    "app_token",
    "signing_secret",
    "client_id",
    "client_secret",
    "secret_key",
}
"""Settings that come from the environment and are never suggested."""
_LONGEST = 60
"""Characters of a wrong value that are shown."""


def explain(error: ValidationError, *, model: type[BaseModel], file: Path) -> str:
    """One message for all that is wrong, a line for each key.

    Values of unknown keys and of addresses are not repeated: they may be secrets.
    """
    by_key = {_key(details["loc"]): details for details in error.errors(include_url=False)}
    lines = [_line(key, details, model) for key, details in sorted(by_key.items())]
    return f"{file}: {lines[0]}" if len(lines) == 1 else "\n  ".join([f"{file}:", *lines])


def _line(key: str, details: ErrorDetails, model: type[BaseModel]) -> str:
    if details["type"] == "extra_forbidden":
        return f"`{key}` is not a setting; {_suggestion(details['loc'], model)}"
    field = _field(details["loc"], model)
    if details["type"] == "missing":
        return f"`{key}` is missing; it must be {_allowed(field)}."
    if details["type"] == "value_error":
        allowed = str(details.get("ctx", {}).get("error") or _allowed(field))
    else:
        allowed = _allowed(field)
    return f"`{key}` is {_given(details['input'])}; it must be {allowed}."


def _key(loc: tuple[int | str, ...]) -> str:
    key = ""
    for part in loc:
        if isinstance(part, int):
            key += f"[{part}]"
        elif part.isidentifier() or part.replace("-", "_").isidentifier():
            key += f".{part}" if key else part
    return key


def _field(loc: tuple[int | str, ...], model: type[BaseModel]) -> FieldInfo | None:
    """The declaration of the innermost named setting on the way to the error."""
    field: FieldInfo | None = None
    inner: type[BaseModel] | None = model
    for part in loc:
        if isinstance(part, str) and inner is not None and part in inner.model_fields:
            field = inner.model_fields[part]
            inner = _inner(field)
    return field


def _inner(field: FieldInfo) -> type[BaseModel] | None:
    candidates = (field.annotation, *get_args(field.annotation))
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _allowed(field: FieldInfo | None) -> str:
    if field is None:
        return "a table of settings"
    if field.description:
        return field.description
    if inner := _inner(field):
        return "a table with " + ", ".join(f"`{name}`" for name in inner.model_fields if name not in _SECRETS)
    kind, described = field.annotation, None
    if get_origin(kind) in {Union, UnionType}:
        kind = next(one for one in get_args(kind) if one is not type(None))
        described = getattr(kind, "__metadata__", None)
    if described:
        texts = [
            extra.description for extra in described if isinstance(extra, FieldInfo) and extra.description
        ]
        kind = get_args(kind)[0]
        if texts:
            return str(texts[0])
    if get_origin(kind) is Literal:
        return " or ".join(f'"{value}"' for value in get_args(kind))
    return _KINDS.get(kind, "a value") + _range(field) if isinstance(kind, type) else "a value"


def _range(field: FieldInfo) -> str:
    bounds = {
        name: getattr(rule, name) for rule in field.metadata for name in ("ge", "le") if hasattr(rule, name)
    }
    return f" from {bounds['ge']} to {bounds['le']}" if len(bounds) == 2 else ""  # noqa: PLR2004 - both ends


def _given(value: Any) -> str:
    if isinstance(value, str) and ("@" in value or "://" in value):
        return "not understood"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "an empty list" if not value else "a list"
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"


def _suggestion(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """The same name in another section, else the nearest one in this section, else the nearest anywhere."""
    wrong, section = str(loc[-1]), model
    for part in loc[:-1]:
        if field := section.model_fields.get(str(part)):
            section = _inner(field) or section
    keys, here = dict(_all_keys(model)), [name for name in section.model_fields if name not in _SECRETS]
    if wrong in keys:
        return f"did you mean `{keys[wrong]}`?"
    if near := difflib.get_close_matches(wrong, here, n=1):
        return f"did you mean `{near[0]}`?"
    if near := difflib.get_close_matches(wrong, keys, n=1, cutoff=0.8):
        return f"did you mean `{keys[near[0]]}`?"
    return f"settings here are {', '.join(f'`{name}`' for name in here)}."


def _all_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if name in _SECRETS:
            continue
        yield name, prefix + name
        if inner := _inner(field):
            yield from _all_keys(
                inner, f"{prefix}{name}{'[]' if get_origin(field.annotation) is tuple else ''}."
            )
