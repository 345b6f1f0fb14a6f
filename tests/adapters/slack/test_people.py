"""Who may see what follows from who is there; in doubt, nobody of the team is assumed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack import people as people_module
from adapters.slack.events import Place
from adapters.slack.people import People
from bot.messages import IncomingMessage, Said
from tests.platforms.slack import Channel, LocalSlack, User


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def local_slack() -> AsyncIterator[tuple[LocalSlack, People, Clock]]:
    async with LocalSlack() as slack:
        clock = Clock()
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        yield (
            slack,
            People(
                client, team_id=slack.workspace.id, bot_user_id=slack.bot.id, bot_name="Parley", now=clock
            ),
            clock,
        )


def asked(user: User, channel: Channel, **more: Any) -> IncomingMessage:
    values: dict[str, Any] = {"addressed": "mention", "thread_id": "9.0", "message_id": "9.0"} | more
    return IncomingMessage(
        platform="slack", event_id="e", conversation_id=channel.id, user_id=user.id, text="?", **values
    )


async def test_a_channel_of_the_team_sees_what_the_team_may() -> None:
    async with local_slack() as (slack, people, _):
        ann = slack.add_user("ann")
        for private in (False, True):
            channel = slack.add_channel(
                "ours", members=[ann, slack.add_user("ci", bot=True)], private=private
            )
            whole = await people.complete(asked(ann, channel))
            assert whole.principals == {"everyone", f"slack:{slack.workspace.id}", f"slack:{channel.id}"}
            assert not whole.by_admin
            assert whole.open_to == (frozenset() if private else {f"slack:{slack.workspace.id}"})


async def test_one_outsider_is_enough() -> None:
    async with local_slack() as (slack, people, _):
        ann = slack.add_user("ann", admin=True)
        guest, single = slack.add_user("gus", restricted=True), slack.add_user("sue", guest=True)
        stranger = slack.add_user("joe", team="T0OTHER", admin=True)
        for outsider in (guest, single, stranger):
            channel = slack.add_channel("mixed", members=[ann, outsider])
            assert await people.channel_principals(channel.id) == {f"slack:{channel.id}"}
        shared = slack.add_channel("shared", members=[ann], shared=True)
        assert await people.channel_principals(shared.id) == {f"slack:{shared.id}"}
        assert (await people.complete(asked(ann, shared))).by_admin
        assert (await people.complete(asked(ann, shared))).open_to == frozenset()
        # An admin elsewhere is none here.
        assert not (await people.complete(asked(stranger, shared))).by_admin


async def test_alone_with_the_bot_the_person_counts() -> None:
    async with local_slack() as (slack, people, _):
        ann, gus = slack.add_user("ann"), slack.add_user("gus", guest=True)
        mixed = slack.add_channel("mixed", members=[ann, gus])
        for person, team in ((ann, {"everyone", f"slack:{slack.workspace.id}"}), (gus, set())):
            direct = asked(person, slack.direct_channel(person), addressed="direct")
            private = asked(person, mixed, is_private=True)
            assert await people.principals(direct) == {f"slack:{person.id}"} | team
            assert await people.principals(private) == {f"slack:{person.id}"} | team


@pytest.mark.parametrize("method", ["conversations.info", "conversations.members", "users.info"])
async def test_when_slack_does_not_say_everybody_is_an_outsider(method: str) -> None:
    async with local_slack() as (slack, people, _):
        ann = slack.add_user("ann", admin=True)
        channel = slack.add_channel("ours", members=[ann])
        slack.fail(method, "internal_error", times=2)
        assert (await people.complete(asked(ann, channel))).principals == {f"slack:{channel.id}"}
        slack.fail("users.info", "internal_error", times=3)
        alone = await people.complete(asked(slack.add_user("bea"), channel, is_private=True))
        assert (len(alone.principals), alone.by_admin) == (1, False)
        # It is asked again next time.
        slack.api.faults.clear()
        assert "everyone" in (await people.complete(asked(ann, channel))).principals


async def test_answers_are_remembered_for_minutes_and_forgotten_on_a_change() -> None:
    async with local_slack() as (slack, people, clock):
        ann, gus = slack.add_user("ann"), slack.add_user("gus", guest=True)
        channel = slack.add_channel("ours", members=[ann])
        assert "everyone" in await people.channel_principals(channel.id)
        before = len(slack.calls)
        assert "everyone" in await people.channel_principals(channel.id)
        assert len(slack.calls) == before
        channel.members.append(gus.id)
        people.forget_channel(channel.id)
        assert "everyone" not in await people.channel_principals(channel.id)
        channel.members.remove(gus.id)
        clock.now += people_module.REMEMBERED + 1
        assert "everyone" in await people.channel_principals(channel.id)
        ann.is_restricted = True
        people.changed(ann.wire())
        assert "everyone" not in await people.channel_principals(channel.id)


class Directory:
    """A client of a workspace with many people; counts how it was asked."""

    def __init__(self, count: int) -> None:
        self.users = [
            {"id": f"U{n}", "team_id": "T1", "profile": {"display_name": f"user{n}"}} for n in range(count)
        ]
        self.asked: list[str] = []

    async def conversations_info(self, **_: Any) -> Any:
        return {"channel": {"id": "C1"}}

    async def conversations_members(self, *, limit: int, cursor: str | None, **_: Any) -> Any:
        start = int(cursor or 0)
        page = [user["id"] for user in self.users[start : start + limit]]
        more = str(start + limit) if start + limit < len(self.users) else ""
        return {"members": page, "response_metadata": {"next_cursor": more}}

    async def users_list(self, *, limit: int, cursor: str | None) -> Any:
        self.asked.append("users.list")
        start = int(cursor or 0)
        more = str(start + limit) if start + limit < len(self.users) else ""
        return {"members": self.users[start : start + limit], "response_metadata": {"next_cursor": more}}

    async def users_info(self, *, user: str) -> Any:
        self.asked.append(user)
        return {"user": {"id": user, "team_id": "T2"}}


async def test_a_large_channel_is_not_asked_for_one_by_one() -> None:
    directory = Directory(2500)
    people = People(directory, team_id="T1", bot_user_id="U0", bot_name="Parley")  # type: ignore[arg-type]
    assert "everyone" in await people.channel_principals("C1")
    assert directory.asked == ["users.list"] * 3
    directory.users.append({"id": "U9999", "team_id": "T2"})
    people.forget_channel("C1")
    assert "everyone" not in await people.channel_principals("C1")
    assert directory.asked[3:] == ["U9999"]


async def test_a_mention_in_the_midst_of_a_thread_brings_the_thread() -> None:
    async with local_slack() as (slack, people, _):
        ann, bob = slack.add_user("ann"), slack.add_user("bob")
        channel = slack.add_channel("ours", members=[ann, bob])
        root = await slack.post(channel, ann, "Can I bring my dog?")
        await slack.post(channel, bob, f"Ask <@{ann.id}> &amp; see", thread_ts=root)
        ts = await slack.post(channel, bob, f"{slack.mention} well?", thread_ts=root)
        await slack.post(channel, ann, "Later.", thread_ts=root)
        message = asked(bob, channel, reply_to=str(Place(root, ts)))
        whole = await people.complete(message)
        assert whole.context == (Said("ann", "Can I bring my dog?"), Said("bob", "Ask @ann & see"))
        follow_up = asked(bob, channel, reply_to=str(Place(root, ts)), addressed="thread")
        assert (await people.complete(follow_up)).context == ()
        assert (await people.complete(asked(ann, channel, reply_to=str(Place(root, root))))).context == ()
        about = str(Place(root, ts, "https://x"))
        shortcut = asked(bob, channel, message_id="", addressed="shortcut", reply_to=about)
        assert len((await people.complete(shortcut)).context) == 2
        slack.fail("conversations.replies", "thread_not_found")
        assert (await people.complete(message)).context == ()


async def test_what_the_bot_has_heard_already_is_left_out() -> None:
    async with local_slack() as (slack, people, _):
        ann = slack.add_user("ann")
        channel = slack.add_channel("ours", members=[ann])
        root = await slack.post(channel, ann, f"{slack.mention} Dogs?")
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        await client.chat_postMessage(
            channel=channel.id, thread_ts=root, text="Yes.", unfurl_links=False, unfurl_media=False
        )
        for number in range(40):
            await slack.post(channel, ann, f"word {number}", thread_ts=root)
        ts = await slack.post(channel, ann, f"{slack.mention} and cats?", thread_ts=root)
        context = (await people.complete(asked(ann, channel, reply_to=str(Place(root, ts))))).context
        assert [said.text for said in context] == [f"word {n}" for n in range(10, 40)]
