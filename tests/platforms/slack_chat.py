"""chat.*: posting, changing, deleting and streaming messages, with Slack's limits on each."""

import json
import time
from typing import Any

from tests.platforms import slack_blocks
from tests.platforms.slack_state import Channel, Json, Message, Workspace, with_ids
from tests.platforms.slack_text import notifies, parsed_strings
from tests.platforms.slack_web_api import ApiError, Arguments, WebApi, method

TEXT_CHARACTERS = 40_000
UPDATE_CHARACTERS = 4_000
BLOCKS_CHARACTERS = 13_200


def content(
    api: WebApi, where: str, args: Arguments, *, most: int = TEXT_CHARACTERS, needed: bool = True
) -> tuple[str, str, list[Json]]:
    """The text, the markdown_text and the blocks of a call, when Slack would take them."""
    text, markdown = str(args.get("text") or ""), str(args.get("markdown_text") or "")
    blocks = args.parsed("blocks", "invalid_blocks_format") or []
    if args.get("attachments"):
        api.refuse(where, ["attachments are not known here"], "invalid_attachments")
    if markdown and (text or blocks):
        raise ApiError("markdown_text_conflict")
    if len(text) > most or len(markdown) > slack_blocks.MARKDOWN_CHARACTERS:
        raise ApiError("msg_too_long")
    if blocks:
        api.refuse(where, slack_blocks.message_blocks(blocks), "invalid_blocks")
        if characters(blocks) > BLOCKS_CHARACTERS:
            raise ApiError("msg_blocks_too_long")
    if needed and not (text.strip() or markdown.strip() or blocks):
        raise ApiError("no_text")
    return text, markdown, blocks


def characters(value: Any) -> int:
    """Characters of text in blocks, counted as users found Slack to count them."""
    if isinstance(value, list):
        return sum(characters(item) for item in value)
    if isinstance(value, dict):
        own = sum(len(v) for k, v in value.items() if k == "text" and isinstance(v, str))
        return own + sum(characters(v) for v in value.values() if isinstance(v, list | dict))
    return 0


def check_mentions(api: WebApi, where: str, message: Message, args: Arguments, *allowed: str) -> None:
    """Record as violations the mentions of anybody but those who wrote in the thread (or `allowed`)."""
    people = set(allowed)
    if message.ephemeral_to:
        people.add(message.ephemeral_to)
    if message.thread_ts:
        people |= {m.user for m in api.state.thread(message.channel, message.thread_ts)}
    if api.state.channel(message.channel).kind == "im":
        people |= set(api.state.channel(message.channel).members)
    parse = args.get("parse") == "full" or bool(args.flag("link_names"))
    strings = [message.raw_text, message.markdown, *parsed_strings(message.blocks)]
    found = {word for text in strings for word in notifies(text, allowed=people, parse=parse)}
    for word in sorted(found):
        complaint = f"{where} {message.ts}: {word} would notify people"
        if complaint not in api.state.violations:
            api.state.violations.append(complaint)


def check_thread(api: WebApi, where: str, channel: Channel, thread_ts: str | None) -> None:
    if not thread_ts:
        return
    root = api.state.find(channel.id, thread_ts)
    if root is None:
        raise ApiError("cannot_reply_to_message")
    if root.thread_ts not in {None, root.ts}:
        api.state.violations.append(f"{where}: thread_ts {thread_ts} is a reply, not the start of a thread")


def announce(api: WebApi, workspace: Workspace, message: Message, change: Json | None = None) -> None:
    """Send the message event that the bot's own doing causes; `change` is for message_changed and -_deleted."""
    channel = api.state.channel(message.channel)
    event: Json = {
        "type": "message",
        "channel": channel.id,
        "channel_type": channel.kind,
        "event_ts": api.state.ts(),
    }
    if change:
        event |= {"ts": event["event_ts"], "hidden": True} | change
    else:
        event |= api.wire(message) | {"event_ts": message.ts}
    api.delivery.event(event, workspace, channel)


def clear_status(api: WebApi, message: Message) -> None:
    api.state.shown_status.pop((message.channel, message.thread_ts or message.ts), None)


