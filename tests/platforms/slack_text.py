"""What a person sees of a message, and which of its words would notify somebody.

mrkdwn is read the way Slack shows it: ``<url|label>`` becomes the label, ``<@U…>`` a name, ``&lt;`` a bracket.
Standard Markdown (streams, markdown blocks) is kept as its source: nothing is rendered, no markers are removed.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

NameOf = Callable[[str], str]

_REFERENCE = re.compile(r"<([@#!]?)([^<>|]+)(?:\|([^<>]*))?>")
_BROADCAST = re.compile(r"<!(channel|here|everyone)\b[^>]*>|<!subteam\^[^>]*>")
_PARSED = re.compile(r"(?<![\w@])@(channel|here|everyone)\b")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")


def read_mrkdwn(text: str, name_of: NameOf) -> str:
    """mrkdwn as it is shown; `name_of` turns the id of a user or channel into a name."""

    def shown(match: re.Match[str]) -> str:
        sign, target, label = match.groups()
        if label:
            return str(label)
        if sign == "!":
            return "@" + target.partition("^")[0]
        return f"{sign}{name_of(target)}" if sign else target

    plain = _REFERENCE.sub(shown, text)
    return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def read_blocks(blocks: list[dict[str, Any]], name_of: NameOf) -> Iterator[str]:
    """The text of each block that has any; buttons and menus are not text."""
    for block in blocks:
        if reader := _READERS.get(block.get("type", "")):
            yield from reader(block, name_of)


def _section(block: dict[str, Any], name_of: NameOf) -> Iterator[str]:
    yield from (_text_object(t, name_of) for t in (block.get("text"), *(block.get("fields") or ())) if t)


def _context(block: dict[str, Any], name_of: NameOf) -> Iterator[str]:
    yield " ".join(_text_object(e, name_of) for e in block["elements"] if "text" in e)


def _plan(block: dict[str, Any], name_of: NameOf) -> Iterator[str]:
    yield block["title"]
    for task in block.get("tasks") or ():
        yield from _task(task, name_of)


def _text_object(value: dict[str, Any], name_of: NameOf) -> str:
    return read_mrkdwn(value["text"], name_of) if value.get("type") == "mrkdwn" else str(value["text"])


def _cell(cell: dict[str, Any], name_of: NameOf) -> str:
    return "".join(_rich(cell["elements"], name_of)) if "elements" in cell else str(cell.get("text", ""))


def _task(block: dict[str, Any], name_of: NameOf) -> Iterator[str]:
    yield block["title"]
    for part in (block.get("details"), block.get("output")):
        if part:
            yield "".join(_rich(part["elements"], name_of))
    yield from (source["text"] for source in block.get("sources") or ())


def _rich(elements: list[dict[str, Any]], name_of: NameOf) -> Iterator[str]:
    for element in elements:
        match element.get("type"):
            case "text":
                yield element["text"]
            case "link":
                yield element.get("text") or element["url"]
            case "user":
                yield "@" + name_of(element["user_id"])
            case "emoji":
                yield f":{element['name']}:"
            case "broadcast":
                yield "@" + element["range"]
            case _:
                yield from _rich(element.get("elements") or [], name_of)
                yield "\n"


_READERS: dict[str, Callable[[dict[str, Any], NameOf], Iterator[str]]] = {
    "markdown": lambda block, name_of: iter([block["text"]]),
    "section": _section,
    "header": lambda block, name_of: iter([block["text"]["text"]]),
    "context": _context,
    "rich_text": lambda block, name_of: iter(["".join(_rich(block["elements"], name_of)).strip("\n")]),
    "table": lambda block, name_of: (" | ".join(_cell(c, name_of) for c in row) for row in block["rows"]),
    "task_card": _task,
    "plan": _plan,
    "image": lambda block, name_of: iter([block["alt_text"]]),
}


def notifies(text: str, *, allowed: set[str], parse: bool = False) -> Iterator[str]:
    """The words in `text` that would notify people other than those `allowed`.

    Strict: code spans and backslashes do not excuse a mention, because Slack's own rules for them are not
    documented. `parse` is true when the message asks Slack to find ``@channel`` by itself.
    """
    yield from (match.group() for match in _BROADCAST.finditer(text))
    yield from (match.group() for match in _MENTION.finditer(text) if match[1] not in allowed)
    if parse:
        yield from (match.group() for match in _PARSED.finditer(text))


def parsed_strings(value: Any) -> Iterator[str]:
    """Every string in blocks, chunks or attachments in which Slack looks for mentions.

    That is all of them except plain_text objects, addresses, ids and values.
    """
    if isinstance(value, list):
        for item in value:
            yield from parsed_strings(item)
    elif isinstance(value, dict) and value.get("type") != "plain_text":
        if value.get("type") == "broadcast":
            yield f"<!{value.get('range')}>"
        if value.get("type") == "user":
            yield f"<@{value.get('user_id')}>"
        if value.get("type") in {"mrkdwn", "markdown", "markdown_text"} and isinstance(
            value.get("text"), str
        ):
            yield value["text"]
        yield from (
            s for inner in value.values() if isinstance(inner, list | dict) for s in parsed_strings(inner)
        )
