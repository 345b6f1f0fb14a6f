"""The routes by which the bot answers interactions: the first response, changes of it, and what follows."""

import time

from tests.platforms import discord_checks, discord_components
from tests.platforms.discord_interactions import COMMAND, COMPONENT, MODAL_SUBMIT, Interaction, Modal
from tests.platforms.discord_messages import remove
from tests.platforms.discord_model import EPHEMERAL, LOADING, Json, Message
from tests.platforms.discord_posts import announce, edit, fill, mention, prepare, wire
from tests.platforms.discord_rest import Answer, ApiError, Ask, Rest, route

MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
USERS = ("users",)
"""The mentions that are read in answers to interactions when the bot does not say which."""


@route("POST", "/interactions/{interaction}/{token}/callback", without_token=True)
def interaction_callback(rest: Rest, ask: Ask) -> Answer:
    engine = rest.interactions
    interaction = engine.by_token(ask.path["token"])
    if interaction is None or interaction.id != ask.path["interaction"] or interaction.error:
        raise ApiError(10062)
    if interaction.response:
        raise ApiError(40060)
    kind, data = ask.body.get("type"), ask.body.get("data") or {}
    _check_kind(rest, interaction, kind)
    if kind == MODAL:
        rest.refuse("modal", discord_components.modal(data))
        interaction.modal = Modal(interaction.user, data, interaction)
    elif kind == CHOICES:
        interaction.choices = data.get("choices") or []
    elif kind in {MESSAGE, DEFERRED}:
        interaction.original = _new(rest, ask, interaction, data, deferred=kind == DEFERRED)
    else:
        interaction.original = interaction.source
    if kind == UPDATE and interaction.source:
        _change(rest, ask, interaction, interaction.source, data)
    interaction.response = kind
    interaction.answered.set()
    return _result(rest, interaction) if ask.query.get("with_response") in {"1", "true"} else None


def _check_kind(rest: Rest, interaction: Interaction, kind: int) -> None:
    allowed = {
        COMMAND: {MESSAGE, DEFERRED, MODAL},
        COMPONENT: {MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, MODAL},
        MODAL_SUBMIT: {MESSAGE, DEFERRED} | ({DEFERRED_UPDATE, UPDATE} if interaction.source else set()),
    }.get(interaction.type, {CHOICES})
    rest.refuse("callback", [] if kind in allowed else [f"type: {kind} cannot answer this interaction"])


def _new(rest: Rest, ask: Ask, interaction: Interaction, data: Json, *, deferred: bool) -> Message:
    """A message that answers an interaction, or the sign that the bot is thinking."""
    engine, state = rest.interactions, rest.state
    flags = EPHEMERAL if deferred else discord_checks.INTERACTION_FLAGS
    files = prepare(rest, "callback", ask, data, message=None, flags=flags)
    message = Message(state.snowflake(), interaction.channel.id, state.bot.id)
    message.interaction = engine.metadata(interaction)
    if interaction.type == COMMAND and interaction.original is None:
        message.type = 20 if interaction.payload["data"]["type"] == 1 else 23
    if deferred:
        message.flags = LOADING | (data.get("flags") or 0)
    else:
        fill(rest, message, data, files)
        mention(state, message, data, default=USERS, asker=[interaction.user.id])
    if message.flags & EPHEMERAL:
        message.ephemeral_to = interaction.user.id
    state.add(message)
    announce(rest.gateway, "MESSAGE_CREATE", message)
    return message


def _change(rest: Rest, ask: Ask, interaction: Interaction, message: Message, data: Json) -> None:
    changed = Ask(ask.path, ask.query, data, ask.files)
    edit(rest, "update", changed, message, default=USERS, asker=interaction.user.id)


def _result(rest: Rest, interaction: Interaction) -> Json:
    shown: Json = {"id": interaction.id, "type": interaction.type}
    resource: Json = {"type": interaction.response}
    message = interaction.original
    if message is not None and interaction.response in {MESSAGE, DEFERRED, UPDATE}:
        shown |= {"response_message_id": message.id, "response_message_loading": message.loading}
        shown["response_message_ephemeral"] = bool(message.flags & EPHEMERAL)
        resource["message"] = wire(rest.state, message, full=True)
    return {"interaction": shown, "resource": resource}


# After the first response


def _interaction(rest: Rest, ask: Ask) -> Interaction:
    """The interaction of a token that is still good."""
    engine = rest.interactions
    interaction = engine.by_token(ask.path["token"])
    if interaction is None or ask.path["application"] != rest.state.bot.id or not interaction.response:
        raise ApiError(10015)
    if time.monotonic() - interaction.created > engine.token_seconds:
        rest.state.violations.append(f"interaction token used after {engine.token_seconds} s")
        raise ApiError(50027)
    return interaction


def _message(rest: Rest, ask: Ask) -> tuple[Interaction, Message]:
    interaction = _interaction(rest, ask)
    which = ask.path.get("message", "@original")
    known = [m for m in (interaction.original, *interaction.followups) if m]
    found = interaction.original if which == "@original" else next((m for m in known if m.id == which), None)
    if found is None or found.deleted:
        raise ApiError(10008)
    return interaction, found


@route("POST", "/webhooks/{application}/{token}", without_token=True)
def create_followup(rest: Rest, ask: Ask) -> Answer:
    interaction = _interaction(rest, ask)
    original = interaction.original
    if original and original.loading and interaction.response == DEFERRED:
        _change(rest, ask, interaction, original, {k: v for k, v in ask.body.items() if k != "flags"})
        return wire(rest.state, original, full=True)
    foreign = "0" not in interaction.payload["authorizing_integration_owners"]
    if foreign and len(interaction.followups) >= 5:
        raise ApiError(40094)
    message = _new(rest, ask, interaction, ask.body, deferred=False)
    interaction.followups.append(message)
    return wire(rest.state, message, full=True)


@route("GET", "/webhooks/{application}/{token}/messages/@original", without_token=True)
def get_original(rest: Rest, ask: Ask) -> Answer:
    return wire(rest.state, _message(rest, ask)[1], full=True)


@route("PATCH", "/webhooks/{application}/{token}/messages/@original", without_token=True)
def edit_original(rest: Rest, ask: Ask) -> Answer:
    return edit_followup(rest, ask)


@route("DELETE", "/webhooks/{application}/{token}/messages/@original", without_token=True)
def delete_original(rest: Rest, ask: Ask) -> Answer:
    return delete_followup(rest, ask)


@route("GET", "/webhooks/{application}/{token}/messages/{message}", without_token=True)
def get_followup(rest: Rest, ask: Ask) -> Answer:
    return wire(rest.state, _message(rest, ask)[1], full=True)


@route("PATCH", "/webhooks/{application}/{token}/messages/{message}", without_token=True)
def edit_followup(rest: Rest, ask: Ask) -> Answer:
    interaction, message = _message(rest, ask)
    _change(rest, ask, interaction, message, ask.body)
    return wire(rest.state, message, full=True)


@route("DELETE", "/webhooks/{application}/{token}/messages/{message}", without_token=True)
def delete_followup(rest: Rest, ask: Ask) -> Answer:
    _, message = _message(rest, ask)
    remove(rest.gateway, message)
    return None
