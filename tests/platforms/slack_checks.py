"""Small checks that combine into the shape of a JSON value; each yields complaints, and nothing when content.

A complaint starts with the path of the value: ``blocks[2].text.text: 3001 characters, 3000 allowed``.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

TYPE_NAMES = {str: "text", bool: "true or false", int: "a whole number", list: "a list", dict: "an object"}

Check = Callable[[Any, str], Iterator[str]]
Rule = Callable[[dict[str, Any], str], Iterator[str]]


def is_a(kind: type) -> Check:
    def check(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            yield f"{path}: {TYPE_NAMES[kind]} expected"

    return check


anything: Check = lambda value, path: iter(())  # noqa: E731
boolean = is_a(bool)
whole = is_a(int)


def string(limit: int, *, least: int = 1, only: str = "") -> Check:
    """Text of `least` to `limit` characters, in full matching the pattern `only` when one is given."""

    def check(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield f"{path}: text expected"
        elif len(value) > limit:
            yield f"{path}: {len(value)} characters, {limit} allowed"
        elif len(value) < least:
            yield f"{path}: {len(value)} characters, {least} needed"
        elif only and not re.fullmatch(only, value):
            yield f"{path}: {value!r} does not match {only}"

    return check


def items(check_one: Check, *, least: int = 1, most: int = 1_000_000) -> Check:
    def check(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{path}: a list expected"
            return
        if not least <= len(value) <= most:
            yield f"{path}: {len(value)} items, {least} to {most} allowed"
        for number, item in enumerate(value):
            yield from check_one(item, f"{path}[{number}]")

    return check


def fields(required: Mapping[str, Check] | None = None, /, *rules: Rule, **optional: Check) -> Check:
    """An object with these fields and no others; `type` is not repeated here."""
    needed = required or {}
    known = {**needed, **optional, "type": anything}

    def check(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{path}: an object expected"
            return
        yield from (f"{path}.{name}: required" for name in needed if value.get(name) is None)
        for name, inner in value.items():
            if name not in known:
                yield f"{path}.{name}: unknown field"
            elif inner is not None:
                yield from known[name](inner, f"{path}.{name}")
        for rule in rules:
            yield from rule(value, path)

    return check


def one_of(kinds: dict[str, Check], what: str) -> Check:
    """An object whose `type` is one of `kinds`, checked as that kind."""

    def check(value: Any, path: str) -> Iterator[str]:
        kind = value.get("type") if isinstance(value, dict) else None
        if kind not in kinds:
            yield f"{path}: {kind!r} is not a {what} allowed here"
        else:
            yield from kinds[kind](value, path)

    return check


def needs_one(*names: str) -> Rule:
    def rule(value: dict[str, Any], path: str) -> Iterator[str]:
        if not any(value.get(name) for name in names):
            yield f"{path}: one of {', '.join(names)} is required"

    return rule


def unique(name: str) -> Rule:
    def rule(value: dict[str, Any], path: str) -> Iterator[str]:
        elements = value.get("elements")
        found = [e[name] for e in elements or () if isinstance(e, dict) and name in e]
        yield from (
            f"{path}: {name} {key!r} is used twice" for key in {k for k in found if found.count(k) > 1}
        )

    return rule


def plain(limit: int) -> Check:
    return one_of({"plain_text": fields({"text": string(limit)}, emoji=boolean)}, "text object")


def text(limit: int) -> Check:
    mrkdwn = fields({"text": string(limit)}, verbatim=boolean)
    plain_text = fields({"text": string(limit)}, emoji=boolean)
    return one_of({"mrkdwn": mrkdwn, "plain_text": plain_text}, "text object")
