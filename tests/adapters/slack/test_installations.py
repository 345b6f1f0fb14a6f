"""Workspaces install the app by themselves, and their tokens lie encrypted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import cast
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from slack_bolt.error import BoltError
from slack_sdk.oauth.installation_store.models.installation import Installation

from adapters.slack.adapter import SlackAdapter
from adapters.slack.installations import STATE_SECONDS, VaultInstallations, VaultStates
from bot.app import App
from bot.config import ChatSettings, SlackSettings
from bot.telemetry import Telemetry
from bot.vault import Vault
from feedback.store import FeedbackStore
from tests.adapters.slack.office import NotingDesk
from tests.platforms.slack import LocalSlack


@pytest.fixture
def vault(engine: sa.Engine) -> Vault:
    return Vault(engine, SecretStr("correct horse battery staple"))


def installation(team: str | None = "T1") -> Installation:
    return Installation(
        app_id="A1", team_id=team, bot_token="xoxb-secret", bot_user_id="U0", bot_id="B0", user_id="U1"
    )


async def test_an_installation_is_kept_encrypted_until_it_is_removed(vault: Vault, engine: sa.Engine) -> None:
    changed: list[str] = []
    store = VaultInstallations(vault, on_change=changed.append)
    await store.async_save(installation())
    bot = await VaultInstallations(vault).async_find_bot(enterprise_id=None, team_id="T1")
    assert bot is not None
    assert (bot.bot_token, bot.bot_user_id) == ("xoxb-secret", "U0")
    assert await store.teams() == ["T1"]
    with engine.connect() as connection:
        names = sa.inspect(connection).get_table_names()
        rows = [connection.execute(sa.text(f"SELECT * FROM {name}")).all() for name in names]  # noqa: S608
    assert "xoxb-secret" not in str(rows)
    await store.async_delete_all(enterprise_id=None, team_id="T1")
    assert await store.async_find_bot(enterprise_id=None, team_id="T1") is None
    assert changed == ["T1", "T1"]


async def test_a_whole_organisation_is_refused(vault: Vault) -> None:
    with pytest.raises(BoltError, match="not in the whole organisation"):
        await VaultInstallations(vault).async_save(installation(team=None))


async def test_a_state_is_good_once_and_for_a_while(vault: Vault) -> None:
    moment = 1_000_000.0
    states = VaultStates(vault, now=lambda: moment)
    first, second = await states.async_issue(), await states.async_issue()
    assert first != second
    assert await states.async_consume(first)
    assert not await states.async_consume(first)
    assert not await states.async_consume("9999999999-guessed")
    moment += STATE_SECONDS + 1
    assert not await states.async_consume(second)
    forgotten = await states.async_issue()
    moment += STATE_SECONDS + 1
    latest = await states.async_issue()
    assert [name.rpartition("/")[2] for name in vault.names("slack/state/")] == [latest] != [forgotten]


@asynccontextmanager
async def serving(
    slack: LocalSlack, vault: Vault, engine: sa.Engine, port: int
) -> AsyncIterator[tuple[NotingDesk, httpx.AsyncClient]]:
    feedback = FeedbackStore(engine)
    desk = NotingDesk(engine, feedback)
    tokens = {
        "client_id": "1.2",
        "client_secret": "c",
        "signing_secret": slack.signing_secret,
        "secret_key": "k",
    }
    settings = SlackSettings(api_url=slack.api_url, mode="http", http_port=port).model_copy(
        update={name: SecretStr(value) for name, value in tokens.items()}
    )
    whole = SimpleNamespace(slack=settings, chat=ChatSettings())
    app = SimpleNamespace(settings=whole, desk=desk, feedback=feedback, vault=vault, telemetry=Telemetry())
    task = asyncio.create_task(SlackAdapter(cast("App", app)).run())
    slack.use_http(f"http://127.0.0.1:{port}/slack/events")
    try:
        await slack.wait_for(lambda: desk.joined or task.done())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as browser:
            yield desk, browser
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def install(browser: httpx.AsyncClient, team: str) -> httpx.Response:
    """What a browser does on the way through Slack's page."""
    page = await browser.get("/slack/install")
    link = next(part for part in page.text.split('"') if "/oauth/v2/authorize" in part).replace("&amp;", "&")
    asked = parse_qs(urlsplit(link).query)
    assert "chat:write" in asked["scope"][0]
    # The cookie is only for https, which the test does not have.
    cookie = page.headers["set-cookie"].partition(";")[0]
    query = {"code": f"code-{team}", "state": asked["state"][0]}
    return await browser.get("/slack/oauth_redirect", params=query, headers={"Cookie": cookie})


