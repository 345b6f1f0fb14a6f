"""What Slack sends, as what the desk understands. Pure: nothing here asks Slack anything.

Slack's dicts end here. One message can arrive as several events (`app_mention` beside `message`), and each event
several times, so a message's identity is its channel and its time, never the id of an event.
"""

import html
import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from adapters.votes import Reaction
from bot.messages import Addressed, Attachment, IncomingMessage
from feedback.records import Score

Json = dict[str, Any]

PLATFORM = "slack"
ASK, COMMAND = "/ask", "/parley"
ASK_ABOUT_THIS = "ask_about_this"
"""The `callback_id` of the entry in a message's menu."""

SAID = frozenset({None, "file_share", "thread_broadcast", "bot_message"})
"""Subtypes of messages that say something; the others report joins, topics, pins, …"""
_THUMBS: dict[str, Score] = {"+1": 1, "thumbsup": 1, "-1": -1, "thumbsdown": -1}
_TOKEN = re.compile(r"<([^<>]+)>")
_SCHEME = re.compile(r"^(https?://|mailto:|tel:)")


@dataclass(frozen=True, slots=True)
class Edited:
    """A message has another text now."""

    conversation_id: str
    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """A message is gone."""

    conversation_id: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Somebody pressed Slack's own stop button in a thread."""

    conversation_id: str
    thread_ts: str
    user_id: str

    def stops(self, asked: IncomingMessage) -> bool:
        """Whether the answer to that message was going to stand there."""
        return (asked.conversation_id, place_of(asked).thread_ts) == (self.conversation_id, self.thread_ts)


@dataclass(frozen=True, slots=True)
class Press:
    """Somebody pressed a button of ours."""

    conversation_id: str
    user_id: str
    value: str
    trigger_id: str
    """Permits to open one dialogue within three seconds."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Somebody pressed a button that stands for a command."""

    command: IncomingMessage
    """As if they had given it."""
    label: str
    shown: Json | None
    """The message with the button, as Slack has it; None when only this person sees it, for Slack keeps it nowhere."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer goes; `IncomingMessage.reply_to` holds it as JSON.

    That is not what `thread_id` says, which decides what belongs together: a direct conversation is one as a whole,
    and yet each message there is answered in a thread of its own, for streams and the status line need one.
    """

    thread_ts: str = ""
    """The message with which the thread begins, often the question itself; empty: it stands in none."""
    message_ts: str = ""
    """The message that was asked or asked about, or that had the button; empty for typed commands."""
    response_url: str = ""
    """For a while, an address through which the asker can be told something alone, wherever the bot is."""

    def __str__(self) -> str:
        return json.dumps({name: value for name, value in asdict(self).items() if value})


def place_of(asked: IncomingMessage) -> Place:
    """Of what was made here, perhaps by another version; without `reply_to` it is the conversation itself."""
    stored = json.loads(asked.reply_to or "{}")
    return Place(*(stored.get(field.name, "") for field in fields(Place)))


def message(body: Json, *, team_id: str, bot_user_id: str) -> IncomingMessage | Edited | Deleted | None:
    """What a `message` or `app_mention` event means; None when it is not for the bot to know, as its own doing."""
    event: Json = body["event"]
    match event.get("subtype"):
        case "message_changed":
            return _changed(event, app_id=body.get("api_app_id"), bot_user_id=bot_user_id)
        case "message_deleted":
            return Deleted(event["channel"], event["deleted_ts"])
        case subtype if subtype not in SAID:
            return None
    user_id = event.get("user") or event.get("bot_id")
    if not user_id or _is_own(event, app_id=body.get("api_app_id"), bot_user_id=bot_user_id):
        return None
    text, channel, ts = event.get("text") or "", event["channel"], event["ts"]
    thread_ts = event.get("thread_ts") or ts
    return IncomingMessage(
        platform=PLATFORM,
        event_id=f"{channel}:{ts}",
        workspace_id=team_id,
        conversation_id=channel,
        thread_id=channel if is_direct(channel) else thread_ts,
        message_id=ts,
        user_id=user_id,
        text=plain(text, bot_user_id=bot_user_id),
        addressed=_addressed(event, text, bot_user_id=bot_user_id),
        by_bot=bool(event.get("bot_id")),
        attachments=_attachments(event),
        reply_to=str(Place(thread_ts=thread_ts, message_ts=ts)),
    )


def command(body: Json, *, team_id: str) -> IncomingMessage:
    """A slash command: `/ask` is a question, anything else a command; both are answered to the asker alone."""
    return IncomingMessage(
        platform=PLATFORM,
        event_id=f"command:{body['trigger_id']}",
        workspace_id=team_id,
        conversation_id=body["channel_id"],
        thread_id=f"command:{body['trigger_id']}",  # of its own: nobody else's history belongs to it
        user_id=body["user_id"],
        text=plain(body.get("text") or ""),
        addressed="mention" if body["command"] == ASK else "command",
        is_private=True,
        reply_to=str(Place(response_url=body["response_url"])),
    )


