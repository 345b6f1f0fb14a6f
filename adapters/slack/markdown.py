"""Slack's markup as Markdown, with names in place of ids; pure."""

import html
import re
from collections.abc import Mapping
from functools import partial

from knowledge.sources.chat.transcript import safe

_TOKEN = re.compile(r"<([^<>]+)>")
_PERSON = re.compile(r"<@([A-Z0-9]+)(?:\|[^<>]*)?>")
_FENCE = "```"
_SCHEME = re.compile(r"^(https?://|mailto:|tel:)")


def mentioned(text: str) -> frozenset[str]:
    """Ids of the people whom it names."""
    return frozenset(_PERSON.findall(text))


def to_markdown(text: str, *, people: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """The same in Markdown; who is not known by name stays an id. Code stays as it is."""

    def spelled(token: re.Match[str], *, in_code: bool) -> str:
        target, _, label = token[1].partition("|")
        if target.startswith("@"):
            return f"@{people.get(target[1:], label or target[1:])}"
        if target.startswith("#"):
            return channels.get(target[1:], f"#{label or target[1:]}")
        if target.startswith("!"):
            return label or "@" + target[1:].partition("^")[0]
        bare = _SCHEME.sub("", target)
        if in_code or not label or label.rstrip("/") in {target.rstrip("/"), bare.rstrip("/")}:
            return label or (target if target.startswith("http") else bare)
        return f"[{label.replace('[', '(').replace(']', ')')}]({target})"

    parts = text.split(_FENCE)
    for number, part in enumerate(parts):
        in_code = number % 2 == 1 and number < len(parts) - 1
        parts[number] = html.unescape(_TOKEN.sub(partial(spelled, in_code=in_code), part))
    return safe(_FENCE.join(parts)).strip()
