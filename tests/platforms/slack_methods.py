"""The methods of the Web API that read the workspace, react, set statuses and prompts, and hand out tokens."""

import base64
import binascii
import time
from typing import Any

from tests.platforms import slack_blocks
from tests.platforms.slack_state import Channel, Json, Message, Workspace
from tests.platforms.slack_web_api import ApiError, Arguments, WebApi, method

STATUS_SECONDS = 120

# Who am I


@method("auth.test")
def auth_test(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    return {
        "url": f"https://{workspace.name}.slack.com/",
        "team": workspace.name,
        "user": workspace.bot.name,
        "team_id": workspace.id,
        "user_id": workspace.bot.id,
        "bot_id": workspace.bot.bot_id,
        "is_enterprise_install": False,
    }


@method("auth.revoke")
def auth_revoke(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    workspace.revoked = not args.flag("test")
    return {"revoked": workspace.revoked}


@method("apps.connections.open")
def connections_open(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    socket = api.base_url.replace("http://", "ws://", 1)
    return {"url": f"{socket}/link/?ticket={api.delivery.ticket()}&app_id={api.state.app_id}"}


@method("oauth.v2.access")
def oauth_access(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    """Exchange a code for a bot token; the code of a workspace is `code-` and its id, and is good once."""
    team = str(args.get("code") or "").removeprefix("code-")
    if team not in api.state.workspaces or team in api.used_codes:
        raise ApiError("invalid_code")
    api.used_codes.add(team)
    installed = api.state.workspaces[team]
    installed.revoked = False
    return {
        "app_id": api.state.app_id,
        "access_token": installed.token,
        "token_type": "bot",
        "scope": ",".join(sorted(installed.scopes)),
        "bot_user_id": installed.bot.id,
        "team": {"id": installed.id, "name": installed.name},
        "enterprise": None,
        "is_enterprise_install": False,
        "authed_user": {"id": next((u.id for u in installed.users.values() if not u.is_bot), "")},
    }


@method("team.info", "team:read")
def team_info(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    return {"team": {"id": workspace.id, "name": workspace.name, "domain": workspace.name}}


@method("bots.info", "users:read")
def bots_info(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    for user in workspace.users.values():
        if user.bot_id and user.bot_id == args.get("bot"):
            shown = {"id": user.bot_id, "name": user.name, "user_id": user.id, "deleted": user.deleted}
            return {"bot": shown | ({"app_id": api.state.app_id} if user is workspace.bot else {})}
    raise ApiError("bot_not_found")


@method("users.info", "users:read")
def users_info(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    user = workspace.users.get(str(args.get("user")))
    if user is None:
        raise ApiError("user_not_found")
    return {"user": user.wire()}


@method("users.list", "users:read")
def users_list(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    shown, rest = page(list(workspace.users.values()), args)
    return {"members": [user.wire() for user in shown]} | rest


# Conversations

KINDS = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}


def readable(api: WebApi, workspace: Workspace, args: Arguments, what: str, *, member: bool) -> Channel:
    channel = api.channel(workspace, args.need("channel"), member=member)
    api.scope(workspace, f"{KINDS[channel.kind]}:{what}")
    return channel


def page(found: list[Any], args: Arguments, *, default: int = 100) -> tuple[list[Any], Json]:
    """One page of a list and the cursor of the next."""
    start = 0
    if cursor := args.get("cursor"):
        try:
            start = int(base64.b64decode(str(cursor), validate=True).decode().removeprefix("next:"))
        except (ValueError, binascii.Error):
            raise ApiError("invalid_cursor") from None
    stop = start + min(args.number("limit", default), 1000)
    more = stop < len(found)
    cursor = base64.b64encode(f"next:{stop}".encode()).decode() if more else ""
    return found[start:stop], {"has_more": more, "response_metadata": {"next_cursor": cursor}}


def between(messages: list[Message], args: Arguments) -> list[Message]:
    """Those between `oldest` and `latest`, which count only when `inclusive`."""
    low, high = float(args.get("oldest") or 0), float(args.get("latest") or "inf")
    ends = {args.get("oldest"), args.get("latest")} if args.flag("inclusive") else set()
    return [m for m in messages if low < float(m.ts) < high or m.ts in ends]


@method("conversations.history")
def history(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    channel = readable(api, workspace, args, "history", member=True)
    everything = api.state.everything(channel.id, None)
    top = [m for m in everything if m.thread_ts in {None, m.ts} and not m.ephemeral_to and _is_shown(api, m)]
    shown, rest = page(between(top, args)[::-1], args)
    return {"messages": [read(api, m, args) for m in shown]} | rest


@method("conversations.replies")
def replies(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    channel = readable(api, workspace, args, "history", member=True)
    ts = args.need("ts")
    found = api.state.thread(channel.id, ts)
    if not found:
        raise ApiError("thread_not_found")
    root = [m for m in api.state.everything(channel.id, ts) if m.ts == ts and _is_shown(api, m)]
    shown, rest = page(root + between([m for m in found if m.ts != ts], args), args, default=1000)
    return {"messages": [read(api, m, args) for m in shown]} | rest


def _is_shown(api: WebApi, message: Message) -> bool:
    """What was deleted leaves its place behind when it has answers."""
    return not message.deleted or bool(api.state.thread(message.channel, message.ts))


def read(api: WebApi, message: Message, args: Arguments) -> Json:
    shown = api.wire(message, metadata=bool(args.flag("include_all_metadata")))
    if message.deleted:
        said = "This message was deleted."
        shown = {"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "text": said, "hidden": True}
        shown |= {"ts": message.ts, "thread_ts": message.ts}
    answers = [m for m in api.state.thread(message.channel, message.ts) if m.ts != message.ts]
    if answers and message.thread_ts in {None, message.ts}:
        users = list(dict.fromkeys(m.user for m in answers))
        shown |= {"thread_ts": message.ts, "reply_count": len(answers), "reply_users": users}
        shown["latest_reply"] = answers[-1].ts
    return shown


@method("conversations.info")
def info(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    channel = readable(api, workspace, args, "read", member=False)
    return {"channel": channel.wire(bot=workspace.bot.id)}


@method("conversations.members")
def members(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    channel = readable(api, workspace, args, "read", member=False)
    shown, rest = page(channel.members, args)
    return {"members": shown} | rest


@method("conversations.open", "im:write")
def open_direct(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    user = args.need("users")
    if user not in workspace.users:
        raise ApiError("user_not_found")
    return {"channel": {"id": api.state.direct(workspace, user).id}}


@method("users.conversations", "channels:read")
def users_conversations(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    user = args.get("user") or workspace.bot.id
    return _list(api, workspace, args, [c for c in workspace.channels.values() if user in c.members])


@method("conversations.list", "channels:read")
def conversations_list(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    seen = (c for c in workspace.channels.values() if c.kind == "channel" or workspace.bot.id in c.members)
    return _list(api, workspace, args, list(seen))


def _list(api: WebApi, workspace: Workspace, args: Arguments, found: list[Channel]) -> Json:
    words = {"public_channel": "channel", "private_channel": "group"}
    kinds = {words.get(t.strip(), t.strip()) for t in str(args.get("types") or "public_channel").split(",")}
    shown, rest = page([c for c in found if c.kind in kinds], args)
    return {"channels": [c.wire(bot=workspace.bot.id) for c in shown]} | rest


# Reactions and files


@method("reactions.add", "reactions:write")
def reactions_add(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    message = api.message(workspace, args.need("channel"), args.need("timestamp"))
    users = message.reactions.setdefault(args.need("name").strip(":"), [])
    if workspace.bot.id in users:
        raise ApiError("already_reacted")
    users.append(workspace.bot.id)
    _reacted(api, workspace, message, args, "reaction_added")
    return {}


@method("reactions.remove", "reactions:write")
def reactions_remove(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    message = api.message(workspace, args.need("channel"), args.need("timestamp"))
    users = message.reactions.get(args.need("name").strip(":"), [])
    if workspace.bot.id not in users:
        raise ApiError("no_reaction")
    users.remove(workspace.bot.id)
    _reacted(api, workspace, message, args, "reaction_removed")
    return {}


def _reacted(api: WebApi, workspace: Workspace, message: Message, args: Arguments, kind: str) -> None:
    item = {"type": "message", "channel": message.channel, "ts": message.ts}
    event = {"type": kind, "user": workspace.bot.id, "reaction": args["name"], "item": item}
    event |= {"item_user": message.user, "event_ts": api.state.ts()}
    api.delivery.event(event, workspace, api.state.channel(message.channel))


@method("files.info", "files:read")
def files_info(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    file = api.state.files.get(str(args.get("file")))
    if file is None:
        raise ApiError("file_not_found")
    return {"file": file.wire(api.base_url)}


# Agents


@method("assistant.threads.setStatus", "chat:write")
def set_status(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    channel = api.channel(workspace, args.need("channel_id"))
    thread_ts, status = args.need("thread_ts"), str(args.get("status") or "")
    if not api.state.thread(channel.id, thread_ts):
        raise ApiError("invalid_thread_ts")
    lines = args.parsed("loading_messages") or []
    check = slack_blocks.LOADING_MESSAGES
    api.refuse("assistant.threads.setStatus", check(lines, "loading_messages"), "invalid_arguments")
    now = time.monotonic()
    entry = {
        "channel": channel.id,
        "thread_ts": thread_ts,
        "status": status,
        "loading_messages": lines,
        "at": now,
    }
    api.statuses.append(entry)
    if status:
        api.state.shown_status[channel.id, thread_ts] = entry
    else:
        api.state.shown_status.pop((channel.id, thread_ts), None)
    return {}


@method("assistant.threads.setTitle", "assistant:write")
def set_title(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    channel = api.channel(workspace, args.need("channel_id"))
    if not api.state.thread(channel.id, args.need("thread_ts")):
        raise ApiError("invalid_thread_ts")
    api.titles[channel.id, str(args["thread_ts"])] = args.need("title")
    return {}


@method("assistant.threads.setSuggestedPrompts", "assistant:write")
def set_prompts(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    channel = api.channel(workspace, args.need("channel_id"))
    prompts = args.parsed("prompts") or []
    check = slack_blocks.PROMPTS
    api.refuse("assistant.threads.setSuggestedPrompts", check(prompts, "prompts"), "invalid_arguments")
    if api.agent_view and args.get("thread_ts"):
        return {}  # Slack says ok and shows nothing
    api.prompts[channel.id] = prompts
    return {}


@method("agents.sessions.setStatus", "chat:write")
def session_status(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    channel = api.channel(workspace, args.need("channel_id"))
    if args.get("status") not in {"active", "processing", "suspended", "closed"}:
        raise ApiError("invalid_status")
    if not args.get("thread_ts"):
        raise ApiError("thread_ts_required")
    if len(str(args.get("title") or "")) > 200:
        raise ApiError("invalid_arguments")
    key = (channel.id, str(args["thread_ts"]))
    workspace.sessions[key] = args["status"]
    if args.get("title"):
        api.titles.setdefault(key, str(args["title"]))
    answer: Json = {
        "status": args["status"],
        "agent_status": args["status"],
        "title": api.titles.get(key, ""),
    }
    if "agent_session_stopped" not in api.delivery.subscriptions:
        answer["warning"] = "missing_agent_session_stopped_event_subscription"
    return answer


@method("agents.sessions.rename", "chat:write")
def session_rename(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    key = (api.channel(workspace, args.need("channel_id")).id, args.need("thread_ts"))
    if key not in workspace.sessions:
        raise ApiError("session_not_found")
    api.titles[key] = args.need("title")[:200]
    return {"title": api.titles[key]}