def shortcut(body: Json, *, team_id: str, bot_user_id: str) -> IncomingMessage:
    """ "Ask about this" in the menu of a message: its text is the question, its thread the place of the answer."""
    chosen: Json = body["message"]
    channel, ts = body["channel"]["id"], body.get("message_ts") or chosen["ts"]
    place = Place(chosen.get("thread_ts") or ts, ts, body["response_url"])
    return IncomingMessage(
        platform=PLATFORM,
        event_id=f"{channel}:{ts}:{body['action_ts']}",
        workspace_id=team_id,
        conversation_id=channel,
        thread_id=channel if is_direct(channel) else place.thread_ts,
        user_id=body["user"]["id"],
        text=plain(chosen.get("text") or "", bot_user_id=bot_user_id),
        addressed="shortcut",
        attachments=_attachments(chosen),
        reply_to=str(place),
    )


def choice(body: Json, *, team_id: str) -> Choice:
    """A button that gives a command: the same one, pressed again by the same person, is the same message."""
    pressed, container = body["actions"][0], body["container"]
    channel, ts, user = container["channel_id"], container["message_ts"], body["user"]["id"]
    event_id = f"press:{channel}:{ts}:{pressed['action_id']}:{user}"
    place = Place(container.get("thread_ts") or "", ts, body["response_url"])
    command = IncomingMessage(
        platform=PLATFORM,
        event_id=event_id,
        workspace_id=team_id,
        conversation_id=channel,
        thread_id=place.thread_ts or event_id,
        user_id=user,
        text=pressed["value"],
        addressed="command",
        is_private=True,
        reply_to=str(place),
    )
    return Choice(command, (pressed.get("text") or {}).get("text") or "", body.get("message"))


def reaction(body: Json, *, bot_user_id: str) -> Reaction | None:
    """A thumb up or down, in any colour of skin; None for everything else, and for the bot's own."""
    event: Json = body["event"]
    item, score = event["item"], _THUMBS.get(event["reaction"].partition("::")[0])
    if score is None or item.get("type") != "message" or event["user"] == bot_user_id:
        return None
    return Reaction(item["channel"], item["ts"], event["user"], score, event["type"] == "reaction_added")


def stopped(body: Json) -> Stopped:
    event: Json = body["event"]
    return Stopped(event["channel"], event["thread_ts"], event["user"])


def press(body: Json) -> Press:
    """A press of the one button that a `block_actions` payload is about."""
    channel = (body.get("channel") or {}).get("id") or (body.get("container") or {}).get("channel_id") or ""
    value = body["actions"][0].get("value") or ""
    return Press(channel, body["user"]["id"], value, body.get("trigger_id") or "")


def is_direct(channel: str) -> bool:
    """Whether it is a conversation of two, mostly with the bot."""
    return channel.startswith("D")


def plain(text: str, *, bot_user_id: str = "") -> str:
    """Slack's markup as people read it; the bot's own mention at either end is left out, other people stay ids."""
    if bot_user_id:
        me = rf"<@{re.escape(bot_user_id)}(?:\|[^>]*)?>"
        text = re.sub(rf"^(?:\s*{me}[\s,:;]*)+", "", text)
        text = re.sub(rf"[\s,]*{me}\s*([.?!]*)\s*$", r"\1", text)
    return html.unescape(_TOKEN.sub(_spelled_out, text)).strip()


def _spelled_out(token: re.Match[str]) -> str:
    target, _, label = token[1].partition("|")
    if target.startswith("@"):
        return f"<{target}>"
    if target.startswith("#"):
        return f"#{label}" if label else f"<{target}>"
    if target.startswith("!"):
        return label or "@" + target[1:].partition("^")[0]
    bare = _SCHEME.sub("", target)
    if not label or label.rstrip("/") in {target.rstrip("/"), bare.rstrip("/")}:
        return label or (target if target.startswith("http") else bare)
    return f"{label} ({target})"


def _addressed(event: Json, text: str, *, bot_user_id: str) -> Addressed:
    if is_direct(event["channel"]):
        return "direct"
    if event["type"] == "app_mention" or re.search(rf"<@{re.escape(bot_user_id)}[|>]", text):
        return "mention"
    return "thread" if event.get("thread_ts") not in {None, event["ts"]} else "channel"


def _changed(event: Json, *, app_id: str | None, bot_user_id: str) -> Edited | Deleted | None:
    """Slack also reports unfurled links, new replies and the like as changes; only a new text is one."""
    now, before = event["message"], event.get("previous_message") or {}
    if now.get("subtype") == "tombstone":  # the start of a thread that has replies leaves its place behind
        return Deleted(event["channel"], now["ts"])
    if now.get("text") == before.get("text") or _is_own(now, app_id=app_id, bot_user_id=bot_user_id):
        return None
    return Edited(event["channel"], now["ts"], plain(now.get("text") or "", bot_user_id=bot_user_id))


def _is_own(event: Json, *, app_id: str | None, bot_user_id: str) -> bool:
    return event.get("user") == bot_user_id or (app_id is not None and event.get("app_id") == app_id)


def _attachments(event: Json) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(
            name=file.get("name") or file.get("title") or file["id"],
            size=int(file.get("size") or 0),
            url=file.get("url_private_download") or file.get("url_private") or "",
        )
        for file in event.get("files") or ()
        if file.get("mode") != "tombstone"
    )
