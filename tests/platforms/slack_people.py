"""People at work: they post, edit, delete, react, press buttons, fill in forms and give slash commands.

Everything a person does is stored first and then sent to the bot the way Slack sends it. Posting returns at once;
pressing, submitting, shortcuts and commands wait until the bot has acknowledged, or three seconds.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from tests.platforms.slack_delivery import Delivery, Receipt
from tests.platforms.slack_responses import Responses
from tests.platforms.slack_state import Channel, File, Json, Message, State, User, View, Workspace
from tests.platforms.slack_web_api import WebApi


def _id(thing: User | Channel | str) -> str:
    return thing if isinstance(thing, str) else thing.id


class People:
    """The actions of people; `LocalSlack` is one of these."""

    state: State
    delivery: Delivery
    api: WebApi
    responses: Responses

    # Messages

    async def post(
        self,
        channel: Channel | str,
        user: User | str,
        text: str,
        *,
        thread_ts: str | None = None,
        files: Sequence[File] = (),
        subtype: str = "",
    ) -> str:
        """Post a message as a person (or as another bot) and give its ts; `subtype` says what it reports.

        The bot gets a `message` event when it is in the channel, and an `app_mention` as well when it is named,
        except in direct messages. Posting makes the person a member of the channel.
        """
        where, who = self.state.channel(_id(channel)), self.state.user(_id(user))
        message = Message(where.id, self.state.ts(), who.id, text, thread_ts=thread_ts, files=list(files))
        message.bot_id, message.subtype = who.bot_id, subtype
        if who.id not in where.members:
            where.members.append(who.id)
        self.state.add(message)
        self._announce(where, message)
        return message.ts

    async def direct(self, user: User | str, text: str, *, thread_ts: str | None = None) -> str:
        """Write to the bot in a direct message."""
        who = self.state.user(_id(user))
        channel = self.state.direct(self._home(who), who.id)
        return await self.post(channel, who, text, thread_ts=thread_ts)

    def _announce(self, channel: Channel, message: Message, *, edited: bool = False) -> None:
        workspace = self.state.workspace_of(channel.id)
        if workspace.bot.id not in channel.members:
            return
        who = self.state.user(message.user)
        event = self.api.wire(message) | {"channel": channel.id, "event_ts": message.ts}
        if who.is_stranger:
            event |= {"user_team": who.team_id, "source_team": who.team_id}
        if not edited:
            kind: Json = {"type": "message", "channel_type": channel.kind, "client_msg_id": str(uuid.uuid4())}
            if message.files:
                kind["subtype"] = "file_share"
            self.delivery.event(event | kind, workspace, channel)
        if f"<@{workspace.bot.id}>" in message.raw_text and channel.kind != "im":
            self.delivery.event(event | {"type": "app_mention"}, workspace, channel)

    async def edit(self, channel: Channel | str, ts: str, text: str) -> None:
        """Edit a message; naming the bot for the first time sends an app_mention too."""
        where, message = self.state.channel(_id(channel)), self._message(channel, ts)
        before, named = self.api.wire(message), self.mention in message.raw_text
        message.raw_text, message.edits = text, message.edits + 1
        after = self.api.wire(message)
        self._change(where, {"subtype": "message_changed", "message": after, "previous_message": before})
        if not named:
            self._announce(where, message, edited=True)

    async def delete(self, channel: Channel | str, ts: str) -> None:
        message = self._message(channel, ts)
        message.deleted = True
        gone = {"subtype": "message_deleted", "deleted_ts": ts, "previous_message": self.api.wire(message)}
        self._change(self.state.channel(_id(channel)), gone)

    def _change(self, channel: Channel, change: Json) -> None:
        ts = self.state.ts()
        event = {
            "type": "message",
            "hidden": True,
            "channel": channel.id,
            "channel_type": channel.kind,
            "ts": ts,
        }
        self.delivery.event(event | {"event_ts": ts} | change, self.state.workspace_of(channel.id), channel)

    async def react(self, channel: Channel | str, ts: str, user: User | str, emoji: str) -> None:
        self._message(channel, ts).reactions.setdefault(emoji, []).append(_id(user))
        self._reaction("reaction_added", channel, ts, user, emoji)

    async def unreact(self, channel: Channel | str, ts: str, user: User | str, emoji: str) -> None:
        self._message(channel, ts).reactions[emoji].remove(_id(user))
        self._reaction("reaction_removed", channel, ts, user, emoji)

    def _reaction(self, kind: str, channel: Channel | str, ts: str, user: User | str, emoji: str) -> None:
        item = {"type": "message", "channel": _id(channel), "ts": ts}
        event = {
            "type": kind,
            "user": _id(user),
            "reaction": emoji,
            "item": item,
            "event_ts": self.state.ts(),
        }
        event["item_user"] = self._message(channel, ts).user
        where = self.state.channel(_id(channel))
        self.delivery.event(event, self.state.workspace_of(where.id), where)

    async def join(self, channel: Channel, user: User | str) -> None:
        """Add somebody, the bot too, to a channel."""
        channel.members.append(_id(user))
        self._member("member_joined_channel", channel, user)

    async def leave(self, channel: Channel, user: User | str) -> None:
        """Take somebody, the bot too, out of a channel."""
        channel.members.remove(_id(user))
        self._member("member_left_channel", channel, user)

    def _member(self, kind: str, channel: Channel, user: User | str) -> None:
        event: Json = {"type": kind, "user": _id(user), "channel": channel.id, "event_ts": self.state.ts()}
        event |= {"channel_type": "C" if channel.kind == "channel" else "G", "team": channel.team_id}
        self.delivery.event(event, self.state.workspace_of(channel.id), channel)

    async def send_event(
        self, event: Json, *, team: str | None = None, channel: Channel | None = None
    ) -> Receipt | None:
        """Send any event; None when the bot is not subscribed to it."""
        workspace = self.state.workspaces[team] if team else self.workspace
        return self.delivery.event({"event_ts": self.state.ts()} | event, workspace, channel)

    async def open_home(self, user: User | str, *, tab: str = "messages") -> None:
        who = self.state.user(_id(user))
        workspace = self._home(who)
        event: Json = {"type": "app_home_opened", "user": who.id, "tab": tab, "event_ts": self.state.ts()}
        event["channel"] = self.state.direct(workspace, who.id).id
        self.delivery.event(event, workspace)

    async def stop_session(self, channel: Channel | str, thread_ts: str, user: User | str) -> None:
        """Click the stop button, which is there while the session's status is "processing"."""
        where = self.state.channel(_id(channel))
        workspace = self.state.workspace_of(where.id)
        if workspace.sessions.get((where.id, thread_ts)) != "processing":
            raise ValueError(f"no stop button in thread {thread_ts}: its session is not processing")
        streams = [m for m in self.state.thread(where.id, thread_ts) if m.streaming]
        for message in streams:
            message.stopped_by_user = True
        event: Json = {"type": "agent_session_stopped", "channel": where.id, "thread_ts": thread_ts}
        event |= {"user": _id(user), "event_ts": self.state.ts()}
        self.delivery.event(event | {"streaming_message_ts": [m.ts for m in streams]}, workspace, where)

    # Buttons, forms and commands

    async def press(
        self, message: Message | View, which: str, user: User | str, *, option: str | None = None
    ) -> Receipt:
        """Press a button, a feedback button or a menu (then with the value of an `option`).

        `which` is an action_id, a value or a label; "positive" and "negative" mean the feedback buttons.
        """
        who = self.state.user(_id(user))
        action = _action(message.buttons, which, option) | {"action_ts": self.state.ts()}
        if isinstance(message, View):
            shown = message.wire(app_id=self.state.app_id, bot_id=self.workspace.bot.bot_id)
            where: Json = {"container": {"type": "view", "view_id": message.id}, "view": shown}
        else:
            where = self._where(message, who)
        return await self.delivery.interaction(
            self._interaction("block_actions", who) | where | {"actions": [action], "state": {"values": {}}}
        )

    async def shortcut(self, message: Message, callback_id: str, user: User | str) -> Receipt:
        """Use a message shortcut."""
        who = self.state.user(_id(user))
        payload = self._interaction("message_action", who) | self._where(message, who)
        payload |= {"callback_id": callback_id, "action_ts": self.state.ts(), "message_ts": message.ts}
        return await self.delivery.interaction(payload)

    async def submit_view(self, view: View, values: Mapping[str, Any] | None = None) -> Receipt:
        """Submit a modal with a value for each action_id: text, the value of an option, or a list of those.

        The modal closes unless the bot answers with errors, an update or another view. Raises ValueError for a
        field that is missing, as Slack does not let people submit such a form.
        """
        state = {"values": _filled(view.payload["blocks"], dict(values or {}))}
        shown = view.wire(app_id=self.state.app_id, bot_id=self.workspace.bot.bot_id) | {"state": state}
        who = self.state.user(view.user)
        payload = self._interaction("view_submission", who) | {"view": shown, "response_urls": []}
        receipt = await self.delivery.interaction(payload)
        answer = receipt.response or {}
        if receipt.acked and answer.get("response_action", "clear") == "clear":
            view.open = False
        elif receipt.acked and "view" in answer:
            self.api.show(self._home(who), view, answer)
        return receipt

    async def close_view(self, view: View) -> None:
        """Cancel a modal; the bot hears of it when the view asks for that."""
        view.open = False
        if view.payload.get("notify_on_close"):
            shown = view.wire(app_id=self.state.app_id, bot_id=self.workspace.bot.bot_id)
            payload = self._interaction("view_closed", self.state.user(view.user)) | {"is_cleared": False}
            await self.delivery.interaction(payload | {"view": shown})

    async def slash(self, command: str, text: str, user: User | str, channel: Channel | str) -> Receipt:
        """Give a slash command; a message in the acknowledgement is posted."""
        who, where = self.state.user(_id(user)), self.state.channel(_id(channel))
        workspace = self._home(who)
        payload = {
            "token": "verification-token",
            "team_id": workspace.id,
            "team_domain": workspace.name,
            "channel_id": where.id,
            "channel_name": where.name or "directmessage",
            "user_id": who.id,
            "user_name": who.name,
            "command": command,
            "text": text,
            "api_app_id": self.state.app_id,
            "is_enterprise_install": "false",
            "response_url": self.responses.url(workspace, where.id, who.id),
            "trigger_id": self.api.trigger(who.id),
        }
        receipt = await self.delivery.interaction(payload, kind="slash_commands")
        if receipt.response:
            self.responses.reply(workspace, where.id, who.id, receipt.response)
        return receipt

    def _interaction(self, kind: str, user: User) -> Json:
        workspace = self._home(user)
        who = {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team_id}
        return {
            "type": kind,
            "team": {"id": workspace.id, "domain": workspace.name},
            "user": who,
            "api_app_id": self.state.app_id,
            "token": "verification-token",
            "trigger_id": self.api.trigger(user.id),
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _where(self, message: Message, user: User) -> Json:
        channel = self.state.channel(message.channel)
        container: Json = {"type": "message", "message_ts": message.ts, "channel_id": channel.id}
        container["is_ephemeral"] = bool(message.ephemeral_to)
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        name = {"im": "directmessage", "group": "privategroup"}.get(channel.kind, channel.name)
        address = self.responses.url(self.state.workspace_of(channel.id), channel.id, user.id, message)
        where = {"container": container, "channel": {"id": channel.id, "name": name}, "response_url": address}
        return where if message.ephemeral_to else where | {"message": self.api.wire(message)}

    # Who and where

    @property
    def workspace(self) -> Workspace:
        """The first workspace, which tests with only one use without naming it."""
        return next(iter(self.state.workspaces.values()))

    @property
    def mention(self) -> str:
        """How people name the bot in a message of the first workspace."""
        return f"<@{self.workspace.bot.id}>"

    def _home(self, user: User) -> Workspace:
        return next(w for w in self.state.workspaces.values() if user.id in w.users)

    def _message(self, channel: Channel | str, ts: str) -> Message:
        message = self.state.find(_id(channel), ts)
        if message is None:
            raise ValueError(f"no message {ts} in {_id(channel)}")
        return message


def _action(buttons: list[Json], which: str, option: str | None) -> Json:
    for element in buttons:
        kept = {key: element[key] for key in ("type", "action_id", "block_id")}
        if element["type"] == "feedback_buttons":
            for sign in ("positive", "negative"):
                button = element[f"{sign}_button"]
                if which in {sign, button["value"], button["text"]["text"]}:
                    return kept | {"text": button["text"], "value": button["value"]}
        elif option is not None and which == element["action_id"]:
            return kept | {"selected_option": _option(element, option)}
        elif which in {element["action_id"], element.get("value"), element.get("text", {}).get("text")}:
            return kept | {key: element[key] for key in ("text", "value", "icon") if key in element}
    raise ValueError(f"nothing to press called {which!r} among {[b['action_id'] for b in buttons]}")


def _option(element: Json, value: str) -> Json:
    groups = [g["options"] for g in element.get("option_groups") or ()]
    for option in [*(element.get("options") or ()), *(o for g in groups for o in g)]:
        if option["value"] == value:
            return dict(option)
    raise ValueError(f"{element.get('action_id')}: no option {value!r}")


def _filled(blocks: list[Json], values: dict[str, Any]) -> Json:
    filled: Json = {}
    for block in (b for b in blocks if b["type"] == "input"):
        element = block["element"]
        name = element.get("action_id", "")
        value = values.pop(name, None)
        if value is None and not block.get("optional") and not any(k.startswith("initial_") for k in element):
            raise ValueError(f"the field {name!r} must be filled in")
        filled[block["block_id"]] = {name: _entered(element, value)}
    if values:
        raise ValueError(f"the form has no field {sorted(values)}")
    return filled


def _entered(element: Json, value: Any) -> Json:
    kind = element["type"]
    if kind in {"radio_buttons", "static_select"}:
        chosen = _option(element, value) if value is not None else element.get("initial_option")
        return {"type": kind, "selected_option": chosen}
    if kind in {"checkboxes", "multi_static_select"}:
        picked = (
            [_option(element, v) for v in value] if value is not None else element.get("initial_options", [])
        )
        return {"type": kind, "selected_options": picked}
    return {"type": kind, "value": element.get("initial_value") if value is None else value}
