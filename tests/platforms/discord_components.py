"""What Discord accepts as components of a message and as a modal: kinds, nesting, numbers and lengths.

Everything here yields complaints, as `slack_checks` does, and nothing when content. Fields that Discord would
ignore are complaints too, for they are slips of the pen. Premium buttons are not known.
"""

from collections.abc import Iterator
from typing import Any

from tests.platforms.discord_text import Json, displayed, walk
from tests.platforms.slack_checks import Check, anything, boolean, fields, items, string, whole

CUSTOM_ID = string(100)


def by_type(kinds: dict[int, Check], what: str) -> Check:
    """An object whose `type` is one of `kinds`, checked as that kind."""

    def check(value: Any, path: str) -> Iterator[str]:
        kind = value.get("type") if isinstance(value, dict) else None
        if kind not in kinds:
            yield f"{path}.type: {kind!r} is not a {what} allowed here"
        else:
            yield from kinds[kind](value, path)

    return check


def _within(least: int, most: int) -> Check:
    def check(value: Any, path: str) -> Iterator[str]:
        yield from whole(value, path)
        if isinstance(value, int) and not least <= value <= most:
            yield f"{path}: {value}, {least} to {most} allowed"

    return check


def _button_rules(value: Json, path: str) -> Iterator[str]:
    style, is_link = value.get("style"), value.get("style") == 5
    if style not in {1, 2, 3, 4, 5}:
        yield f"{path}.style: {style!r} is not a style"
    if is_link and not value.get("url"):
        yield f"{path}.url: required for a link button"
    if is_link and "custom_id" in value:
        yield f"{path}.custom_id: a link button cannot have one"
    if not is_link and not value.get("custom_id"):
        yield f"{path}.custom_id: required"
    if not is_link and "url" in value:
        yield f"{path}.url: only a link button has one"
    if not (value.get("label") or value.get("emoji")):
        yield f"{path}.label: a button needs a label or an emoji"


def _range_rules(value: Json, path: str) -> Iterator[str]:
    """Whether the numbers of values fit together and to the options."""
    options = value.get("options")
    least, most = value.get("min_values"), value.get("max_values")
    if least is not None and most is not None and least > most:
        yield f"{path}.min_values: more than max_values"
    if options is not None and most is not None and most > len(options):
        yield f"{path}.max_values: {most} of {len(options)} options"
    values = [o.get("value") for o in options or () if isinstance(o, dict)]
    if len(values) != len(set(values)):
        yield f"{path}.options: two options have the same value"
    if value.get("type") in {3, 21, 22} and options is None:
        yield f"{path}.options: required"


def _length_rules(value: Json, path: str) -> Iterator[str]:
    if (value.get("min_length") or 0) > (value.get("max_length") or 4000):
        yield f"{path}.min_length: more than max_length"


_ID = whole
_EMOJI = fields({}, id=anything, name=string(100), animated=boolean)
_BUTTON = fields(
    {"style": whole},
    _button_rules,
    id=_ID,
    label=string(80),
    emoji=_EMOJI,
    custom_id=CUSTOM_ID,
    url=string(512),
    disabled=boolean,
)
_OPTION = fields(
    {"label": string(100), "value": string(100)},
    description=string(100, least=0),
    emoji=_EMOJI,
    default=boolean,
)
_SELECT = fields(
    {"custom_id": CUSTOM_ID},
    _range_rules,
    id=_ID,
    placeholder=string(150, least=0),
    min_values=_within(0, 25),
    max_values=_within(1, 25),
    options=items(_OPTION, most=25),
    channel_types=anything,
    default_values=anything,
    disabled=boolean,
    required=boolean,
)
_SELECTS: dict[int, Check] = dict.fromkeys((3, 5, 6, 7, 8), _SELECT)


def _row_rules(value: Json, path: str) -> Iterator[str]:
    kinds = [c.get("type") for c in value.get("components") or () if isinstance(c, dict)]
    if len(kinds) > 1 and any(kind in _SELECTS for kind in kinds):
        yield f"{path}.components: a menu stands alone in its row"


