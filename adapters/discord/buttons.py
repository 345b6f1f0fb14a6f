"""Buttons below answers and notices, and the dialogue after a 👎. What they are about stands in their ids, so they
outlive the bot.

`TurnButton` and `ActionButton` are known to discord.py by the patterns of their ids (`Gateway` registers `BUTTONS`);
the dialogue is read from the interaction that sends it, without anything remembered from when it was opened.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, cast

import discord

from adapters.discord.contents import Content, Control, action_id
from adapters.render import REASONS
from bot.notices import Action

_ID = r"parley:(?P<control>stop|up|down|again|share):(?P<turn>[0-9a-f]{32})"
_REASON_ID = re.compile(r"parley:reason:(?P<turn>[0-9a-f]{32})")
_LOOKS: dict[Control, tuple[str | None, str | None]] = {
    "up": ("👍", None),
    "down": ("👎", None),
    "again": ("🔁", None),
    "stop": (None, "Stop"),
    "share": (None, "Share in channel"),
}
"""Emoji and label."""
COMMENT = 2_000
_ACTION_LABEL = 80
"""Characters."""


class Presses(Protocol):
    """What is done when a button is pressed."""

    async def pressed(
        self, control: Control, turn_id: str, interaction: discord.Interaction[Any]
    ) -> None: ...

    async def chosen(self, command: str, interaction: discord.Interaction[Any]) -> None:
        """A button that gives a command was pressed."""


class PressedClient(Protocol):
    """The client that buttons find in their interaction."""

    presses: Presses


class TurnButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=_ID):
    """A button that is about one answer."""

    def __init__(self, control: Control, turn_id: str) -> None:
        emoji, label = _LOOKS[control]
        super().__init__(
            discord.ui.Button(
                style=discord.ButtonStyle.secondary,
                emoji=emoji,
                label=label,
                custom_id=f"parley:{control}:{turn_id}",
            )
        )
        self.control = control
        self.turn_id = turn_id

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 - discord.py calls it so
        item: discord.ui.Item[Any],  # noqa: ARG003
        match: re.Match[str],
        /,
    ) -> "TurnButton":
        return cls(cast("Control", match["control"]), match["turn"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await cast("PressedClient", interaction.client).presses.pressed(
            self.control, self.turn_id, interaction
        )


class ActionButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"parley:do:(?P<number>\d{1,2}):(?P<command>.+)"
):
    """A button that gives a command, for whoever presses it."""

    def __init__(self, action: Action, *, number: int) -> None:
        style = discord.ButtonStyle.danger if action.is_dangerous else discord.ButtonStyle.primary
        super().__init__(
            discord.ui.Button(
                style=style,
                label=action.label[:_ACTION_LABEL],
                custom_id=action_id(number, action.command),
            )
        )
        self.command = action.command

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 - discord.py calls it so
        item: discord.ui.Item[Any],
        match: re.Match[str],
        /,
    ) -> "ActionButton":
        label = cast("discord.ui.Button[Any]", item).label or match["command"]
        return cls(Action(label, match["command"]), number=int(match["number"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await cast("PressedClient", interaction.client).presses.chosen(self.command, interaction)


BUTTONS = (TurnButton, ActionButton)


def view_of(content: Content) -> discord.ui.View | None:
    """Its buttons; None when there are none. To be made on the event loop."""
    if not (content.controls or content.actions):
        return None
    view = discord.ui.View(timeout=None)
    for control in content.controls:
        view.add_item(TurnButton(control, content.turn_id))
    for number, action in enumerate(content.actions):
        view.add_item(ActionButton(action, number=number))
    view.stop()  # discord.py would otherwise keep it, and every other one, for as long as it runs
    return view


def embeds_of(content: Content) -> list[discord.Embed]:
    return [discord.Embed(description=content.below)] if content.below else []


def turns_of(message: discord.Message) -> set[str]:
    """The turns that the buttons of a message are about."""
    ids = (
        getattr(child, "custom_id", None) or ""
        for row in message.components
        if isinstance(row, discord.ActionRow)
        for child in row.children
    )
    return {found["turn"] for one in ids if (found := re.fullmatch(_ID, one))}


class Reason(NamedTuple):
    """What somebody said about an answer they voted down."""

    turn_id: str
    reason: str
    """One of REASONS, or empty."""
    comment: str


def reason_modal(turn_id: str) -> discord.ui.Modal:
    """The question what was wrong with an answer."""
    modal = discord.ui.Modal(title="What was wrong?", custom_id=f"parley:reason:{turn_id}")
    options = [discord.RadioGroupOption(label=reason.capitalize(), value=reason) for reason in REASONS]
    choice: discord.ui.RadioGroup[Any] = discord.ui.RadioGroup(
        custom_id="reason", required=False, options=options
    )
    comment: discord.ui.TextInput[Any] = discord.ui.TextInput(
        custom_id="comment", required=False, style=discord.TextStyle.paragraph, max_length=COMMENT
    )
    modal.add_item(discord.ui.Label(text="The answer was", component=choice))
    modal.add_item(discord.ui.Label(text="What should it have said?", component=comment))
    modal.stop()  # see `view_of`; what is sent is read by `given_reason`
    return modal


def given_reason(interaction: discord.Interaction[Any]) -> Reason | None:
    """What was chosen and written in `reason_modal`; None when it is another dialogue."""
    data = cast("dict[str, Any]", interaction.data or {})
    found = _REASON_ID.fullmatch(str(data.get("custom_id", "")))
    if found is None:
        return None
    values = {field.get("custom_id"): field.get("value") for field in _fields(data.get("components"))}
    reason, comment = values.get("reason") or "", str(values.get("comment") or "").strip()
    return Reason(found["turn"], reason if reason in REASONS else "", comment)


def _fields(components: Any) -> Iterator[dict[str, Any]]:
    """The fields among the components of a dialogue, whichever way they are wrapped."""
    for component in components or ():
        yield component
        yield from _fields(component.get("components"))
        if inner := component.get("component"):
            yield from _fields([inner])
