"""Requests to Slack within the workspace's budgets, each with a clear end: done, refused, or not known.

slack_sdk's client would send a post again when the connection broke before the answer, and it would be there twice;
here only what does no harm twice is repeated, and for the rest `SlackLostError` says that somebody has to look.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from adapters.pacing import Budget, Pace, unbroken
from adapters.slack.errors import (
    TRANSPORT_ERRORS,
    SlackBusyError,
    SlackLostError,
    SlackRefusedError,
    response_code,
    translated,
)
from bot.errors import PlatformUnavailableError

TRIES = 4
BACKOFF = 0.5
"""Seconds before the second try; twice as long before each further one."""

BUDGETS = {
    "chat.startStream": Budget(20),
    "chat.stopStream": Budget(20),
    "chat.appendStream": Budget(100),
    "chat.update": Budget(50),
    "chat.delete": Budget(50),
    "chat.postMessage": Budget(1, 1.0),
    "chat.postEphemeral": Budget(100),
    "reports": Budget(25),
    "conversations.replies": Budget(50),
    "conversations.history": Budget(50),
}
"""What Slack allows an app in a workspace at least; chat.postMessage in a channel. Reports are no method: of the
changes, so many may go to commands that show how far they are, and the others are for answers."""

_READS = frozenset({"conversations.replies", "conversations.history"})
_REPEATABLE = _READS | {
    "chat.update",
    "chat.delete",
    "chat.stopStream",
    "assistant.threads.setStatus",
    "agents.sessions.setStatus",
}
"""Methods that leave the same behind when they are done twice; a second stopStream is refused, which says enough."""

Answer = Mapping[str, Any]
Then = Callable[[Answer], Awaitable[None]]
"""What notes the result of a request; see `SlackApi.call`."""


class WorkspacePace(Pace):
    """The budgets of a workspace, and what it turned out not to have. One for all replies there."""

    def __init__(self, budgets: Mapping[str, Budget] = BUDGETS) -> None:
        super().__init__(budgets)
        self.lacks: set[str] = set()
        """What this workspace refused for good: "streams", "tasks", "status", "sessions"."""


class SlackApi:
    """Calls methods of the Web API for one workspace, where the bot is called `bot_name`."""

    def __init__(self, client: AsyncWebClient, pace: WorkspacePace, *, bot_name: str) -> None:
        self.pace = pace
        self._bot_name = bot_name
        self._client = copy.copy(client)
        self._client.retry_handlers = []

    async def call(
        self,
        method: str,
        arguments: Mapping[str, Any],
        *,
        then: Then | None = None,
        tries: int = TRIES,
        is_paid: bool = False,
    ) -> Answer:
        """The answer; `then` is called with it before anything else can happen to the caller.

        `is_paid`: the caller has waited for the budget already. Raises `SlackRefusedError`, `SlackLostError`, or
        `PlatformUnavailableError` when it surely was not done.
        """
        channel = str(arguments.get("channel", "")) if method == "chat.postMessage" else ""
        for attempt in range(1, tries + 1):
            if not (is_paid and attempt == 1):
                await self.pace.wait(method, of=channel)
            try:
                return await unbroken(self._once(method, arguments, then))
            except SlackBusyError as error:
                self.pace.pause(method, error.seconds)
                if attempt == tries:
                    raise
            except PlatformUnavailableError as error:
                if attempt == tries or (isinstance(error, SlackLostError) and method not in _REPEATABLE):
                    raise
                await asyncio.sleep(BACKOFF * 2 ** (attempt - 1))
        raise AssertionError("tries is at least 1")

    async def respond(self, url: str, body: Mapping[str, Any], *, then: Then | None = None) -> None:
        """Post to a response_url: five times within half an hour are allowed. Raises like `call`."""
        await unbroken(self._respond(url, body, then))

    async def _respond(self, url: str, body: Mapping[str, Any], then: Then | None) -> None:
        client = self._client
        webhook = AsyncWebhookClient(
            url,
            timeout=client.timeout,
            ssl=client.ssl,
            proxy=client.proxy,
            session=client.session,
            trust_env_in_session=client.trust_env_in_session,
            retry_handlers=[],
        )
        try:
            answer = await webhook.send_dict(dict(body))
        except TRANSPORT_ERRORS as error:
            raise translated(error, method="a response") from error
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise SlackLostError(f"Slack has a problem of its own ({answer.status_code}); try again later.")
        if answer.status_code != HTTPStatus.OK:
            code = response_code(answer.body)
            raise SlackRefusedError(
                f"Slack refuses the response ({code}); give the command again.", code=code
            )
        if then:
            await then({})

    async def _once(self, method: str, arguments: Mapping[str, Any], then: Then | None) -> Answer:
        how: dict[str, Any] = (
            {"http_verb": "GET", "params": dict(arguments)} if method in _READS else {"json": dict(arguments)}
        )
        try:
            response = await self._client.api_call(method, **how)
        except TRANSPORT_ERRORS as error:
            raise translated(error, method=method, bot_name=self._bot_name) from error
        answer: Answer = response.data if isinstance(response.data, dict) else {}
        if then:
            await then(answer)
        return answer
