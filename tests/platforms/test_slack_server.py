"""Events, interactions and commands reach a real Bolt app, over Socket Mode and over signed HTTP."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from tests.platforms.slack import LocalSlack
from tests.platforms.slack_clients import FEEDBACK, QUIET, bolt, bolt_on_http, raw_socket, refused


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(seed=7) as server:
        server.delivery.ack_timeout = 0.5
        server.delivery.retry_delays = (0.0, 0.1, 0.1)
        yield server


@pytest.fixture
def client(slack: LocalSlack) -> AsyncWebClient:
    return AsyncWebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])


async def test_a_mention_arrives_as_two_events_and_is_answered(slack: LocalSlack) -> None:
    seen: list[dict[str, Any]] = []

    def prepare(app: AsyncApp) -> None:
        @app.event("app_mention")
        async def mention(body: dict[str, Any], say: Any) -> None:
            seen.append(body)
            event = body["event"]
            await say(f"Hello <@{event['user']}>", thread_ts=event["ts"], **QUIET)

        @app.event("message")
        async def message(body: dict[str, Any]) -> None:
            seen.append(body)

    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    async with bolt(slack, prepare):
        ts = await slack.post(general, ann, f"{slack.mention} hello?")
        answers = await slack.wait_for(lambda: slack.answers(general, ts))
        await slack.wait_for(lambda: len(seen) == 2 and all(r.acked for r in slack.receipts))
    assert answers[0].text == "Hello @ann"
    assert {body["event"]["type"] for body in seen} == {"message", "app_mention"}
    assert {body["event"]["ts"] for body in seen} == {ts}
    assert len({body["event_id"] for body in seen}) == 2
    own = slack.receipts[-1].payload["event"]
    assert (own["ts"], own["bot_id"]) == (answers[0].ts, slack.bot.bot_id)


async def test_direct_messages_are_not_mentions(slack: LocalSlack) -> None:
    ann = slack.add_user("ann")
    async with bolt(slack, lambda app: None):
        await slack.direct(ann, f"{slack.mention} hello")
        await slack.wait_for(lambda: all(r.attempts for r in slack.receipts))
    assert [r.payload["event"]["channel_type"] for r in slack.receipts] == ["im"]


async def test_an_event_without_acknowledgement_comes_again(slack: LocalSlack) -> None:
    ann = slack.add_user("ann")
    async with raw_socket(slack) as socket:
        await slack.direct(ann, "hello")
        first, second = await socket.receive_json(), await socket.receive_json()
        await socket.send_json({"envelope_id": second["envelope_id"]})
        await slack.wait_for(lambda: slack.receipts[0].acked)
    assert first["payload"]["event_id"] == second["payload"]["event_id"]
    assert first["envelope_id"] != second["envelope_id"]
    assert (first["retry_attempt"], second["retry_attempt"], second["retry_reason"]) == (0, 1, "timeout")
    assert [v for v in slack.violations if "not acknowledged" in v]
    slack.violations.clear()


async def test_an_event_in_flight_moves_to_the_next_connection(slack: LocalSlack) -> None:
    ann = slack.add_user("ann")
    async with raw_socket(slack) as socket:
        await slack.direct(ann, "hello")
        lost = await socket.receive_json()
    async with raw_socket(slack) as socket:
        again = await socket.receive_json()
        await socket.send_json({"envelope_id": again["envelope_id"]})
        await slack.wait_for(lambda: slack.receipts[0].acked)
    assert again["payload"] == lost["payload"]
    assert again["retry_reason"] == "closed"


async def test_events_wait_for_a_connection_and_interactions_do_not(slack: LocalSlack) -> None:
    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    await slack.post(general, ann, "hello")
    receipt = await slack.slash("/parley", "help", ann, general)
    assert (receipt.acked, receipt.error) == (False, "no connection")
    async with bolt(slack, lambda app: None):
        await slack.wait_for(lambda: slack.receipts[0].attempts)


async def test_the_given_share_of_events_is_delivered_twice() -> None:
    async with LocalSlack(seed=3, duplicates=0.3) as slack:
        slack.delivery.duplicate_delay = 0.01
        ids: list[str] = []

        def prepare(app: AsyncApp) -> None:
            @app.event("message")
            async def message(body: dict[str, Any]) -> None:
                ids.append(body["event_id"])

        ann = slack.add_user("ann")
        async with bolt(slack, prepare):
            for number in range(100):
                await slack.direct(ann, f"message {number}")
            await slack.wait_for(lambda: len(set(ids)) == 100)
            await asyncio.sleep(0.1)
        assert 115 < len(ids) < 145


@pytest.mark.parametrize("how", ["refresh", "warning", "drop", "deaf"])
async def test_bolt_comes_back_after_losing_its_connection(slack: LocalSlack, how: str) -> None:
    got = asyncio.Event()

    def prepare(app: AsyncApp) -> None:
        @app.event("message")
        async def message(body: dict[str, Any]) -> None:
            got.set()

    ann = slack.add_user("ann")
    async with bolt(slack, prepare):
        before = slack.connections[0]
        match how:
            case "refresh":
                await slack.disconnect("refresh_requested")
            case "warning":
                await slack.disconnect("warning", grace=0.05)
            case "drop":
                slack.drop_connections()
            case _:
                slack.go_deaf(answer_pings=False)
        await slack.direct(ann, "still there?")
        await asyncio.wait_for(got.wait(), 10)
        assert before not in slack.connections or how == "deaf"


async def test_an_eleventh_connection_is_turned_away(slack: LocalSlack) -> None:
    slack.delivery.max_connections = 1
    async with raw_socket(slack):
        opened = await AsyncWebClient(base_url=slack.api_url).apps_connections_open(app_token=slack.app_token)
        async with aiohttp.ClientSession() as session, session.ws_connect(opened["url"]) as socket:
            assert (await socket.receive_json())["reason"] == "too_many_websockets"


async def test_retry_after_is_given_and_obeyed(slack: LocalSlack) -> None:
    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    slack.limit("chat.postMessage", 1, 1.0)
    patient = AsyncWebClient(slack.bot_token, base_url=slack.api_url)
    patient.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=2))
    started = time.monotonic()
    await patient.chat_postMessage(channel=general.id, text="one", **QUIET)
    await patient.chat_postMessage(channel=general.id, text="two", **QUIET)
    assert time.monotonic() - started >= 1.0
    assert [call.error for call in slack.called("chat.postMessage")] == ["", "ratelimited", ""]


async def test_slacks_own_limits(slack: LocalSlack, client: AsyncWebClient) -> None:
    general = slack.add_channel("general")
    slack.limit_as_slack(faster=60)
    await client.chat_postMessage(channel=general.id, text="one", **QUIET)
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel=general.id, text="two", **QUIET)
    assert (caught.value.response.status_code, caught.value.response.headers["Retry-After"]) == (429, "1")


# Signed HTTP


async def test_signed_requests_pass_bolts_check(slack: LocalSlack, client: AsyncWebClient) -> None:
    app = AsyncApp(client=client, signing_secret=slack.signing_secret)
    seen: list[str] = []

    @app.event("message")
    async def message(event: dict[str, Any]) -> None:
        seen.append(event["text"])

    @app.command("/parley")
    async def command(ack: Any, body: dict[str, Any]) -> None:
        seen.append(body["text"])
        await ack()

    @app.action("vote")
    async def vote(ack: Any, action: dict[str, Any]) -> None:
        seen.append(action["value"])
        await ack()

    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    async with bolt_on_http(slack, app):
        assert await slack.verify_url()
        await slack.direct(ann, "by event")
        assert (await slack.slash("/parley", "by command", ann, general)).acked
        slack.delivery.subscriptions.clear()
        await client.chat_postMessage(channel=general.id, text="answer", blocks=[FEEDBACK], **QUIET)
        assert (await slack.press(slack.answers(general)[0], "up", ann)).acked
        await slack.wait_for(lambda: len(seen) == 3)
        headers = slack.delivery.signed("{}", secret="another")
        url = str(slack.delivery.http_url)
        async with (
            aiohttp.ClientSession(headers=headers) as web_client,
            web_client.post(url, data="{}") as answer,
        ):
            assert answer.status == 401
    assert set(seen) == {"by event", "by command", "up"}


async def test_http_retries_are_numbered(slack: LocalSlack) -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append((request.headers.get("X-Slack-Retry-Num"), request.headers.get("X-Slack-Retry-Reason")))
        return web.Response(status=500 if len(seen) < 3 else 200)

    server = web.Application()
    server.router.add_post("/", handle)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.use_http(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    await slack.direct(slack.add_user("ann"), "hello")
    await slack.wait_for(lambda: slack.receipts[0].acked)
    await runner.cleanup()
    assert seen == [(None, None), ("1", "http_error"), ("2", "http_error")]


BOT = """
import asyncio, sys
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

