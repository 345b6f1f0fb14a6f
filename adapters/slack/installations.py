"""The workspaces that installed the app by OAuth: their tokens lie encrypted in `bot.vault`.

`VaultInstallations` and `VaultStates` are the two stores that slack_bolt's OAuth flow works with; `oauth_flow` puts
them together. Only bot tokens are kept. Installations for a whole Enterprise Grid organisation are refused.
"""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable
from urllib.parse import urljoin

from slack_bolt.error import BoltError
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.installation_store.models.bot import Bot
from slack_sdk.oauth.installation_store.models.installation import Installation
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.manifest import INSTALL_PATH, REDIRECT_PATH, SCOPES
from bot.errors import SettingsError
from bot.vault import Vault

log = logging.getLogger(__name__)

STATE_SECONDS = 600
"""How long somebody may take to agree to the installation."""

_TOKENS = "slack/installation/"
_STATES = "slack/state/"
_KEPT = (
    "app_id",
    "team_id",
    "team_name",
    "enterprise_id",
    "bot_token",
    "bot_id",
    "bot_user_id",
    "bot_scopes",
    "user_id",
)


class VaultInstallations(AsyncInstallationStore):
    """One installation for each workspace; the last one counts."""

    def __init__(self, vault: Vault, *, on_change: Callable[[str], None] = lambda _: None) -> None:
        """`on_change` is told the id of a workspace that was installed or removed."""
        self._vault = vault
        self._on_change = on_change

    @property
    def logger(self) -> logging.Logger:
        return log

    async def async_save(self, installation: Installation) -> None:
        """Raises `BoltError` for an installation without a workspace or a bot."""
        if not installation.team_id or not installation.bot_token:
            raise BoltError("Install Parley in a workspace, not in the whole organisation.")
        kept = {name: getattr(installation, name) for name in _KEPT}
        await asyncio.to_thread(self._vault.put, _TOKENS + installation.team_id, json.dumps(kept))
        log.info("Slack workspace %s installed the app", installation.team_id)
        self._on_change(installation.team_id)

    async def async_save_bot(self, bot: Bot) -> None:  # noqa: ARG002
        raise BoltError("Parley does not rotate tokens; switch token rotation off in the Slack app.")

    async def async_find_installation(
        self,
        *,
        enterprise_id: str | None = None,  # noqa: ARG002
        team_id: str | None,
        user_id: str | None = None,  # noqa: ARG002
        is_enterprise_install: bool | None = False,  # noqa: ARG002
    ) -> Installation | None:
        kept = await asyncio.to_thread(self._vault.get, f"{_TOKENS}{team_id}") if team_id else None
        return None if kept is None else Installation(**json.loads(kept))

    async def async_find_bot(
        self,
        *,
        enterprise_id: str | None = None,
        team_id: str | None,
        is_enterprise_install: bool | None = False,
    ) -> Bot | None:
        found = await self.async_find_installation(
            enterprise_id=enterprise_id, team_id=team_id, is_enterprise_install=is_enterprise_install
        )
        return found.to_bot() if found else None

    async def async_delete_bot(self, *, enterprise_id: str | None = None, team_id: str | None) -> None:  # noqa: ARG002
        if team_id:
            await asyncio.to_thread(self._vault.delete, _TOKENS + team_id)
            log.info("Slack workspace %s removed the app", team_id)
            self._on_change(team_id)

    async def async_delete_installation(
        self, *, enterprise_id: str | None = None, team_id: str | None, user_id: str | None = None
    ) -> None:
        """Only bot tokens are kept, and those do not go with a person's own."""

    async def teams(self) -> list[str]:
        """Ids of all workspaces that have the app."""
        return [name.removeprefix(_TOKENS) for name in await asyncio.to_thread(self._vault.names, _TOKENS)]


class VaultStates(AsyncOAuthStateStore):
    """The words by which a browser that returns from Slack is recognised; each is good once, for `STATE_SECONDS`."""

    def __init__(self, vault: Vault, *, now: Callable[[], float] = time.time) -> None:
        self._vault = vault
        self._now = now

    @property
    def logger(self) -> logging.Logger:
        return log

    async def async_issue(self, *_args: object, **_kwargs: object) -> str:
        state = f"{int(self._now()) + STATE_SECONDS}-{secrets.token_urlsafe(24)}"
        await asyncio.to_thread(self._put, state)
        return state

    async def async_consume(self, state: str) -> bool:
        return await asyncio.to_thread(self._take, state)

    def _put(self, state: str) -> None:
        for name in self._vault.names(_STATES):
            if not self._is_good(name.removeprefix(_STATES)):
                self._vault.delete(name)
        self._vault.put(_STATES + state, "issued")

    def _take(self, state: str) -> bool:
        try:
            is_issued = self._vault.get(_STATES + state) is not None
        except SettingsError:  # it was issued before PARLEY_SECRET_KEY was changed
            is_issued = False
        self._vault.delete(_STATES + state)
        return is_issued and self._is_good(state)

    def _is_good(self, state: str) -> bool:
        until = state.partition("-")[0]
        return until.isdecimal() and int(until) >= self._now()


def oauth_flow(
    *,
    client_id: str,
    client_secret: str,
    api_url: str,
    installations: VaultInstallations,
    vault: Vault,
) -> AsyncOAuthFlow:
    """What answers `INSTALL_PATH` and `REDIRECT_PATH`."""
    return AsyncOAuthFlow(
        client=AsyncWebClient(base_url=api_url),
        settings=AsyncOAuthSettings(
            client_id=client_id,
            client_secret=client_secret,
            scopes=sorted(SCOPES),
            user_scopes=[],
            install_path=INSTALL_PATH,
            redirect_uri_path=REDIRECT_PATH,
            authorization_url=urljoin(api_url, "/oauth/v2/authorize"),
            installation_store=installations,
            installation_store_bot_only=True,
            state_store=VaultStates(vault),
            state_expiration_seconds=STATE_SECONDS,
        ),
    )
