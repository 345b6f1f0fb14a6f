"""What Slack refuses, and what the local Slack counts as a violation: one example of each rule."""

import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from tests.platforms.slack import LocalSlack
from tests.platforms.slack_blocks import message_blocks, view
from tests.platforms.slack_clients import FEEDBACK, QUIET, refused


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(seed=7) as server:
        server.delivery.ack_timeout = 0.5
        server.delivery.retry_delays = (0.0, 0.1, 0.1)
        yield server


@pytest.fixture
def client(slack: LocalSlack) -> AsyncWebClient:
    return AsyncWebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])


# What Slack refuses


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def button(**fields: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": "a", "text": plain("b")} | fields


def feedback(**fields: Any) -> dict[str, Any]:
    element = FEEDBACK["elements"][0] | fields
    return FEEDBACK | {"elements": [element]}


OPTION = {"text": plain("o"), "value": "v"}
BAD_BLOCKS = {
    "51 blocks": [{"type": "divider"}] * 51,
    "unknown block": [{"type": "sections"}],
    "unknown field": [section("x") | {"colour": "red"}],
    "no text": [{"type": "section"}],
    "empty text": [section("")],
    "long section": [section("x" * 3001)],
    "long field": [{"type": "section", "fields": [plain("x" * 2001)]}],
    "11 fields": [{"type": "section", "fields": [plain("x")] * 11}],
    "unknown text object": [{"type": "section", "text": {"type": "markdown", "text": "x"}}],
    "long header": [{"type": "header", "text": plain("x" * 151)}],
    "mrkdwn header": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
    "11 context elements": [{"type": "context", "elements": [plain("x")] * 11}],
    "26 buttons": [actions(*(button(action_id=str(i)) for i in range(26)))],
    "twice the same action_id": [actions(button(), button())],
    "long label": [actions(button(text=plain("x" * 76)))],
    "mrkdwn label": [actions(button(text={"type": "mrkdwn", "text": "x"}))],
    "long value": [actions(button(value="x" * 2001))],
    "long action_id": [actions(button(action_id="x" * 256))],
    "long address": [actions(button(url="https://" + "x" * 3000))],
    "unknown style": [actions(button(style="pink"))],
    "11 radio buttons": [actions({"type": "radio_buttons", "options": [OPTION] * 11})],
    "101 options": [actions({"type": "static_select", "options": [OPTION] * 101})],
    "long option": [actions({"type": "static_select", "options": [OPTION | {"value": "x" * 151}]})],
    "long block_id": [{"type": "divider", "block_id": "x" * 256}],
    "twice the same block_id": [{"type": "divider", "block_id": "x"}] * 2,
    "feedback in actions": [actions(*FEEDBACK["elements"])],
    "long feedback label": [feedback(positive_button={"text": plain("x" * 76), "value": "v"})],
    "long feedback value": [feedback(negative_button={"text": plain("x"), "value": "x" * 2001})],
    "half a feedback": [feedback(negative_button=None)],
    "unknown icon": [FEEDBACK | {"elements": [{"type": "icon_button", "icon": "cat", "text": plain("x")}]}],
    "long markdown": [{"type": "markdown", "text": "x" * 12_001}],
    "long markdown together": [{"type": "markdown", "text": "x" * 6_001}] * 2,
    "input in a message": [{"type": "input", "label": plain("x"), "element": {"type": "plain_text_input"}}],
    "task without title": [{"type": "task_card", "task_id": "1", "status": "complete"}],
    "task of unknown status": [{"type": "task_card", "task_id": "1", "title": "t", "status": "done"}],
    "plan of blocks": [{"type": "plan", "title": "p", "tasks": [{"type": "divider"}]}],
    "table of 101 rows": [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]] * 101}],
}


@pytest.mark.parametrize("name", BAD_BLOCKS)
async def test_bad_blocks(slack: LocalSlack, client: AsyncWebClient, name: str) -> None:
    general = slack.add_channel("general")
    bad = client.chat_postMessage(channel=general.id, text="x", blocks=BAD_BLOCKS[name], **QUIET)
    assert await refused(bad) == "invalid_blocks"
    assert slack.violations
    assert slack.answers(general) == []
    slack.violations.clear()


def modal(**fields: Any) -> dict[str, Any]:
    return {"type": "modal", "title": plain("t"), "blocks": [{"type": "divider"}]} | fields


@pytest.mark.parametrize(
    ("name", "bad"),
    {
        "long title": modal(title=plain("x" * 25)),
        "long submit": modal(submit=plain("x" * 25)),
        "long metadata": modal(private_metadata="x" * 3001),
        "long callback_id": modal(callback_id="x" * 256),
        "101 blocks": modal(blocks=[{"type": "divider"}] * 101),
        "markdown": modal(blocks=[{"type": "markdown", "text": "x"}]),
        "feedback": modal(blocks=[FEEDBACK]),
        "no submit": modal(
            blocks=[{"type": "input", "label": plain("x"), "element": {"type": "plain_text_input"}}]
        ),
        "alert in a home": {"type": "home", "blocks": [{"type": "alert", "text": plain("x")}]},
        "unknown kind": modal(type="popup"),
    }.items(),
)
def test_bad_views(name: str, bad: dict[str, Any]) -> None:
    assert list(view(bad)), name