api_url, token, app_token, patience = sys.argv[1:]
client = AsyncWebClient(token, base_url=api_url)
app = AsyncApp(client=client, signing_secret="s", process_before_response=True)

@app.event("message")
async def message(event, say):
    await client.assistant_threads_setStatus(channel_id=event["channel"], thread_ts=event["ts"], status="busy")
    await asyncio.sleep(float(patience))
    await say("Done", thread_ts=event["ts"], unfurl_links=False, unfurl_media=False)

async def main():
    await AsyncSocketModeHandler(app, app_token).start_async()

asyncio.run(main())
"""


async def test_a_bot_in_another_process_that_is_killed_and_started_again(slack: LocalSlack) -> None:
    slack.delivery.ack_timeout = 30.0
    ann = slack.add_user("ann")

    @asynccontextmanager
    async def bot(patience: str) -> AsyncIterator[None]:
        arguments = (slack.api_url, slack.bot_token, slack.app_token, patience)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", BOT, *arguments)
        try:
            yield
        finally:
            process.kill()
            await process.wait()

    async with bot(patience="60"):
        ts = await slack.direct(ann, "question")
        await slack.wait_for(lambda: slack.statuses, 30)
    async with bot(patience="0"):
        (answer,) = await slack.wait_for(lambda: slack.answers(slack.direct_channel(ann)), 30)
        await slack.wait_for(lambda: slack.receipts[0].acked)
    assert (answer.text, answer.thread_ts) == ("Done", ts)
    assert slack.receipts[0].attempts == 2


# Votes, forms, commands


async def test_a_vote_and_a_form(slack: LocalSlack, client: AsyncWebClient) -> None:
    votes: list[tuple[str, str]] = []
    reasons: list[str] = []
    option = {"text": {"type": "plain_text", "text": "It is wrong"}, "value": "wrong"}
    field = {
        "type": "input",
        "label": {"type": "plain_text", "text": "Why?"},
        "element": {"type": "radio_buttons", "action_id": "why", "options": [option]},
    }
    form = {
        "type": "modal",
        "callback_id": "reasons",
        "title": {"type": "plain_text", "text": "What was wrong?"},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [field],
    }

    def prepare(app: AsyncApp) -> None:
        @app.action("vote")
        async def vote(
            ack: Any, body: dict[str, Any], action: dict[str, Any], client: AsyncWebClient
        ) -> None:
            await ack()
            votes.append((body["user"]["id"], action["value"]))
            await client.views_open(trigger_id=body["trigger_id"], view=form)

        @app.view("reasons")
        async def submitted(ack: Any, view: dict[str, Any]) -> None:
            (values,) = view["state"]["values"].values()
            reasons.append(values["why"]["selected_option"]["value"])
            await ack()

    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    async with bolt(slack, prepare):
        posted = await client.chat_postMessage(channel=general.id, text="answer", blocks=[FEEDBACK], **QUIET)
        (answer,) = slack.answers(general)
        assert answer.ts == posted["ts"]
        receipt = await slack.press(answer, "negative", ann)
        assert (receipt.acked, votes) == (True, [(ann.id, "down")])
        opened = await slack.wait_for(lambda: slack.modal(ann))
        with pytest.raises(ValueError, match="must be filled in"):
            await slack.submit_view(opened)
        await slack.submit_view(opened, {"why": "wrong"})
    assert (reasons, opened.open, slack.modal(ann)) == (["wrong"], False, None)


async def test_trigger_ids_are_good_once_and_for_three_seconds(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    modal = {"type": "modal", "title": {"type": "plain_text", "text": "t"}, "blocks": [{"type": "divider"}]}
    ann = slack.add_user("ann")
    trigger = slack.api.trigger(ann.id)
    await client.views_open(trigger_id=trigger, view=modal)
    assert await refused(client.views_open(trigger_id=trigger, view=modal)) == "exchanged_trigger_id"
    assert await refused(client.views_open(trigger_id="1.2.3", view=modal)) == "invalid_trigger_id"
    slack.api.trigger_seconds = 0.0
    late = client.views_open(trigger_id=slack.api.trigger(ann.id), view=modal)
    assert await refused(late) == "expired_trigger_id"


async def test_slash_commands_shortcuts_and_response_addresses(slack: LocalSlack) -> None:
    addresses: list[str] = []

    def prepare(app: AsyncApp) -> None:
        @app.command("/parley")
        async def command(ack: Any, respond: Any, body: dict[str, Any]) -> None:
            addresses.append(body["response_url"])
            await ack(f"You said {body['text']}")
            await respond("And more", response_type="in_channel")

        @app.shortcut("correct")
        async def correct(ack: Any, respond: Any, message: dict[str, Any]) -> None:
            await ack()
            await respond(text="Replaced", replace_original=True)

    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    async with bolt(slack, prepare):
        await slack.slash("/parley", "help", ann, general)
        await slack.wait_for(lambda: slack.answers(general))
        private, public = sorted(slack.messages(general), key=lambda m: m.ephemeral_to is None)
        assert (private.text, private.ephemeral_to) == ("You said help", ann.id)
        assert (public.text, public.ephemeral_to) == ("And more", None)
        await slack.shortcut(public, "correct", ann)
        await slack.wait_for(lambda: public.text == "Replaced")
    async with aiohttp.ClientSession() as session:
        statuses = []
        for _ in range(5):
            async with session.post(addresses[0], json={"text": "again"}) as answer:
                statuses.append((answer.status, await answer.text()))
    assert statuses == [(200, "ok")] * 4 + [(404, "used_url")]
