"""Parley's commands as Discord knows them: `/ask`, "Ask Parley about this" in a message's menu, and `/parley …`.

What stands below `/parley` is made from `bot.commands`, so that there is one definition. Discord is told only when
something of it has changed: it allows few changes a day.
"""

import asyncio
import hashlib
import json
import logging
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import discord
from discord import app_commands

from adapters.discord.errors import translating
from bot.commands import Command

log = logging.getLogger(__name__)

Interaction = discord.Interaction[Any]

QUESTION = 1_500
"""Characters of a question; it is repeated for others to see."""
ARGUMENT = 500
_DESCRIPTION = 100
_MENU = 32
_CHOICES = re.compile(r"[a-z0-9]+(?:\|[a-z0-9]+)+")
_NAME = 32
_NOT_IN_A_NAME = re.compile(r"[^-_\w]+")

Asked = Callable[[Interaction, str, bool], Awaitable[None]]
"""With the question, and whether the answer is for the asker alone."""
Chosen = Callable[[Interaction, discord.Message], Awaitable[None]]
Ordered = Callable[[Interaction, str], Awaitable[None]]
"""With the text of the command, as it is said in a mention."""


def add_commands(
    tree: app_commands.CommandTree[Any],
    *,
    assistant: str,
    listed: Iterable[Command],
    ask: Asked,
    menu: Chosen,
    order: Ordered,
) -> None:
    """Put all of them into the tree."""

    @app_commands.describe(question="What you want to know", private="Show the answer to me alone")
    async def asked(
        interaction: Interaction, question: app_commands.Range[str, 1, QUESTION], private: bool = False
    ) -> None:
        await ask(interaction, question, private)

    async def chosen(interaction: Interaction, message: discord.Message) -> None:
        await menu(interaction, message)

    everywhere: dict[str, Any] = {
        "allowed_contexts": app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True),
        "allowed_installs": app_commands.AppInstallationType(guild=True, user=True),
    }
    about = f"Ask {assistant} a question about the documents"[:_DESCRIPTION]
    tree.add_command(app_commands.Command(name="ask", description=about, callback=asked, **everywhere))
    tree.add_command(app_commands.ContextMenu(name=menu_name(assistant), callback=chosen, **everywhere))
    tree.add_command(_orders(listed, order))


def menu_name(assistant: str) -> str:
    """Of the entry in a message's menu."""
    wanted = f"Ask {assistant} about this"
    return wanted if len(wanted) <= _MENU else "Ask about this"


async def sync(tree: app_commands.CommandTree[Any], *, memory: Path) -> bool:
    """Tell Discord of the commands unless it knows them, as the file `memory` says; whether it was told.

    Raises `PlatformError`.
    """
    payload = [command.to_dict(tree) for command in tree.get_commands()]
    told = json.dumps(payload, sort_keys=True, default=str)
    digest = hashlib.sha256(f"{tree.client.application_id} {told}".encode()).hexdigest()
    if await asyncio.to_thread(_remembered, memory) == digest:
        return False
    with translating("telling it the commands"):
        await tree.sync()
    await asyncio.to_thread(_remember, memory, digest)
    log.info("told Discord the %d commands", len(payload))
    return True


def _orders(listed: Iterable[Command], order: Ordered) -> app_commands.Group:
    root = app_commands.Group(
        name="parley",
        description="Look after me; `/parley help` lists what there is",
        default_permissions=discord.Permissions(manage_guild=True),
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    )
    groups: dict[str, list[Command]] = defaultdict(list)
    for command in listed:
        groups[command.name.split()[0]].append(command)
    for name, members in groups.items():
        if len(members) == 1 and members[0].name == name:
            root.add_command(_order(members[0], name, order))
            continue
        group = app_commands.Group(name=name, description=f"What concerns the {name}")
        for command in members:
            group.add_command(_order(command, name_below(command), order))
        root.add_command(group)
    return root


def name_below(command: Command) -> str:
    """What it is called in its group, from the words after the first: `dry-run` for `reindex --dry-run`.

    Discord has no command that is a group as well, so one that is has another name there.
    """
    words = "-".join(command.name.split()[1:]).lower()
    return _NOT_IN_A_NAME.sub("-", words).strip("-")[:_NAME] or command.alone


def _order(command: Command, name: str, order: Ordered) -> app_commands.Command[Any, ..., Any]:
    description = f"{command.about[:1].upper()}{command.about[1:]}"[:_DESCRIPTION]
    if not command.argument:

        async def alone(interaction: Interaction) -> None:
            await order(interaction, command.name)

        return app_commands.Command(name=name, description=description, callback=alone)

    async def with_value(interaction: Interaction, value: app_commands.Range[str, 1, ARGUMENT]) -> None:
        await order(interaction, f"{command.name} {value}")

    async def perhaps_with_value(
        interaction: Interaction, value: app_commands.Range[str, 1, ARGUMENT] | None = None
    ) -> None:
        await order(interaction, f"{command.name} {value or ''}".strip())

    callback: Any = perhaps_with_value if command.is_optional else with_value
    app_commands.describe(value=(command.placeholder or command.argument)[:_DESCRIPTION])(callback)
    if _CHOICES.fullmatch(command.argument):
        choices = [app_commands.Choice(name=word, value=word) for word in command.argument.split("|")]
        app_commands.choices(value=choices)(callback)
    return app_commands.Command(name=name, description=description, callback=callback)


def _remembered(memory: Path) -> str:
    try:
        return memory.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _remember(memory: Path, digest: str) -> None:
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(f"{digest}\n", encoding="utf-8")
    except OSError as error:
        log.warning("that Discord knows the commands cannot be written down: %s", error)
