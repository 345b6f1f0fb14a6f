"""The workspaces that the bot serves: each with its token, its people and its budgets of requests.

There is one, whose token is in the environment, or there are as many as installed the app (`installations`).
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.api import SlackApi, WorkspacePace
from adapters.slack.errors import TRANSPORT_ERRORS, SlackRefusedError, translated
from adapters.slack.installations import VaultInstallations
from adapters.slack.manifest import INSTALL_PATH
from adapters.slack.people import People
from bot.config import SlackSettings
from bot.errors import SettingsError
from bot.vault import Vault

log = logging.getLogger(__name__)

REQUEST_SECONDS = 30
LONGEST_WAIT = 60.0
"""Seconds between two tries to reach Slack at the start."""


class RetryReads(AsyncConnectionErrorRetryHandler):
    """Asks again after a broken connection, but never posts again: it may have been posted."""

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        return "/chat." not in request.url and await super()._can_retry_async(
            state=state, request=request, response=response, error=error
        )


@dataclass(frozen=True, eq=False)
class Workspace:
    """One workspace, as the bot that is installed there sees it."""

    team_id: str
    bot_user_id: str
    client: AsyncWebClient
    api: SlackApi
    people: People


class Workspaces:
    """Finds the workspace that an event or a message belongs to."""

    def __init__(self, settings: SlackSettings, vault: Vault, *, bot_name: str) -> None:
        self._settings = settings
        self._bot_name = bot_name
        self._session: aiohttp.ClientSession | None = None
        self._only: Workspace | None = None
        self._known: dict[str, Workspace] = {}
        self._unreadable: set[str] = set()
        self.installations = VaultInstallations(vault, on_change=self._forget)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Find out which workspaces there are, and keep connections to Slack open meanwhile.

        Waits until Slack can be reached. Raises `SettingsError` when it refuses the token of the environment; a
        workspace whose stored token cannot be read is left out.
        """
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as self._session:
            if self._settings.bot_token:
                self._only = await self._introduce(self._settings.bot_token.get_secret_value())
            else:
                for team_id in await self.installations.teams():
                    await self.find(team_id)
            yield

    def get(self, team_id: str) -> Workspace | None:
        """As `find`, for a workspace that was found before."""
        return self._only or self._known.get(team_id)

    async def find(self, team_id: str | None) -> Workspace | None:
        """The workspace, or None when it does not have the app or has to install it again; raises `DatabaseError`."""
        if (found := self.get(team_id or "")) or team_id is None or self._settings.bot_token:
            return found
        try:
            bot = await self.installations.async_find_bot(team_id=team_id)
        except SettingsError as error:
            if team_id not in self._unreadable:  # said once, not at each event
                self._unreadable.add(team_id)
                log.warning("%s", not_served(team_id, error))
            return None
        if bot is None or not bot.bot_token:
            return None
        workspace = self._workspace(team_id, bot.bot_user_id or "", self.client(bot.bot_token))
        return self._known.setdefault(team_id, workspace)

    def all(self) -> list[Workspace]:
        return [self._only] if self._only else list(self._known.values())

    def client(self, token: str | None) -> AsyncWebClient:
        """A client for requests that wait when they come too often, and read again when the connection breaks."""
        retries: list[AsyncRetryHandler] = [AsyncRateLimitErrorRetryHandler(max_retry_count=2), RetryReads()]
        return AsyncWebClient(
            token=token,
            base_url=self._settings.api_url,
            timeout=REQUEST_SECONDS,
            session=self._session,
            retry_handlers=retries,
        )

    def api(self, client: AsyncWebClient) -> SlackApi:
        """Requests with that client, with budgets of their own."""
        return SlackApi(client, WorkspacePace(), bot_name=self._bot_name)

    async def _introduce(self, token: str) -> Workspace:
        client, delay = self.client(token), 1.0
        while True:
            try:
                answer = await client.auth_test()
                return self._workspace(answer["team_id"], answer["user_id"], client)
            except TRANSPORT_ERRORS as error:
                trouble = translated(error, method="auth.test")
            if isinstance(trouble, SlackRefusedError):
                raise SettingsError(
                    f"Slack refuses the bot token ({trouble.code}); set PARLEY_SLACK_BOT_TOKEN to the Bot User "
                    "OAuth Token that the page of the app shows under OAuth & Permissions."
                ) from trouble
            log.warning("Slack cannot be reached, trying again in %.0f s: %s", delay, trouble)
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_WAIT)

    def _workspace(self, team_id: str, bot_user_id: str, client: AsyncWebClient) -> Workspace:
        people = People(client, team_id=team_id, bot_user_id=bot_user_id, bot_name=self._bot_name)
        return Workspace(team_id, bot_user_id, client, self.api(client), people)

    def _forget(self, team_id: str) -> None:
        self._known.pop(team_id, None)
        self._unreadable.discard(team_id)


def not_served(team_id: str, error: SettingsError) -> str:
    """What to do about a workspace whose stored token cannot be read."""
    return f"Slack workspace {team_id} is not served until it installs the app again over {INSTALL_PATH}: {error}"
