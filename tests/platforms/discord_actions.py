"""What people do with the bot's own means: slash commands, menus of messages, buttons, choices and forms.

Each waits until the bot has responded, or three seconds, and gives the interaction. People cannot do what Discord
does not offer them: an unknown command, a missing option or a disabled button raises ValueError.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.platforms import discord_commands
from tests.platforms.discord_gateway import Gateway
from tests.platforms.discord_interactions import (
    AUTOCOMPLETE,
    COMMAND,
    COMPONENT,
    MODAL_SUBMIT,
    Interaction,
    Interactions,
    Modal,
)
from tests.platforms.discord_model import EPHEMERAL, Channel, File, Json, Message, Role, User
from tests.platforms.discord_posts import wire
from tests.platforms.discord_rest import Rest
from tests.platforms.discord_state import State
from tests.platforms.discord_text import walk

SLASH, USER_MENU, MESSAGE_MENU = 1, 2, 3


class Actions:
    """The part of the people's actions that are interactions."""

    state: State
    gateway: Gateway
    api: Rest
    interactions: Interactions

    async def slash(
        self, command: str, options: Mapping[str, Any] | None, user: User, channel: Channel | str
    ) -> Interaction:
        """Give a slash command, such as "ask" or "parley status" with its subcommand, and its options by name."""
        return await self._slash(COMMAND, command, dict(options or {}), user, channel, focused="")

    async def autocomplete(
        self, command: str, options: Mapping[str, Any], user: User, channel: Channel | str, *, focused: str
    ) -> list[str]:
        """Type in the option `focused` of a command; gives the names of what the bot offers."""
        sent = await self._slash(AUTOCOMPLETE, command, dict(options), user, channel, focused=focused)
        return [choice["name"] for choice in sent.choices]

    async def _slash(
        self,
        kind: int,
        command: str,
        options: dict[str, Any],
        user: User,
        channel: Channel | str,
        *,
        focused: str,
    ) -> Interaction:
        where = self._here(channel)
        name, *path = command.split()
        found = discord_commands.find(self.api, SLASH, name, user, where)
        sent: dict[str, Any] = {}
        filled = discord_commands.filled(found, options, path=path, sent=sent)
        discord_commands.focus(filled, focused)
        data: Json = {"id": found["id"], "name": name, "type": SLASH, "options": filled}
        data |= {"resolved": self._resolved(sent, where)} if sent else {}
        data |= {"guild_id": found["guild_id"]} if "guild_id" in found else {}
        owners = discord_commands.owners(self.state, found, user, where)
        return await self.interactions.send(kind, user, where, data, owners=owners)

    async def menu(self, message: Message, command: str, user: User) -> Interaction:
        """Choose a command in the menu of a message."""
        where = self._here(message.channel)
        found = discord_commands.find(self.api, MESSAGE_MENU, command, user, where)
        data: Json = {"id": found["id"], "name": command, "type": MESSAGE_MENU, "target_id": message.id}
        data |= {"guild_id": found["guild_id"]} if "guild_id" in found else {}
        data["resolved"] = {"messages": {message.id: wire(self.state, message, full=True)}}
        owners = discord_commands.owners(self.state, found, user, where)
        return await self.interactions.send(COMMAND, user, where, data, owners=owners)

    def _resolved(self, sent: Mapping[str, Any], channel: Channel) -> Json:
        guild = self.state.guilds.get(channel.guild_id)
        found: Json = {}
        for key, one in sent.items():
            if isinstance(one, User):
                found.setdefault("users", {})[key] = one.wire()
                if guild and key in guild.members:
                    member = guild.members[key].wire(user=False) | {"permissions": "0"}
                    found.setdefault("members", {})[key] = member
            elif isinstance(one, Role):
                found.setdefault("roles", {})[key] = one.wire()
            elif isinstance(one, Channel):
                allowed = {"permissions": str(self.state.permissions(self.state.bot.id, one))}
                found.setdefault("channels", {})[key] = one.wire(self.state) | allowed
            elif isinstance(one, File):
                found.setdefault("attachments", {})[key] = one.wire(self.state.base_url) | {"ephemeral": True}
        return found

    # Buttons and choices

    async def press(
        self, message: Message, which: str, user: User, *, values: Sequence[str] = ()
    ) -> Interaction:
        """Press a button, or choose `values` of a menu; `which` is its custom_id, label, emoji or placeholder."""
        if message.deleted or (message.ephemeral_to and message.ephemeral_to != user.id):
            raise ValueError(f"{user.name} does not see this message")
        component = _find(message.components, which)
        if component.get("disabled"):
            raise ValueError(f"{which!r} is disabled")
        data: Json = {key: component[key] for key in ("custom_id", "id")} | {
            "component_type": component["type"]
        }
        if component["type"] != 2:
            data["values"] = _chosen(component, values)
        where = self._here(message.channel)
        owners = (message.interaction or {}).get("authorizing_integration_owners")
        owners = owners or {"0": where.guild_id or "0"}
        return await self.interactions.send(COMPONENT, user, where, data, owners=owners, source=message)

    # Forms

    def modal(self, user: User) -> Modal | None:
        """The form that this person has in front of them."""
        opened = [one.modal for one in self.interactions.all if one.modal and one.modal.user is user]
        return next((modal for modal in reversed(opened) if modal.open), None)

    async def submit_modal(self, modal: Modal, values: Mapping[str, Any] | None = None) -> Interaction:
        """Submit a form with a value for each custom_id: text, an option's value, a list of those, or a boolean.

        Raises ValueError for a required field that is missing, as Discord does not let people submit such a form.
        """
        left = dict(values or {})
        components = [_answered(one, left) for one in modal.payload["components"]]
        if left:
            raise ValueError(f"the form has no field {sorted(left)}")
        modal.open = False
        source = modal.source
        data = {"custom_id": modal.custom_id, "components": components}
        owners = source.payload["authorizing_integration_owners"]
        return await self.interactions.send(
            MODAL_SUBMIT, modal.user, source.channel, data, owners=owners, source=source.source
        )

    # Who and where

    def _channel(self, channel: Channel | str) -> Channel:
        found = self.state.channel(channel) if isinstance(channel, str) else channel
        if found is None:
            raise ValueError(f"no channel {channel}")
        return found

    def _here(self, channel: Channel | str) -> Channel:
        """Where an interaction is given, which cannot be an archived thread."""
        found = self._channel(channel)
        if found.archived:
            raise ValueError(f"{found.name} is archived: nothing can be pressed there")
        return found

    def ephemeral(self, user: User, channel: Channel | str | None = None) -> list[Message]:
        """The messages that only this person sees, oldest first."""
        where = None if channel is None else self._channel(channel).id
        hidden = [m for one in self.interactions.all for m in one.messages if m.flags & EPHEMERAL]
        return [m for m in hidden if m.ephemeral_to == user.id and where in {None, m.channel}]


