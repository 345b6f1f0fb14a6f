"""What Slack refuses becomes a sentence that names the fix."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.api import SlackApi, WorkspacePace
from adapters.slack.errors import SlackBusyError, SlackLostError, SlackRefusedError, response_code
from bot.errors import PlatformUnavailableError
from tests.platforms.slack import LocalSlack


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack() as made:
        yield made


def api_of(slack: LocalSlack) -> SlackApi:
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, timeout=1)
    return SlackApi(client, WorkspacePace(), bot_name="Ada")


async def said(slack: LocalSlack, channel: str = "C1", *, tries: int = 1) -> None:
    post = {"channel": channel, "text": "Hello", "unfurl_links": False, "unfurl_media": False}
    await api_of(slack).call("chat.postMessage", post, tries=tries)


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("not_in_channel", "/invite @Ada"),
        ("channel_not_found", "/invite @Ada"),
        ("is_archived", "ask in another one"),
        ("token_revoked", "PARLEY_SLACK_BOT_TOKEN"),
        ("invalid_auth", "install the app again"),
        ("restricted_action", "ask its admins"),
        ("something_new", r"chat.postMessage \(something_new\)"),
    ],
)
async def test_a_refusal_names_its_fix(slack: LocalSlack, code: str, fix: str) -> None:
    slack.fail("chat.postMessage", code)
    with pytest.raises(SlackRefusedError, match=fix) as refused:
        await said(slack)
    assert refused.value.code == code
    assert not isinstance(refused.value, PlatformUnavailableError)


async def test_a_missing_scope_is_named(slack: LocalSlack) -> None:
    slack.workspace.scopes.discard("chat:write")
    with pytest.raises(SlackRefusedError, match="lacks chat:write; add it under OAuth & Permissions"):
        await said(slack)


async def test_too_many_requests_may_come_later(slack: LocalSlack) -> None:
    slack.limit("chat.postMessage", 1, 30.0)
    channel = slack.add_channel("general").id
    await said(slack, channel)
    with pytest.raises(SlackBusyError) as busy:
        await said(slack, channel)
    assert 28 <= busy.value.seconds <= 30


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_after_a_fault_of_slack_it_may_have_been_done(slack: LocalSlack, status: int) -> None:
    slack.http_error("chat.postMessage", status)
    with pytest.raises(SlackLostError, match="problem of its own"):
        await said(slack)


async def test_after_a_broken_connection_it_may_have_been_done(slack: LocalSlack) -> None:
    slack.lose_answer("chat.postMessage")
    with pytest.raises(SlackLostError, match="connection to Slack broke"):
        await said(slack, slack.add_channel("general").id, tries=4)
    assert len(slack.called("chat.postMessage")) == 1


async def test_after_a_long_silence_it_may_have_been_done(slack: LocalSlack) -> None:
    slack.slow("chat.postMessage", 1.3)
    with pytest.raises(SlackLostError):
        await said(slack)


async def test_what_does_no_harm_twice_is_tried_again(slack: LocalSlack) -> None:
    slack.lose_answer("conversations.history")
    slack.http_error("conversations.history", 503)
    channel = slack.add_channel("general").id
    assert (await api_of(slack).call("conversations.history", {"channel": channel}))["messages"] == []


async def test_what_was_never_sent_is_known_not_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    client = AsyncWebClient(token="xoxb-1", base_url="http://127.0.0.1:9/api/")
    with pytest.raises(PlatformUnavailableError, match="cannot be reached") as error:
        await SlackApi(client, WorkspacePace(), bot_name="Ada").call(
            "chat.postMessage", {"channel": "C1"}, tries=1
        )
    assert not isinstance(error.value, SlackLostError)
    assert isinstance(error.value.__cause__, aiohttp.ClientConnectorError)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"ok": false, "error": "invalid_blocks"}', "invalid_blocks"),
        ("used_url", "used_url"),
        ("", "no reason given"),
    ],
)
def test_a_response_address_says_why_in_two_ways(body: str, code: str) -> None:
    assert response_code(body) == code