_ROW = fields(
    {"components": items(by_type({2: _BUTTON} | _SELECTS, "component"), most=5)}, _row_rules, id=_ID
)
_TEXT = fields({"content": string(4000)}, id=_ID)
_MEDIA = fields({"url": string(2048)}, proxy_url=anything, height=anything, width=anything)
_THUMBNAIL = fields({"media": _MEDIA}, id=_ID, description=string(1024), spoiler=boolean)
_SECTION = fields(
    {
        "components": items(by_type({10: _TEXT}, "component"), most=3),
        "accessory": by_type({2: _BUTTON, 11: _THUMBNAIL}, "accessory"),
    },
    id=_ID,
)
_ITEM = fields({"media": _MEDIA}, description=string(1024), spoiler=boolean)
_INNER: dict[int, Check] = {
    1: _ROW,
    9: _SECTION,
    10: _TEXT,
    12: fields({"items": items(_ITEM, most=10)}, id=_ID),
    13: fields({"file": _MEDIA}, id=_ID, spoiler=boolean, name=anything, size=anything),
    14: fields({}, id=_ID, divider=boolean, spacing=_within(1, 2)),
}
_CONTAINER = fields(
    {"components": items(by_type(_INNER, "component"), most=40)}, id=_ID, accent_color=whole, spoiler=boolean
)
_OLD = items(by_type({1: _ROW}, "component"), least=0, most=5)
_NEW = items(by_type(_INNER | {17: _CONTAINER}, "component"), most=40)


def components(value: list[Json], *, new: bool) -> Iterator[str]:
    """Complaints about the components of a message; `new` when it has the flag for Components V2."""
    complaints = list((_NEW if new else _OLD)(value, "components"))
    yield from complaints
    if complaints:
        return
    yield from _unique(value, "components")
    if new:
        count, text = len(list(walk(value))), sum(map(len, displayed(value)))
        if count > 40:
            yield f"components: {count} components, 40 allowed"
        if text > 4000:
            yield f"components: {text} characters of text, 4000 allowed"


def _unique(value: list[Json], path: str) -> Iterator[str]:
    ids = [c["custom_id"] for c in walk(value) if "custom_id" in c]
    for twice in sorted({one for one in ids if ids.count(one) > 1}):
        yield f"{path}: custom_id {twice!r} is used twice"


# Modals

_CHOICE = fields(
    {"label": string(100), "value": string(100)}, description=string(100, least=0), default=boolean
)
_GROUP = {"custom_id": CUSTOM_ID}
_RADIO = fields(
    {**_GROUP, "options": items(_CHOICE, least=2, most=10)}, _range_rules, id=_ID, required=boolean
)
_CHECKBOXES = fields(
    {**_GROUP, "options": items(_CHOICE, most=10)},
    _range_rules,
    id=_ID,
    required=boolean,
    min_values=_within(0, 10),
    max_values=_within(1, 10),
)


def _input(label: dict[str, Check]) -> Check:
    return fields(
        {"custom_id": CUSTOM_ID, "style": _within(1, 2), **label},
        _length_rules,
        id=_ID,
        label=string(45),
        min_length=_within(0, 4000),
        max_length=_within(1, 4000),
        required=boolean,
        value=string(4000, least=0),
        placeholder=string(100, least=0),
    )


_UPLOAD = fields(
    _GROUP, _range_rules, id=_ID, required=boolean, min_values=_within(0, 10), max_values=_within(1, 10)
)
_LABELLED: dict[int, Check] = _SELECTS | {
    4: _input({}),
    19: _UPLOAD,
    21: _RADIO,
    22: _CHECKBOXES,
    23: fields(_GROUP, id=_ID, default=boolean),
}
_LABEL = fields(
    {"label": string(45), "component": by_type(_LABELLED, "component")},
    id=_ID,
    description=string(100, least=0),
)
_OLD_INPUT = by_type({4: _input({"label": string(45)})} | _SELECTS, "component")
_FORM_ROW = fields({"components": items(_OLD_INPUT, most=1)}, id=_ID)
_MODAL = fields(
    {
        "custom_id": CUSTOM_ID,
        "title": string(45),
        "components": items(by_type({1: _FORM_ROW, 10: _TEXT, 18: _LABEL}, "component"), most=5),
    }
)


def modal(value: Json) -> Iterator[str]:
    """Complaints about a modal."""
    complaints = list(_MODAL(value, "data"))
    yield from complaints
    if not complaints:
        yield from _unique(value["components"], "data.components")