@pytest.mark.filterwarnings(
    "ignore:BasicAuth is deprecated:DeprecationWarning"
)  # slack_sdk's own use of aiohttp
async def test_workspaces_install_and_uninstall(
    vault: Vault, engine: sa.Engine, unused_tcp_port: int
) -> None:
    async with LocalSlack() as slack:
        other = slack.add_workspace("globex")
        zoe = slack.add_user("zoe", workspace=other)
        async with serving(slack, vault, engine, unused_tcp_port) as (desk, browser):
            await slack.direct(zoe, "Too early.")
            await slack.wait_for(lambda: slack.receipts[-1].acked)
            assert (await install(browser, other.id)).status_code == 200
            await slack.direct(zoe, "How long?")
            await slack.wait_for(lambda: desk.messages)
            (platform,) = desk.joined
            whole = await platform.complete(desk.messages[0])
            assert whole.principals == {"everyone", f"slack:{other.id}", f"slack:{zoe.id}"}
        # After a restart the token is still there.
        async with serving(slack, vault, engine, unused_tcp_port) as (desk, _):
            await slack.direct(zoe, "And then?")
            await slack.wait_for(lambda: desk.messages)
            await slack.send_event({"type": "app_uninstalled"}, team=other.id)
            await slack.wait_for(lambda: not vault.names("slack/installation/"))
            await slack.direct(zoe, "Too late.")
            await slack.wait_for(lambda: slack.receipts[-1].acked)
            assert [message.text for message in desk.messages] == ["And then?"]


async def test_a_forged_return_from_slack_installs_nothing(
    vault: Vault, engine: sa.Engine, unused_tcp_port: int
) -> None:
    async with LocalSlack() as slack, serving(slack, vault, engine, unused_tcp_port) as (_, browser):
        query = {"code": f"code-{slack.workspace.id}", "state": "9999999999-guessed"}
        told = await browser.get("/slack/oauth_redirect", params=query)
        assert told.status_code >= 400
        assert vault.names("slack/installation/") == []


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
async def test_with_another_key_a_workspace_installs_again_and_the_others_are_served(
    vault: Vault, engine: sa.Engine, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with LocalSlack() as slack:
        other = slack.add_workspace("globex")
        zoe, ann = slack.add_user("zoe", workspace=other), slack.add_user("ann")
        stores = {other.id: Vault(engine, SecretStr("the one of before")), slack.workspace.id: vault}
        for workspace in (other, slack.workspace):
            kept = Installation(
                team_id=workspace.id, bot_token=workspace.token, bot_user_id=workspace.bot.id, user_id="U1"
            )
            await VaultInstallations(stores[workspace.id]).async_save(kept)
        async with serving(slack, vault, engine, unused_tcp_port) as (desk, browser):
            for _ in range(2):
                await slack.direct(zoe, "Is anybody there?")
                await slack.wait_for(lambda: slack.receipts[-1].acked)
            await slack.direct(ann, "How long?")
            await slack.wait_for(lambda: desk.messages)
            (platform,) = desk.joined
            unread, *_ = [finding for finding in await platform.check() if not finding.ok]
            assert (await install(browser, other.id)).status_code == 200
            await slack.direct(zoe, "And now?")
            await slack.wait_for(lambda: len(desk.messages) == 2)
        assert [message.text for message in desk.messages] == ["How long?", "And now?"]
    (told,) = [record.message for record in caplog.records if "is not served" in record.message]
    assert told.startswith(
        f"Slack workspace {other.id} is not served until it installs the app again over /slack/"
    )
    assert told == unread.detail