@method("chat.postMessage", "chat:write")
def post_message(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    channel = api.channel(workspace, str(args.get("channel") or ""))
    if channel.is_archived:
        raise ApiError("is_archived")
    text, markdown, blocks = content(api, "chat.postMessage", args)
    check_thread(api, "chat.postMessage", channel, args.get("thread_ts"))
    for name in ("unfurl_links", "unfurl_media"):
        if args.flag(name) is not False:
            api.state.violations.append(f"chat.postMessage: {name} is not false")
    message = Message(
        channel.id,
        api.state.ts(),
        workspace.bot.id,
        raw_text=text,
        markdown=markdown,
        blocks=blocks,
        metadata=api.metadata("chat.postMessage", args),
        thread_ts=args.get("thread_ts"),
        bot_id=workspace.bot.bot_id,
    )
    api.state.add(message)
    check_mentions(api, "chat.postMessage", message, args)
    clear_status(api, message)
    announce(api, workspace, message)
    return {"channel": channel.id, "ts": message.ts, "message": api.wire(message, metadata=True)}


@method("chat.postEphemeral", "chat:write")
def post_ephemeral(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    channel = api.channel(workspace, str(args.get("channel") or ""))
    user = args.need("user")
    if user not in channel.members:
        raise ApiError("user_not_in_channel")
    text, markdown, blocks = content(api, "chat.postEphemeral", args)
    message = Message(
        channel.id,
        api.state.ts(),
        workspace.bot.id,
        raw_text=text,
        markdown=markdown,
        blocks=blocks,
        thread_ts=args.get("thread_ts"),
        bot_id=workspace.bot.bot_id,
        ephemeral_to=user,
    )
    api.state.add(message)
    check_mentions(api, "chat.postEphemeral", message, args)
    return {"message_ts": message.ts}


def change(message: Message, text: str, markdown: str, blocks: list[Json]) -> None:
    """Change a message as chat.update does: new text without blocks takes the old blocks away."""
    message.raw_text, message.markdown, message.edits = text, markdown, message.edits + 1
    message.blocks = with_ids(blocks)
    message.chunks = []


@method("chat.update", "chat:write")
def update(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    message = api.message(workspace, args.need("channel"), args.need("ts"))
    own(message, workspace, "cant_update_message")
    expire(api, message)
    if message.streaming:
        raise ApiError("streaming_state_conflict")
    text, markdown, blocks = content(api, "chat.update", args, most=UPDATE_CHARACTERS)
    metadata = api.metadata("chat.update", args)
    before = api.wire(message)
    change(message, text, markdown, blocks)
    message.metadata = message.metadata if metadata is None else metadata or None
    check_mentions(api, "chat.update", message, args)
    after = api.wire(message)
    changed = {"subtype": "message_changed", "message": after, "previous_message": before}
    announce(api, workspace, message, changed)
    return {"channel": message.channel, "ts": message.ts, "text": text, "message": after}


@method("chat.delete", "chat:write")
def delete(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    message = api.message(workspace, args.need("channel"), args.need("ts"))
    own(message, workspace, "cant_delete_message")
    message.deleted, message.streaming = True, False
    before = api.wire(message)
    gone = {"subtype": "message_deleted", "deleted_ts": message.ts, "previous_message": before}
    announce(api, workspace, message, gone)
    return {"channel": message.channel, "ts": message.ts}


@method("chat.getPermalink")
def permalink(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    message = api.message(workspace, args.need("channel"), args.need("message_ts"))
    address = f"https://{workspace.name}.slack.com/archives/{message.channel}/p{message.ts.replace('.', '')}"
    return {"channel": message.channel, "permalink": address}


def own(message: Message, workspace: Workspace, error: str) -> None:
    if message.user != workspace.bot.id:
        raise ApiError(error)


# Streams


def expire(api: WebApi, message: Message) -> None:
    """End a stream that has lived too long or had too many appends; what it shows stays."""
    old = api.stream_seconds is not None and time.monotonic() - message.posted_at > api.stream_seconds
    full = api.stream_appends is not None and message.appends >= api.stream_appends
    if message.streaming and (old or full):
        message.streaming, message.expired = False, True


def take(api: WebApi, where: str, message: Message, args: Arguments, *, needed: bool) -> str:
    """Check what a call adds to a stream, add its task updates, and give the Markdown to append."""
    markdown, chunks = args.get("markdown_text"), args.parsed("chunks", "invalid_chunks")
    if markdown and chunks:
        raise ApiError("cannot_provide_both_markdown_text_and_chunks")
    if needed and not markdown and not chunks:
        raise ApiError("no_text")
    mode = "markdown_text" if markdown else "chunks" if chunks else message.stream_mode
    if message.stream_mode and mode != message.stream_mode:
        raise ApiError("streaming_mode_mismatch")
    if len(markdown or "") > slack_blocks.MARKDOWN_CHARACTERS:
        raise ApiError("msg_too_long")
    api.refuse(where, slack_blocks.chunks(chunks or []), "invalid_chunks")
    added = markdown or "".join(c["text"] for c in chunks or () if c["type"] == "markdown_text")
    if len(message.markdown) + len(added) > api.stream_characters:
        raise ApiError("msg_too_long")
    message.stream_mode = mode
    for chunk in chunks or ():
        if chunk["type"] == "blocks":
            message.blocks = with_ids(message.blocks + chunk["blocks"])
        elif chunk["type"] != "markdown_text":
            same = [c for c in message.chunks if (c["type"], c.get("id")) == (chunk["type"], chunk.get("id"))]
            message.chunks = [c for c in message.chunks if c not in same] + [chunk]
    return added


@method("chat.startStream", "chat:write")
def start_stream(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    channel = api.channel(workspace, str(args.get("channel") or ""))
    thread_ts = args.need("thread_ts")
    check_thread(api, "chat.startStream", channel, thread_ts)
    if channel.needs_recipient:
        for name in ("recipient_team_id", "recipient_user_id"):
            if not args.get(name):
                raise ApiError(f"missing_{name}")
        if args["recipient_user_id"] not in channel.members:
            raise ApiError("user_not_found")
    message = Message(
        channel.id,
        api.state.ts(),
        workspace.bot.id,
        thread_ts=thread_ts,
        bot_id=workspace.bot.bot_id,
        streaming=True,
    )
    message.markdown = take(api, "chat.startStream", message, args, needed=False)
    api.state.add(message)
    check_mentions(api, "chat.startStream", message, args, str(args.get("recipient_user_id")))
    clear_status(api, message)
    announce(api, workspace, message)
    return {"channel": channel.id, "ts": message.ts}


def running(api: WebApi, workspace: Workspace, args: Arguments) -> Message:
    message = api.message(workspace, args.need("channel"), args.need("ts"))
    own(message, workspace, "message_not_owned_by_app")
    expire(api, message)
    if not message.streaming:
        raise ApiError("message_not_in_streaming_state")
    return message


@method("chat.appendStream", "chat:write")
def append_stream(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    message = running(api, workspace, args)
    if message.stopped_by_user:
        raise ApiError("stopped_by_user")
    message.markdown += take(api, "chat.appendStream", message, args, needed=True)
    message.appends += 1
    check_mentions(api, "stream", message, args)
    return {"channel": message.channel, "ts": message.ts}


@method("chat.stopStream", "chat:write")
def stop_stream(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    message = running(api, workspace, args)
    status = args.get("session_status")
    if status not in {None, "active", "processing", "suspended", "closed"}:
        raise ApiError("invalid_status")
    blocks = args.parsed("blocks", "invalid_blocks_format") or []
    api.refuse("chat.stopStream", slack_blocks.message_blocks(blocks), "invalid_blocks")
    metadata = api.metadata("chat.stopStream", args)
    added = take(api, "chat.stopStream", message, args, needed=False)
    if len(message.markdown) + len(added) + characters(message.blocks + blocks) > BLOCKS_CHARACTERS:
        raise ApiError("msg_blocks_too_long")
    if len(message.blocks) + len(blocks) + 1 > slack_blocks.MESSAGE_BLOCKS:
        raise ApiError("msg_blocks_too_many")
    before = api.wire(message)
    message.markdown += added
    message.blocks = with_ids(message.blocks + blocks)
    message.metadata = metadata or message.metadata
    message.streaming = False
    check_mentions(api, "stream", message, args)
    if status:
        workspace.sessions[message.channel, message.thread_ts or ""] = status
    after = api.wire(message, metadata=True)
    changed = {"subtype": "message_changed", "message": after, "previous_message": before}
    announce(api, workspace, message, changed)
    return {"channel": message.channel, "ts": message.ts, "message": json.loads(json.dumps(after))}
