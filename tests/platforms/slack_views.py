"""views.*: opening, stacking and changing modals, and publishing Home tabs."""

import time

from tests.platforms import slack_blocks
from tests.platforms.slack_state import Json, View, Workspace, with_ids
from tests.platforms.slack_web_api import ApiError, Arguments, WebApi, method


def checked(api: WebApi, where: str, args: Arguments, kind: str) -> Json:
    payload = args.parsed("view")
    if not isinstance(payload, dict) or payload.get("type") != kind:
        raise ApiError(
            "invalid_arguments", response_metadata={"messages": [f"a view of type {kind} expected"]}
        )
    api.refuse(where, slack_blocks.view(payload), "invalid_arguments")
    return payload | {"blocks": with_ids(payload["blocks"])}


def shown(api: WebApi, workspace: Workspace, view: View) -> Json:
    return {"view": view.wire(app_id=api.state.app_id, bot_id=workspace.bot.bot_id)}


def _open(api: WebApi, workspace: Workspace, args: Arguments, where: str) -> Json:
    user, until = api.triggers.get(args.need("trigger_id"), ("", 0.0))
    if not user:
        raise ApiError("invalid_trigger_id")
    if user == "(used)":
        raise ApiError("exchanged_trigger_id")
    if time.monotonic() > until:
        raise ApiError("expired_trigger_id")
    payload = checked(api, where, args, "modal")
    api.triggers[str(args["trigger_id"])] = ("(used)", 0.0)
    below = [v for v in api.views if v.open and v.user == user and v.payload["type"] == "modal"]
    if where == "views.open":
        for view in below:
            view.open = False
    view = View(
        api.state.id("V"), user, workspace.id, payload, below[0] if where == "views.push" and below else None
    )
    api.views.append(view)
    return shown(api, workspace, view)


@method("views.open")
def views_open(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    return _open(api, workspace, args, "views.open")


@method("views.push")
def views_push(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    return _open(api, workspace, args, "views.push")


@method("views.update")
def views_update(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    view = next((v for v in api.views if v.id == args.get("view_id") and v.open), None)
    if view is None:
        raise ApiError("not_found")
    if args.get("hash") and args["hash"] != f"{view.updates}.hash":
        raise ApiError("hash_conflict")
    view.payload, view.updates = checked(api, "views.update", args, view.payload["type"]), view.updates + 1
    return shown(api, workspace, view)


@method("views.publish")
def views_publish(api: WebApi, workspace: Workspace, args: Arguments) -> Json:
    user = args.need("user_id")
    if user not in workspace.users:
        raise ApiError("user_not_found")
    payload = checked(api, "views.publish", args, "home")
    homes = (v for v in api.views if v.user == user and v.payload["type"] == "home")
    view = next(homes, None)
    if view is None:
        view = View(api.state.id("V"), user, workspace.id, payload)
        api.views.append(view)
    view.payload, view.updates = payload, view.updates + 1
    return shown(api, workspace, view)