def _find(components: list[Json], which: str) -> Json:
    offered = [c for c in walk(components) if "custom_id" in c]
    for component in offered:
        if component["custom_id"] == which:
            return component
    for component in offered:
        emoji = (component.get("emoji") or {}).get("name")
        if which in {component.get("label"), emoji, component.get("placeholder")}:
            return component
    raise ValueError(f"nothing to press called {which!r} among {[c['custom_id'] for c in offered]}")


def _chosen(component: Json, values: Sequence[str]) -> list[str]:
    options = [o["value"] for o in component.get("options") or ()]
    if options and not set(values) <= set(options):
        raise ValueError(f"{list(values)} are not among {options}")
    least, most = component.get("min_values", 1), component.get("max_values", 1)
    if not least <= len(values) <= most:
        raise ValueError(f"{len(values)} values, {least} to {most} can be chosen")
    return list(values)


def _answered(component: Json, values: dict[str, Any]) -> Json:
    """A component of a form, filled in; takes its value out of `values`."""
    kind = component["type"]
    shown: Json = {"type": kind, "id": component.get("id", 1)}
    if kind == 1:
        return shown | {"components": [_answered(one, values) for one in component["components"]]}
    if kind == 18:
        return shown | {"component": _answered(component["component"], values)}
    if kind == 10:
        return shown
    name = component["custom_id"]
    return shown | {"custom_id": name} | _entered(component, values.pop(name, None), required=kind != 23)


def _entered(component: Json, value: Any, *, required: bool) -> Json:
    name, kind = component["custom_id"], component["type"]
    options = component.get("options") or []
    if value is None:
        preset = [o["value"] for o in options if o.get("default")]
        value = component.get("value") or component.get("default") or (preset if kind in {3, 22} else None)
        value = preset[0] if kind == 21 and preset else value
    if required and component.get("required", True) and value in (None, "", []):
        raise ValueError(f"the field {name!r} must be filled in")
    if kind == 4:
        text = value or ""
        least, most = component.get("min_length") or 0, component.get("max_length") or 4000
        if text and not least <= len(text) <= most:
            raise ValueError(f"{name}: {len(text)} characters, {least} to {most} allowed")
        return {"value": text}
    if kind == 23:
        return {"value": bool(value)}
    known = [o["value"] for o in options]
    picked = list(value or []) if kind != 21 else [value] if value is not None else []
    if known and not set(picked) <= set(known):
        raise ValueError(f"{name}: {picked} are not among {known}")
    return {"value": value} if kind == 21 else {"values": picked}
