"""The Web API of the local Slack, used through slack-sdk: streams, faults, tokens, channels, threads."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.platforms.slack import LocalSlack
from tests.platforms.slack_clients import FEEDBACK, QUIET, bolt, refused


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(seed=7) as server:
        server.delivery.ack_timeout = 0.5
        server.delivery.retry_delays = (0.0, 0.1, 0.1)
        yield server


@pytest.fixture
def client(slack: LocalSlack) -> AsyncWebClient:
    return AsyncWebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])


# Streams


async def test_a_stream_ends_with_its_text_and_its_buttons(slack: LocalSlack, client: AsyncWebClient) -> None:
    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    ts = await slack.post(general, ann, "question")
    stream = await client.chat_stream(
        channel=general.id,
        thread_ts=ts,
        recipient_user_id=ann.id,
        recipient_team_id=ann.team_id,
        buffer_size=1,
    )
    for word in ("Thirty ", "**days**", "."):
        await stream.append(markdown_text=word)
    (answer,) = slack.answers(general, ts)
    assert (answer.text, answer.streaming) == ("Thirty **days**.", True)
    conflict = client.chat_update(channel=general.id, ts=answer.ts, text="no")
    assert await refused(conflict) == "streaming_state_conflict"
    await stream.stop(blocks=[FEEDBACK], metadata={"event_type": "turn", "event_payload": {"id": 1}})
    assert (answer.text, answer.streaming) == ("Thirty **days**.", False)
    assert [button["action_id"] for button in answer.buttons] == ["vote"]
    assert answer.metadata == {"event_type": "turn", "event_payload": {"id": 1}}
    late = client.chat_appendStream(
        channel=general.id, ts=answer.ts, chunks=[{"type": "markdown_text", "text": "x"}]
    )
    assert await refused(late) == "message_not_in_streaming_state"


async def test_streams_in_channels_name_their_reader(slack: LocalSlack, client: AsyncWebClient) -> None:
    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    ts = await slack.post(general, ann, "question")
    bare = client.chat_startStream(channel=general.id, thread_ts=ts)
    assert await refused(bare) == "missing_recipient_team_id"
    half = client.chat_startStream(channel=general.id, thread_ts=ts, recipient_team_id=ann.team_id)
    assert await refused(half) == "missing_recipient_user_id"
    home = await slack.direct(ann, "question")
    await client.chat_startStream(channel=slack.direct_channel(ann).id, thread_ts=home)
    threadless = client.api_call("chat.startStream", json={"channel": slack.direct_channel(ann).id})
    assert await refused(threadless) == "invalid_arguments"


@pytest.mark.parametrize("limit", ["appends", "seconds"])
async def test_streams_expire_and_keep_their_text(
    slack: LocalSlack, client: AsyncWebClient, limit: str
) -> None:
    ann = slack.add_user("ann")
    ts = await slack.direct(ann, "question")
    where = slack.direct_channel(ann).id
    if limit == "appends":
        slack.api.stream_appends = 1
    else:
        slack.api.stream_seconds = 0.2
    stream = (await client.chat_startStream(channel=where, thread_ts=ts, markdown_text="a"))["ts"]
    await client.chat_appendStream(channel=where, ts=stream, markdown_text="b")
    await asyncio.sleep(0.25 if limit == "seconds" else 0)
    late = client.chat_appendStream(channel=where, ts=stream, markdown_text="c")
    assert await refused(late) == "message_not_in_streaming_state"
    assert await refused(client.chat_stopStream(channel=where, ts=stream)) == "message_not_in_streaming_state"
    (answer,) = slack.answers(where)
    assert (answer.text, answer.expired) == ("ab", True)
    await client.chat_update(channel=where, ts=stream, markdown_text="abc")
    assert answer.text == "abc"


async def test_what_a_stream_takes(slack: LocalSlack, client: AsyncWebClient) -> None:
    ann = slack.add_user("ann")
    ts = await slack.direct(ann, "question")
    where = slack.direct_channel(ann).id
    stream = (await client.chat_startStream(channel=where, thread_ts=ts, markdown_text="a" * 12_000))["ts"]

    def append(**what: Any) -> Awaitable[Any]:
        return client.chat_appendStream(channel=where, ts=stream, **what)

    chunk = {"type": "markdown_text", "text": "x"}
    assert await refused(append(markdown_text="b")) == "msg_too_long"
    assert await refused(append(markdown_text="b" * 12_001)) == "msg_too_long"
    assert await refused(append()) == "no_text"
    both = append(markdown_text="b", chunks=[chunk])
    assert await refused(both) == "cannot_provide_both_markdown_text_and_chunks"
    assert await refused(append(chunks=[chunk])) == "streaming_mode_mismatch"


async def test_the_stop_button(slack: LocalSlack, client: AsyncWebClient) -> None:
    stopped: list[dict[str, Any]] = []

    def prepare(app: AsyncApp) -> None:
        @app.event("agent_session_stopped")
        async def stop(event: dict[str, Any]) -> None:
            stopped.append(event)

    ann = slack.add_user("ann")
    async with bolt(slack, prepare):
        ts = await slack.direct(ann, "question")
        where = slack.direct_channel(ann)
        with pytest.raises(ValueError, match="no stop button"):
            await slack.stop_session(where, ts, ann)
        await client.agents_sessions_setStatus(channel_id=where.id, thread_ts=ts, status="processing")
        stream = (await client.chat_startStream(channel=where.id, thread_ts=ts, markdown_text="a"))["ts"]
        await slack.stop_session(where, ts, ann)
        await slack.wait_for(lambda: stopped)
    assert stopped[0]["streaming_message_ts"] == [stream]
    late = client.chat_appendStream(channel=where.id, ts=stream, markdown_text="b")
    assert await refused(late) == "stopped_by_user"
    await client.chat_stopStream(channel=where.id, ts=stream, session_status="active")


# Faults, tokens, channels


async def test_a_lost_answer_leaves_the_message(slack: LocalSlack, client: AsyncWebClient) -> None:
    general = slack.add_channel("general")
    slack.lose_answer("chat.postMessage")
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel=general.id, text="once", **QUIET)
    assert [m.text for m in slack.answers(general)] == ["once"]
    slack.lose_call("chat.postMessage")
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel=general.id, text="never", **QUIET)
    slack.http_error("chat.postMessage", 503)
    with pytest.raises(SlackApiError):
        await client.chat_postMessage(channel=general.id, text="never", **QUIET)
    assert [m.text for m in slack.answers(general)] == ["once"]


async def test_tokens_and_scopes(slack: LocalSlack, client: AsyncWebClient) -> None:
    general = slack.add_channel("general")
    me = await client.auth_test()
    assert (me["user_id"], me["bot_id"], me["team_id"]) == (
        slack.bot.id,
        slack.bot.bot_id,
        slack.workspace.id,
    )
    assert "chat:write" in me.headers["x-oauth-scopes"]
    stranger = AsyncWebClient("xoxb-wrong", base_url=slack.api_url)
    assert await refused(stranger.auth_test()) == "invalid_auth"
    slack.workspace.scopes.remove("channels:history")
    with pytest.raises(SlackApiError) as caught:
        await client.conversations_history(channel=general.id)
    assert caught.value.response["needed"] == "channels:history"
    slack.without("chat.startStream")
    assert await refused(client.chat_startStream(channel=general.id, thread_ts="1.0")) == "unknown_method"
    assert await refused(client.api_call("chat.sing")) == "unknown_method"
    slack.fail("auth.test", "internal_error")
    assert await refused(client.auth_test()) == "internal_error"
    slack.revoke()
    assert await refused(client.auth_test()) == "token_revoked"


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated")  # slack-sdk uses it with newer aiohttp
async def test_a_second_workspace_by_oauth(slack: LocalSlack) -> None:
    other = slack.add_workspace("other")
    nobody = AsyncWebClient(base_url=slack.api_url)
    code = {"client_id": "1", "client_secret": "s", "code": f"code-{other.id}"}
    installed = await nobody.oauth_v2_access(**code)
    assert (installed["access_token"], installed["team"]["id"]) == (other.token, other.id)
    assert await refused(nobody.oauth_v2_access(**code)) == "invalid_code"
    there = AsyncWebClient(installed["access_token"], base_url=slack.api_url)
    assert (await there.auth_test())["team_id"] == other.id
    general = slack.add_channel("general")
    assert await refused(there.chat_postMessage(channel=general.id, text="x")) == "channel_not_found"


async def test_channels_the_bot_is_not_in(slack: LocalSlack, client: AsyncWebClient) -> None:
    public = slack.add_channel("public", with_bot=False)
    private = slack.add_channel("private", private=True, with_bot=False)
    assert await refused(client.chat_postMessage(channel=public.id, text="x", **QUIET)) == "not_in_channel"
    assert (
        await refused(client.chat_postMessage(channel=private.id, text="x", **QUIET)) == "channel_not_found"
    )
    assert (await client.conversations_info(channel=public.id))["channel"]["is_member"] is False
    await slack.post(public, slack.add_user("ann"), f"{slack.mention} hello")
    assert slack.receipts == []


async def test_a_thread_is_read_in_pages_with_metadata(slack: LocalSlack, client: AsyncWebClient) -> None:
    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    ts = await slack.post(general, ann, "question")
    turn = {"event_type": "turn", "event_payload": {"id": "t1"}}
    for number in range(4):
        await client.chat_postMessage(
            channel=general.id, thread_ts=ts, text=f"part {number}", metadata=turn, **QUIET
        )
    read: list[dict[str, Any]] = []
    pages = await client.conversations_replies(channel=general.id, ts=ts, limit=2, include_all_metadata=True)
    async for page in pages:
        read += page["messages"]
    assert [m["text"] for m in read] == ["question", "part 0", "part 1", "part 2", "part 3"]
    assert (read[0]["reply_count"], read[1]["metadata"]) == (4, turn)
    top = (await client.conversations_history(channel=general.id))["messages"]
    assert [m["ts"] for m in top] == [ts]


async def test_a_deleted_message_leaves_its_place_while_it_has_answers(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    root = await slack.post(general, ann, "question")
    answer = await slack.post(general, ann, "answer", thread_ts=root)
    await slack.post(general, ann, "Ann has joined", subtype="channel_join")
    await slack.delete(general, root)
    joined, place = (await client.conversations_history(channel=general.id))["messages"]
    assert joined["subtype"] == "channel_join"
    assert (place["ts"], place["subtype"], place["reply_count"]) == (root, "tombstone", 1)
    assert "question" not in str(place)
    thread = (await client.conversations_replies(channel=general.id, ts=root))["messages"]
    assert [message["ts"] for message in thread] == [root, answer]
    await slack.delete(general, answer)
    assert len((await client.conversations_history(channel=general.id))["messages"]) == 1
    people = await client.users_list(limit=1)
    assert people["response_metadata"]["next_cursor"]


async def test_people_strangers_and_files(slack: LocalSlack, client: AsyncWebClient) -> None:
    ann = slack.add_user("ann", admin=True)
    bob = slack.add_user("bob", team="T0STRANGE")
    shared = slack.add_channel("shared", members=[ann, bob], shared=True)
    assert (await client.users_info(user=ann.id))["user"]["is_admin"] is True
    shown = (await client.users_info(user=bob.id))["user"]
    assert (shown["team_id"], shown["is_stranger"]) == ("T0STRANGE", True)
    assert (await client.conversations_info(channel=shared.id))["channel"]["is_ext_shared"] is True
    assert (await client.conversations_members(channel=shared.id))["members"] == [
        slack.bot.id,
        ann.id,
        bob.id,
    ]
    file = slack.add_file("notes.md", ann, b"# Notes", mimetype="text/markdown")
    await slack.post(shared, bob, "hello", files=[file])
    event = slack.receipts[0].payload
    assert (event["is_ext_shared_channel"], event["event"]["user_team"]) == (True, "T0STRANGE")
    assert event["event"]["subtype"] == "file_share"
    address = (await client.files_info(file=file.id))["file"]["url_private"]
    for token, expected in ((slack.bot_token, b"# Notes"), ("wrong", b"<html>Sign in to Slack</html>")):
        bearer = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=bearer) as session, session.get(address) as answer:
            assert await answer.read() == expected


async def test_status_prompts_and_home(slack: LocalSlack, client: AsyncWebClient) -> None:
    ann = slack.add_user("ann")
    ts = await slack.direct(ann, "question")
    where = slack.direct_channel(ann)
    await client.assistant_threads_setStatus(
        channel_id=where.id, thread_ts=ts, status="is thinking…", loading_messages=["Reading", "Writing"]
    )
    assert slack.status(where, ts) == "is thinking…"
    await client.chat_postMessage(channel=where.id, thread_ts=ts, text="answer", **QUIET)
    assert slack.status(where, ts) == ""
    prompts = [{"title": "Help", "message": "What can you do?"}]
    await client.assistant_threads_setSuggestedPrompts(channel_id=where.id, thread_ts=ts, prompts=prompts)
    assert slack.prompts == {}
    await client.assistant_threads_setSuggestedPrompts(channel_id=where.id, prompts=prompts)
    assert slack.prompts == {where.id: prompts}
    home = {"type": "home", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "Hi"}}]}
    await client.views_publish(user_id=ann.id, view=home)
    assert slack.views[0].user == ann.id
    await slack.open_home(ann)
    await slack.react(where, ts, ann, "eyes")
    await slack.edit(where, ts, "better question")
    await slack.delete(where, ts)
    kinds = [(r.payload["event"]["type"], r.payload["event"].get("subtype")) for r in slack.receipts]
    assert kinds[-4:] == [
        ("app_home_opened", None),
        ("reaction_added", None),
        ("message", "message_changed"),
        ("message", "message_deleted"),
    ]


async def test_too_many_prompts_and_loading_messages(slack: LocalSlack, client: AsyncWebClient) -> None:
    ann = slack.add_user("ann")
    ts = await slack.direct(ann, "question")
    where = slack.direct_channel(ann).id
    prompts = [{"title": "Help", "message": "What can you do?"}] * 5
    bad = client.assistant_threads_setSuggestedPrompts(channel_id=where, prompts=prompts)
    assert await refused(bad) == "invalid_arguments"
    lines = ["Reading"] * 11
    bad = client.assistant_threads_setStatus(
        channel_id=where, thread_ts=ts, status="x", loading_messages=lines
    )
    assert await refused(bad) == "invalid_arguments"
    assert len(slack.violations) == 2
    slack.violations.clear()


async def test_only_events_that_are_subscribed_to(slack: LocalSlack) -> None:
    ann = slack.add_user("ann")
    general = slack.add_channel("general", with_bot=False)
    slack.delivery.subscriptions.remove("message.im")
    await slack.direct(ann, "hello")
    await slack.join(general, slack.bot)
    await slack.send_event({"type": "tokens_revoked", "tokens": {"bot": [slack.bot.id]}})
    assert [r.payload["event"]["type"] for r in slack.receipts] == ["member_joined_channel", "tokens_revoked"]
    await slack.leave(general, slack.bot)
    await slack.post(general, ann, f"{slack.mention} hello")
    assert len(slack.receipts) == 3


async def test_edits_and_ephemeral_messages(slack: LocalSlack, client: AsyncWebClient) -> None:
    ann = slack.add_user("ann")
    general = slack.add_channel("general", members=[ann])
    posted = await client.chat_postMessage(
        channel=general.id, text="one &lt;two&gt; <https://a.b|c>", **QUIET
    )
    (message,) = slack.answers(general)
    assert message.text == "one <two> c"
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "changed"}}
    await client.chat_update(channel=general.id, ts=posted["ts"], text="plain", blocks=[block])
    assert (message.text, message.edits) == ("changed", 1)
    mine = await slack.post(general, ann, "mine")
    assert await refused(client.chat_update(channel=general.id, ts=mine, text="x")) == "cant_update_message"
    await client.chat_postEphemeral(channel=general.id, user=ann.id, text="psst")
    assert [m.text for m in slack.messages(general) if m.ephemeral_to == ann.id] == ["psst"]
    await client.reactions_add(channel=general.id, timestamp=mine, name="eyes")
    twice = client.reactions_add(channel=general.id, timestamp=mine, name="eyes")
    assert await refused(twice) == "already_reacted"
    await client.chat_delete(channel=general.id, ts=posted["ts"])
    assert slack.answers(general) == []