def test_good_blocks_and_views() -> None:
    good = [
        section("x" * 3000),
        {"type": "header", "text": plain("x" * 150)},
        {"type": "markdown", "text": "x" * 12_000},
        FEEDBACK,
        actions(button(style="primary", value="v", url="https://example.com")),
        {"type": "context", "elements": [plain("x"), {"type": "mrkdwn", "text": "y"}]},
        {"type": "task_card", "task_id": "1", "title": "t", "status": "complete"},
    ]
    assert list(message_blocks(good)) == []
    field = {"type": "input", "label": plain("x"), "element": {"type": "plain_text_input", "multiline": True}}
    assert list(view(modal(blocks=[field], submit=plain("Send")))) == []


async def test_lengths_of_messages(slack: LocalSlack, client: AsyncWebClient) -> None:
    where = slack.add_channel("general").id
    posted = (await client.chat_postMessage(channel=where, text="x", **QUIET))["ts"]

    def post(**what: Any) -> Awaitable[Any]:
        return client.api_call("chat.postMessage", json={"channel": where, **QUIET, **what})

    assert await refused(post(text="x" * 40_001)) == "msg_too_long"
    assert await refused(post(markdown_text="x" * 12_001)) == "msg_too_long"
    assert await refused(post(text="x", markdown_text="y")) == "markdown_text_conflict"
    assert await refused(post(text=" ")) == "no_text"
    assert await refused(post(text="x", blocks=[section("x" * 2700)] * 5)) == "msg_blocks_too_long"
    assert await refused(post(text="x", blocks="[{")) == "invalid_blocks_format"
    assert await refused(client.chat_update(channel=where, ts=posted, text="x" * 4001)) == "msg_too_long"
    unknown = client.chat_postMessage(channel=where, text="x", thread_ts="1.000000", **QUIET)
    assert await refused(unknown) == "cannot_reply_to_message"
    assert slack.violations == []


@pytest.mark.parametrize(
    "what",
    [
        {"text": "<!channel> hello"},
        {"text": "<!here|here>"},
        {"text": "<!subteam^S123>"},
        {"text": "@everyone", "parse": "full"},
        {"text": "hello <@U0BYSTANDER>"},
        {"markdown_text": "hello <!everyone>"},
        {"text": "x", "blocks": [section("<!here>")]},
        {"text": "x", "blocks": [{"type": "markdown", "text": "<@U0BYSTANDER>"}]},
    ],
)
async def test_words_that_notify(slack: LocalSlack, client: AsyncWebClient, what: dict[str, Any]) -> None:
    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    ts = await slack.post(general, ann, "question")
    await client.api_call("chat.postMessage", json={"channel": general.id, "thread_ts": ts, **QUIET, **what})
    assert [v for v in slack.violations if "would notify" in v]
    slack.violations.clear()


async def test_words_that_do_not_notify(slack: LocalSlack, client: AsyncWebClient) -> None:
    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    ts = await slack.post(general, ann, "question")
    text = f"<@{ann.id}> write to a@here.com, @channel, &lt;!channel&gt; or `@everyone`"
    await client.chat_postMessage(channel=general.id, thread_ts=ts, text=text, **QUIET)
    assert slack.violations == []
    assert slack.answers(general)[0].text.startswith("@ann write")


async def test_a_split_mention_in_a_stream_is_found(slack: LocalSlack, client: AsyncWebClient) -> None:
    ann = slack.add_user("ann")
    ts = await slack.direct(ann, "question")
    where = slack.direct_channel(ann).id
    stream = (await client.chat_startStream(channel=where, thread_ts=ts, markdown_text="<!chan"))["ts"]
    await client.chat_appendStream(channel=where, ts=stream, markdown_text="nel>")
    assert [v for v in slack.violations if "<!channel>" in v]
    slack.violations.clear()


async def test_links_must_not_unfurl(slack: LocalSlack, client: AsyncWebClient) -> None:
    general = slack.add_channel("general")
    await client.chat_postMessage(channel=general.id, text="https://example.com", unfurl_links=False)
    assert slack.violations == ["chat.postMessage: unfurl_media is not false"]
    slack.violations.clear()


async def test_violations_fail_the_test() -> None:
    async def careless() -> None:
        async with LocalSlack() as slack:
            client = AsyncWebClient(slack.bot_token, base_url=slack.api_url)
            await client.chat_postMessage(channel=slack.add_channel("general").id, text="x")

    with pytest.raises(AssertionError, match="unfurl_links"):
        await careless()


async def test_forms_and_addresses_carry_arguments_too(slack: LocalSlack) -> None:
    general = slack.add_channel("general")
    fields = {
        "token": slack.bot_token,
        "channel": general.id,
        "text": "x",
        "blocks": json.dumps([section("y")]),
    }
    fields |= {"unfurl_links": "false", "unfurl_media": "0"}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{slack.api_url}chat.postMessage", data=fields) as answer:
            assert (await answer.json())["ok"] is True
        async with session.get(f"{slack.api_url}auth.test", params={"token": slack.bot_token}) as answer:
            assert (await answer.json())["user_id"] == slack.bot.id
        async with session.post(f"{slack.api_url}auth.test") as answer:
            assert (await answer.json())["error"] == "not_authed"
    assert slack.answers(general)[0].text == "y"
    assert "token" not in slack.called("chat.postMessage")[0].arguments
