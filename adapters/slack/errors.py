"""What Slack answers when it does not do what it was asked, as errors with a sentence that names the fix.

PlatformError
├── SlackRefusedError          Slack says no; `code` is its word for why
└── PlatformUnavailableError   it was not done, the same may work later
    ├── SlackBusyError         too many requests; `seconds` until the next
    └── SlackLostError         the answer was lost: it may or may not have been done
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError

from bot.errors import PlatformError, PlatformUnavailableError

TRANSPORT_ERRORS = (SlackApiError, aiohttp.ClientError, TimeoutError, OSError)
"""What a request through slack_sdk can raise."""

TOO_LONG = frozenset({"msg_too_long", "msg_blocks_too_long", "msg_blocks_too_many"})
UNSHOWABLE = TOO_LONG | {"invalid_blocks", "invalid_blocks_format", "no_text", "markdown_text_conflict"}
"""It is the message, not the place: the same said shorter or plainer will be taken."""
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
"""The message cannot be changed any more."""

NO_CARDS = frozenset({"invalid_chunks", "invalid_chunk_type", "invalid_arguments"})
"""Slack does not take the chunks that a stream was to begin with."""
NOT_THERE = frozenset({"unknown_method", "method_deprecated", "feature_not_enabled", "missing_scope"})
"""This workspace does not have it, and will not have it in a minute."""

_UNCERTAIN = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
"""Slack's own faults, after which part of it may have been done."""

_INVITE = "I am not a member of that channel; invite me there with `/invite @{bot_name}`."
_INSTALL = (
    "Slack does not take the bot's token any more; install the app again, or set PARLEY_SLACK_BOT_TOKEN."
)
_SENTENCES = {
    "not_in_channel": _INVITE,
    "user_not_in_channel": "The asker is not a member of that channel any more.",
    "channel_not_found": "Slack does not show me that channel; invite me there with `/invite @{bot_name}`.",
    "is_archived": "That channel is archived; ask in another one.",
    "thread_not_found": "The thread was deleted; ask again in the channel.",
    "cannot_reply_to_message": "The message to reply to was deleted; ask again in the channel.",
    "token_revoked": _INSTALL,
    "token_expired": _INSTALL,
    "account_inactive": _INSTALL,
    "invalid_auth": _INSTALL,
    "not_authed": "There is no token for that workspace; install the app there, or set PARLEY_SLACK_BOT_TOKEN.",
    "restricted_action": "The workspace does not let apps post there; ask its admins to allow Parley to.",
    "restricted_action_read_only_channel": "That channel is read-only; ask its admins to let Parley post there.",
    "restricted_action_thread_only_channel": "In that channel only replies in threads are allowed; ask in a thread.",
    "team_access_not_granted": "The app has no access to that workspace; ask its admins to approve Parley.",
}


class SlackRefusedError(PlatformError):
    """Slack says no."""

    def __init__(self, sentence: str, *, code: str) -> None:
        super().__init__(sentence)
        self.code = code


class SlackBusyError(PlatformUnavailableError):
    """Too many requests."""

    def __init__(self, sentence: str, *, seconds: float) -> None:
        super().__init__(sentence)
        self.seconds = seconds


class SlackLostError(PlatformUnavailableError):
    """It may or may not have been done."""


def translated(error: Exception, *, method: str, bot_name: str = "Parley") -> PlatformError:
    """One of `TRANSPORT_ERRORS` as one of ours; `bot_name` is what people call the bot when they invite it."""
    if isinstance(error, SlackApiError):
        return _answered(error, method, bot_name)
    if isinstance(error, aiohttp.ClientConnectorError):
        return PlatformUnavailableError(f"Slack cannot be reached for {method}; check the network.")
    return SlackLostError(f"The connection to Slack broke during {method}; check the network.")


def response_code(body: str) -> str:
    """Slack's word for why a response_url does not take a message; its body is JSON or the bare word."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:60].strip() or "no reason given"


def _answered(error: SlackApiError, method: str, bot_name: str) -> PlatformError:
    status, data, headers = _parts(error)
    code = str(data.get("error") or "")
    if status == HTTPStatus.TOO_MANY_REQUESTS or code in {"ratelimited", "rate_limited"}:
        seconds = float(headers.get("Retry-After") or 1)
        return SlackBusyError(f"Slack takes no more of {method} for {seconds:.0f} s.", seconds=seconds)
    if not code or status >= HTTPStatus.INTERNAL_SERVER_ERROR or code in _UNCERTAIN:
        return SlackLostError(
            f"Slack has a problem of its own with {method} ({code or status}); try again later."
        )
    if code == "missing_scope":
        needed = data.get("needed") or "a scope"
        sentence = (
            f"The Slack app lacks {needed}; add it under OAuth & Permissions and install the app again."
        )
    elif code in _SENTENCES:
        sentence = _SENTENCES[code].format(bot_name=bot_name)
    else:
        sentence = f"Slack refuses {method} ({code}); run `parley doctor`."
    return SlackRefusedError(sentence, code=code)


def _parts(error: SlackApiError) -> tuple[int, Mapping[str, Any], Mapping[str, str]]:
    """Status, body and headers; the body is empty when it was no JSON object."""
    response: Any = error.response
    data = getattr(response, "data", None)
    status = getattr(response, "status_code", None) or getattr(response, "status", None)
    return int(status or 0), data if isinstance(data, dict) else {}, getattr(response, "headers", None) or {}
