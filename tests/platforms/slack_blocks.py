"""Slack's documented limits on blocks, chunks, views and metadata, as pure functions that return complaints.

Every function yields sentences such as ``blocks[2].text.text: 3001 characters, 3000 allowed``; nothing yielded
means Slack would take it. Unknown block types, unknown fields and missing required fields are complaints.

What this does not do: it does not render, it does not check that image addresses exist, and of the newest
blocks (card, carousel, container, video, call, data tables) it knows only the outline. Where Slack's own
documentation is silent it is strict: an input block in a message and an alert outside a modal are refused.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from tests.platforms.slack_checks import (
    Check,
    anything,
    boolean,
    fields,
    is_a,
    items,
    needs_one,
    one_of,
    plain,
    string,
    text,
    unique,
    whole,
)

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MARKDOWN_CHARACTERS = 12_000
METADATA_CHARACTERS = 16_000

URL = string(3000, only=r"\S+")
ACTION_ID = string(255)
CONFIRM = fields(
    {"title": plain(100), "text": text(300), "confirm": plain(30), "deny": plain(30)},
    style=string(10, only="primary|danger"),
)
OPTION = fields({"text": text(75), "value": string(150)}, description=text(75), url=URL)
OPTION_GROUP = fields({"label": plain(75), "options": items(OPTION, most=100)})
IMAGE_SOURCE = fields({}, needs_one("id", "url"), id=string(50), url=URL)
IMAGE = fields(
    {"alt_text": string(2000)}, needs_one("image_url", "slack_file"), image_url=URL, slack_file=IMAGE_SOURCE
)
_INPUT: dict[str, Check] = {"action_id": ACTION_ID, "placeholder": plain(150), "focus_on_load": boolean}
_SELECT: dict[str, Check] = {**_INPUT, "confirm": CONFIRM}
_FEEDBACK = fields({"text": plain(75), "value": string(2000)}, accessibility_label=string(75))

BUTTON = fields(
    {"text": plain(75)},
    action_id=ACTION_ID,
    url=URL,
    value=string(2000),
    style=string(10, only="primary|danger"),
    confirm=CONFIRM,
    accessibility_label=string(75),
    agent_prompt=string(4000),
    agent_prompt_display=string(4000),
    visible_to_user_ids=items(string(20), most=10),
)
_OPTIONS_10: dict[str, Check] = {"options": items(OPTION, most=10)}
CHOICES: dict[str, Check] = {
    "radio_buttons": fields(_OPTIONS_10, **_SELECT, initial_option=OPTION),
    "checkboxes": fields(_OPTIONS_10, **_SELECT, initial_options=items(OPTION, most=10)),
    "static_select": fields(
        {},
        needs_one("options", "option_groups"),
        **_SELECT,
        options=items(OPTION, most=100),
        option_groups=items(OPTION_GROUP, most=100),
        initial_option=OPTION,
    ),
    "multi_static_select": fields(
        {},
        needs_one("options", "option_groups"),
        **_SELECT,
        options=items(OPTION, most=100),
        option_groups=items(OPTION_GROUP, most=100),
        initial_options=items(OPTION, most=100),
        max_selected_items=whole,
    ),
    "users_select": fields(**_SELECT, initial_user=string(20)),
    "conversations_select": fields(
        **_SELECT,
        initial_conversation=string(20),
        default_to_current_conversation=boolean,
        response_url_enabled=boolean,
        filter=anything,
    ),
    "channels_select": fields(**_SELECT, initial_channel=string(20), response_url_enabled=boolean),
    "datepicker": fields(**_SELECT, initial_date=string(10, only=r"\d{4}-\d\d-\d\d")),
    "timepicker": fields(**_SELECT, initial_time=string(5, only=r"\d\d:\d\d"), timezone=string(100)),
}
INTERACTIVE: dict[str, Check] = CHOICES | {
    "button": BUTTON,
    "overflow": fields({"options": items(OPTION, most=5)}, action_id=ACTION_ID, confirm=CONFIRM),
}
TYPED: dict[str, Check] = {
    "plain_text_input": fields(
        **_INPUT,
        initial_value=string(3000, least=0),
        multiline=boolean,
        min_length=whole,
        max_length=whole,
        dispatch_action_config=anything,
    ),
    "email_text_input": fields(**_INPUT, initial_value=string(3000), dispatch_action_config=anything),
    "url_text_input": fields(**_INPUT, initial_value=string(3000), dispatch_action_config=anything),
    "number_input": fields(
        {"is_decimal_allowed": boolean},
        **_INPUT,
        initial_value=string(100),
        min_value=string(100),
        max_value=string(100),
        dispatch_action_config=anything,
    ),
    "file_input": fields(action_id=ACTION_ID, filetypes=items(string(20)), max_files=whole),
}
CONTEXT_ACTIONS: dict[str, Check] = {
    "feedback_buttons": fields(
        {"positive_button": _FEEDBACK, "negative_button": _FEEDBACK}, action_id=ACTION_ID
    ),
    "icon_button": fields(
        {"icon": string(50, only="trash"), "text": plain(75)},
        action_id=ACTION_ID,
        value=string(2000),
        confirm=CONFIRM,
        accessibility_label=string(75),
        visible_to_user_ids=items(string(20), most=10),
    ),
}
CONTEXT: dict[str, Check] = {
    "image": IMAGE,
    "mrkdwn": fields({"text": string(3000)}, verbatim=boolean),
    "plain_text": fields({"text": string(3000)}, emoji=boolean),
}
RICH_TEXT = fields(
    {
        "elements": items(
            one_of(
                {f"rich_text_{k}": anything for k in ("section", "list", "preformatted", "quote")},
                "rich text element",
            )
        )
    },
    block_id=string(255),
)
SOURCE = fields({"url": URL, "text": string(3000)})
STATUS = string(20, only="pending|in_progress|complete|error")
TASK_CARD = fields(
    {"task_id": string(255), "title": string(3000)},
    block_id=string(255),
    status=STATUS,
    details=one_of({"rich_text": RICH_TEXT}, "block"),
    output=one_of({"rich_text": RICH_TEXT}, "block"),
    sources=items(one_of({"url": SOURCE}, "source")),
)
_CELL = one_of({"raw_text": anything, "raw_number": anything, "rich_text": RICH_TEXT}, "table cell")
_ID: dict[str, Check] = {"block_id": string(255)}

EVERYWHERE: dict[str, Check] = {
    "section": fields(
        {},
        needs_one("text", "fields"),
        **_ID,
        text=text(3000),
        fields=items(text(2000), most=10),
        accessory=one_of(INTERACTIVE | {"image": IMAGE}, "element"),
        expand=boolean,
    ),
    "divider": fields(**_ID),
    "header": fields({"text": plain(150)}, **_ID, level=whole),
    "context": fields({"elements": items(one_of(CONTEXT, "element"), most=10)}, **_ID),
    "actions": fields(
        {"elements": items(one_of(INTERACTIVE, "element"), most=25)}, unique("action_id"), **_ID
    ),
    "image": fields(
        {"alt_text": string(2000)},
        needs_one("image_url", "slack_file"),
        **_ID,
        image_url=URL,
        slack_file=IMAGE_SOURCE,
        title=plain(2000),
    ),
    "rich_text": RICH_TEXT,
}
IN_MESSAGES: dict[str, Check] = (
    EVERYWHERE
    | {
        "markdown": fields({"text": string(MARKDOWN_CHARACTERS)}, **_ID),
        "context_actions": fields(
            {"elements": items(one_of(CONTEXT_ACTIONS, "element"), most=5)}, unique("action_id"), **_ID
        ),
        "table": fields(
            {"rows": items(items(_CELL, most=20), most=100)}, **_ID, column_settings=items(anything, most=20)
        ),
        "task_card": TASK_CARD,
        "plan": fields(
            {"title": string(3000)}, **_ID, tasks=items(one_of({"task_card": TASK_CARD}, "task"), least=0)
        ),
    }
    | dict.fromkeys(("card", "carousel", "container", "video", "call", "file", "data_table"), anything)
)
IN_VIEWS: dict[str, Check] = EVERYWHERE | {
    "input": fields(
        {"label": plain(2000), "element": one_of(CHOICES | TYPED, "input element")},
        **_ID,
        hint=plain(2000),
        optional=boolean,
        dispatch_action=boolean,
    ),
}
MODAL = fields(
    {"title": plain(24), "blocks": anything},
    submit=plain(24),
    close=plain(24),
    private_metadata=string(3000, least=0),
    callback_id=string(255, least=0),
    clear_on_close=boolean,
    notify_on_close=boolean,
    external_id=string(255, least=0),
    submit_disabled=boolean,
)
HOME = fields(
    {"blocks": anything},
    private_metadata=string(3000, least=0),
    callback_id=string(255, least=0),
    external_id=string(255, least=0),
)
CHUNKS: dict[str, Check] = {
    "markdown_text": fields({"text": string(MARKDOWN_CHARACTERS)}),
    "task_update": fields(
        {"id": string(255), "title": string(256), "status": STATUS},
        details=string(256),
        output=string(256),
        sources=items(one_of({"url": SOURCE}, "source")),
    ),
    "plan_update": fields({"title": string(256)}),
    "blocks": fields({"blocks": anything}),
}
LOADING_MESSAGES = items(string(50), least=0, most=10)
PROMPTS = items(fields({"title": string(75), "message": string(4000)}), most=4)


def _twice(names: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]


def message_blocks(blocks: Any) -> Iterator[str]:
    """Complaints about the blocks of one message."""
    yield from _blocks(blocks, one_of(IN_MESSAGES, "block"), most=MESSAGE_BLOCKS)
    markdown = [b.get("text") for b in blocks if isinstance(b, dict) and b.get("type") == "markdown"]
    total = sum(len(t) for t in markdown if isinstance(t, str))
    if len(markdown) > 1 and total > MARKDOWN_CHARACTERS:
        yield f"blocks: {total} characters in markdown blocks, {MARKDOWN_CHARACTERS} allowed together"


def _blocks(blocks: Any, check: Check, *, most: int) -> Iterator[str]:
    yield from items(check, least=0, most=most)(blocks, "blocks")
    ids = [b["block_id"] for b in blocks if isinstance(b, dict) and isinstance(b.get("block_id"), str)]
    yield from (f"blocks: block_id {name!r} is used twice" for name in sorted(_twice(ids)))


def view(value: Any) -> Iterator[str]:
    """Complaints about a modal or a Home tab."""
    kind = value.get("type") if isinstance(value, dict) else None
    yield from one_of({"modal": MODAL, "home": HOME}, "view")(value, "view")
    if kind in {"modal", "home"} and isinstance(value.get("blocks"), list):
        allowed = IN_VIEWS | ({"alert": anything} if kind == "modal" else {})
        yield from _blocks(value["blocks"], one_of(allowed, "block"), most=VIEW_BLOCKS)
        has_input = any(isinstance(b, dict) and b.get("type") == "input" for b in value["blocks"])
        if kind == "modal" and has_input and not value.get("submit"):
            yield "view.submit: required when a modal has input blocks"


def chunks(value: Any) -> Iterator[str]:
    """Complaints about the chunks of one call to a streaming method."""
    yield from items(one_of(CHUNKS, "chunk"), least=0)(value, "chunks")
    for chunk in value if isinstance(value, list) else ():
        if (
            isinstance(chunk, dict)
            and chunk.get("type") == "blocks"
            and isinstance(chunk.get("blocks"), list)
        ):
            yield from message_blocks(chunk["blocks"])


def metadata(value: Any) -> Iterator[str]:
    """Complaints about message metadata; Slack's limit on its size is about 16 kB."""
    yield from fields({"event_type": string(255), "event_payload": is_a(dict)}, entities=anything)(
        value, "metadata"
    )
    if len(str(value)) > METADATA_CHARACTERS:
        yield f"metadata: {len(str(value))} characters, {METADATA_CHARACTERS} allowed"
