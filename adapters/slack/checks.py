"""What `parley doctor` says about Slack: tokens, scopes, whether events would arrive, and how fast Slack answers.

The connection that is opened for the check takes part in Slack's deliveries for its moment: an event that came over
it would not be acknowledged, and Slack sends it again to the running bot.
"""

import asyncio
import time

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.connection import refused_app_token
from adapters.slack.errors import TRANSPORT_ERRORS, SlackRefusedError, translated
from adapters.slack.manifest import EVENTS_PATH, INSTALL_PATH, SCOPES
from adapters.slack.workspaces import Workspaces, not_served
from bot.config import SlackSettings
from bot.errors import EXPLAINED, SettingsError
from bot.plugins import Finding

HELLO_SECONDS = 10.0


async def check_slack(settings: SlackSettings, workspaces: Workspaces) -> list[Finding]:
    """One finding for each thing that is needed, and for each workspace."""
    token = settings.bot_token.get_secret_value() if settings.bot_token else None
    findings: list[Finding] = []
    if token:
        findings += await _check_token(workspaces.client(token))
    else:
        try:
            findings += await _check_installations(workspaces)
        except EXPLAINED as error:
            return [Finding("slack tokens", ok=False, detail=str(error))]
    if settings.mode == "socket" and settings.app_token:
        findings.append(await _check_socket(workspaces.client(None), settings.app_token.get_secret_value()))
    elif settings.mode == "http":
        where = f"http://{settings.http_host}:{settings.http_port}{EVENTS_PATH}"
        findings.append(Finding("slack events", ok=True, detail=f"signed requests are awaited at {where}"))
    return findings


async def _check_installations(workspaces: Workspaces) -> list[Finding]:
    findings: list[Finding] = []
    for team_id in await workspaces.installations.teams():
        try:
            bot = await workspaces.installations.async_find_bot(team_id=team_id)
        except SettingsError as error:
            findings.append(Finding("slack tokens", ok=False, detail=not_served(team_id, error)))
            continue
        if bot:
            findings += await _check_token(workspaces.client(bot.bot_token))
    if not findings:
        detail = f"no workspace has installed the app yet; open {INSTALL_PATH} of its public address."
        findings.append(Finding("slack tokens", ok=False, detail=detail))
    return findings


async def _check_token(client: AsyncWebClient) -> list[Finding]:
    began = time.monotonic()
    try:
        answer = await client.auth_test()
    except TRANSPORT_ERRORS as error:
        return [Finding("slack tokens", ok=False, detail=str(translated(error, method="auth.test")))]
    took = time.monotonic() - began
    given = {scope.strip() for scope in answer.headers.get("x-oauth-scopes", "").split(",")}
    missing = sorted(SCOPES.keys() - given)
    scopes = Finding("slack scopes", ok=True, detail=f"all {len(SCOPES)}")
    if missing:
        detail = (
            f"{', '.join(missing)} missing; update the app with `parley slack manifest` and install it again."
        )
        scopes = Finding("slack scopes", ok=False, detail=detail)
    who = f"{answer.get('user')} in {answer.get('team')}, answers in {took * 1000:.0f} ms"
    return [Finding("slack tokens", ok=True, detail=who), scopes]


async def _check_socket(client: AsyncWebClient, app_token: str) -> Finding:
    """Open a connection as the running bot does, and wait for Slack to say hello."""
    began = time.monotonic()
    try:
        opened = await client.apps_connections_open(app_token=app_token)
    except TRANSPORT_ERRORS as error:
        trouble = translated(error, method="apps.connections.open")
        detail = refused_app_token(trouble.code) if isinstance(trouble, SlackRefusedError) else str(trouble)
        return Finding("slack events", ok=False, detail=detail)
    try:
        async with (
            asyncio.timeout(HELLO_SECONDS),
            aiohttp.ClientSession(trust_env=True) as session,
            session.ws_connect(str(opened["url"])) as link,
        ):
            is_greeted = (await link.receive_json()).get("type") == "hello"
    except (aiohttp.ClientError, TimeoutError, OSError, TypeError, ValueError):
        is_greeted = False
    if not is_greeted:
        detail = "Slack does not say hello; check that the network lets WebSockets to Slack through."
        return Finding("slack events", ok=False, detail=detail)
    return Finding("slack events", ok=True, detail=f"connected in {(time.monotonic() - began) * 1000:.0f} ms")
