"""What can be done next, as buttons below a notice, and what becomes of them when one is pressed.

A button holds the command that it stands for, so it works after a restart; pressing it is giving that command. It
counts once for each person. When who pressed may give the command, all buttons of that message go; else they stay
for others, where others see them.

Not guaranteed: of two people who press in the same moment, both have given their command. Nor that the buttons go:
a message that Slack does not let be changed keeps them, and each goes on giving its command.
"""

import re
from collections.abc import Sequence

from adapters.slack.api import SlackApi
from adapters.slack.blocks import Json, button, context, cut, escaped
from adapters.slack.events import COMMAND, Choice, place_of
from bot.notices import Action

CHOICE = re.compile(r"parley_command_\d+")
"""Action ids of the buttons."""

_LABEL = 75
_VALUE = 2_000
_TEXT = 3_000
_ROW = 25
"""Buttons in one block."""


def choice_blocks(actions: Sequence[Action]) -> list[Json]:
    """The buttons; an action whose command is too long for one is told in words."""
    buttons = [_choice(n, action) for n, action in enumerate(actions) if _fits(action)]
    rows: list[Json] = [
        {"type": "actions", "elements": buttons[start : start + _ROW]}
        for start in range(0, len(buttons), _ROW)
    ]
    told = [action for action in actions if not _fits(action)]
    return [*rows, context(escaped(choices_in_words(told)))] if told else rows


def choices_in_words(actions: Sequence[Action]) -> str:
    """The same without buttons, a line for each."""
    return "\n".join(f"{action.label}: {COMMAND} {action.command}" for action in actions)


async def take_away(choice: Choice, api: SlackApi) -> None:
    """Leave of the message what it said, and which button was pressed; raises `PlatformError`.

    What Slack shows to one person alone it does not tell us again, so of that only the choice is left.
    """
    place = place_of(choice.command)
    said = f"Chosen: {choice.label}"
    remark = context(escaped(said))
    if choice.shown is None:
        body = {"replace_original": True, "text": escaped(said), "blocks": [remark]}
        await api.respond(place.response_url, body)
        return
    text = str(choice.shown.get("text") or escaped(said))
    blocks = [*_without_buttons(choice.shown.get("blocks") or ()), remark]
    where = {"channel": choice.command.conversation_id, "ts": place.message_ts}
    await api.call("chat.update", where | {"text": text[:_TEXT], "blocks": blocks})


def _fits(action: Action) -> bool:
    return len(action.command) <= _VALUE


def _choice(n: int, action: Action) -> Json:
    style = "danger" if action.is_dangerous else "primary"
    return button(cut(action.label, _LABEL), f"parley_command_{n}", action.command) | {"style": style}


def _without_buttons(blocks: Sequence[Json]) -> list[Json]:
    """All that is not one of these rows, which hold nothing else."""
    return [
        block
        for block in blocks
        if block.get("type") != "actions"
        or not all(CHOICE.fullmatch(element.get("action_id", "")) for element in block["elements"])
    ]
