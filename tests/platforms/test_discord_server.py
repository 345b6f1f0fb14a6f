"""The local Discord holds the real discord.py to Discord's rules: one example for each of them."""

import asyncio
import io
import sys
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType
from discord import app_commands

from tests.platforms import discord_cases as cases
from tests.platforms.discord import Channel, LocalDiscord, Message, User
from tests.platforms.discord_clients import Bot, Raw, raw, running

MEMBERS, CONTENT = 1 << 1, 1 << 15


@pytest.fixture
async def server() -> AsyncIterator[LocalDiscord]:
    async with LocalDiscord() as server:
        server.interactions.ack_seconds = 1.0
        yield server


@pytest.fixture
def ann(server: LocalDiscord) -> User:
    return server.add_user("ann")


@pytest.fixture
def general(server: LocalDiscord) -> Channel:
    return server.add_channel("general")


@pytest.fixture
async def bot(server: LocalDiscord, ann: User, general: Channel) -> AsyncIterator[Bot]:
    async with running(server, Bot()) as bot:
        yield bot


@pytest.fixture
async def rest(server: LocalDiscord) -> AsyncIterator[Raw]:
    async with raw(server) as rest:
        yield rest


def broken(server: LocalDiscord) -> str:
    """What rules were broken; they are forgotten, so that the test passes."""
    found = "\n".join(server.violations)
    server.violations.clear()
    return found


class TestGateway:
    async def test_a_mention_is_answered_and_the_answer_edited(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        asked = await server.post(general, ann, f"{server.mention} hello?")
        await server.wait_for(lambda: bot.seen)
        (message,) = bot.seen
        assert (str(message.id), message.content) == (asked.id, f"{server.mention} hello?")
        assert (message.author.display_name, message.mentions) == (
            "Ann",
            [message.guild and message.guild.me],
        )
        answer = await message.reply("Just a moment")
        await answer.edit(content="Hello Ann")
        (shown,) = server.answers(general)
        assert (shown.text, shown.edits, shown.reference) == ("Hello Ann", 1, asked)
        assert server.connections[0].compressor

    async def test_what_people_do_to_messages_arrives(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        first = await server.post(general, ann, "one")
        await server.edit(first, "two")
        await server.react(first, ann, "👍")
        await server.unreact(first, ann, "👍")
        await server.type(general, ann)
        await server.delete(first)
        wanted = "CREATE UPDATE REACTION_ADD REACTION_REMOVE DELETE".split()
        await server.wait_for(lambda: "MESSAGE_DELETE" in bot.happened)
        got = [n.removeprefix("MESSAGE_") for n in bot.happened if n.startswith("MESSAGE_")]
        assert got == wanted
        assert server.messages(general) == []
        assert server.messages(general, deleted=True) == [first]

    async def test_a_wrong_token_is_refused(self, server: LocalDiscord, rest: Raw) -> None:
        assert await rest.call("GET", "/users/@me", token="wrong") == (
            401,
            {"message": "401: Unauthorized", "code": 0},
        )
        async with rest.gateway(token="wrong") as socket:
            assert await closed(socket) == 4004

    async def test_privileged_intents_must_be_switched_on(self, server: LocalDiscord) -> None:
        server.state.privileged = 0
        with pytest.raises(discord.PrivilegedIntentsRequired):
            async with running(server, Bot()):
                pass

    @pytest.mark.parametrize(
        ("sent", "code"),
        [
            ({"op": 8, "d": {}}, 4003),
            ("nonsense", 4002),
            ({"op": 2, "d": {"token": "wrong"}}, 4004),
        ],
    )
    async def test_wrong_payloads_close_the_connection(self, rest: Raw, sent: Any, code: int) -> None:
        async with rest.gateway() as socket:
            await (socket.send_str(sent) if isinstance(sent, str) else socket.send_json(sent))
            assert await closed(socket) == code

    @pytest.mark.parametrize(
        ("identify", "code"),
        [({"shard": [2, 2]}, 4010), ({"intents": 1 << 30}, 4013), ({"intents": MEMBERS}, 4014)],
    )
    async def test_identify_is_checked(self, rest: Raw, identify: dict[str, Any], code: int) -> None:
        async with rest.gateway(**identify) as socket:
            assert await closed(socket) == code

    async def test_nobody_identifies_twice(self, rest: Raw) -> None:
        async with rest.gateway(intents=0) as socket:
            await socket.send_json({"op": 2, "d": {"token": rest.server.token, "intents": 0}})
            assert await closed(socket) == 4005

    async def test_without_compression_payloads_are_text(self, server: LocalDiscord, rest: Raw) -> None:
        async with rest.gateway(intents=1) as socket:
            ready, guild = await socket.receive_json(), await socket.receive_json()
        assert (ready["t"], ready["s"], guild["t"], guild["s"]) == ("READY", 1, "GUILD_CREATE", 2)
        async with rest.session.ws_connect(f"{server.gateway_url}/?v=10&compress=zlib-stream") as socket:
            assert b'"op": 10' in zlib.decompressobj().decompress(await socket.receive_bytes())

    async def test_each_shard_gets_its_servers_and_the_first_one_direct_messages(
        self, server: LocalDiscord, ann: User
    ) -> None:
        other = server.guild
        while int(other.id) >> 22 & 1 == int(server.guild.id) >> 22 & 1:
            await asyncio.sleep(0.002)
            other = server.add_guild("other")
        server.join(ann, other)
        async with running(server, Bot(shard_count=2)) as bot:
            assert len(server.connections) == 2
            for guild in (server.guild, other):
                await server.post(server.add_channel("talk", guild=guild), ann, "hello")
            await server.direct(ann, "hello")
            await server.wait_for(lambda: len(bot.seen) == 3)
            shards = {m.guild.shard_id for m in bot.seen if m.guild}
        assert shards == {0, 1}

    async def test_missed_events_come_when_the_bot_resumes(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        await server.post(general, ann, "one")
        await server.wait_for(lambda: len(bot.seen) == 1)
        server.drop_connections()
        await server.post(general, ann, "two")
        await server.wait_for(lambda: len(bot.seen) == 2)
        assert [m.content for m in bot.seen] == ["one", "two"]
        assert (len(server.gateway.identifies), len(server.gateway.resumes)) == (1, 1)
        assert bot.happened[-1] == "RESUMED"

    async def test_a_resume_may_replay_what_was_seen(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        await server.post(general, ann, "one")
        await server.wait_for(lambda: bot.seen)
        server.replay(1)
        await server.wait_for(lambda: len(bot.seen) == 2)
        assert bot.seen[0].id == bot.seen[1].id
        assert server.deliver_again("MESSAGE_CREATE") == 1
        await server.wait_for(lambda: len(bot.seen) == 3)

    async def test_the_bot_reconnects_when_asked(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        server.ask_to_reconnect()
        await server.wait_for(lambda: server.gateway.resumes)
        server.invalidate_session()
        await server.wait_for(lambda: len(server.gateway.identifies) == 2)
        await server.wait_for(lambda: bot.happened.count("GUILD_CREATE") == 2)
        await server.post(general, ann, "hello")
        await server.wait_for(lambda: bot.seen)

    async def test_a_session_that_cannot_be_resumed_is_lost_with_its_events(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        server.gateway.resumable = False
        server.drop_connections()
        await server.post(general, ann, "lost")
        await server.wait_for(lambda: len(server.gateway.identifies) == 2)
        await server.wait_for(lambda: bot.happened.count("GUILD_CREATE") == 2)
        await server.post(general, ann, "hello")
        await server.wait_for(lambda: bot.seen)
        assert [m.content for m in bot.seen] == ["hello"]

    async def test_a_deaf_gateway_is_noticed(self, server: LocalDiscord, ann: User, general: Channel) -> None:
        server.gateway.heartbeat_interval = 0.1
        async with running(server, Bot(heartbeat_timeout=0.4)) as bot:
            server.go_deaf()
            await server.post(general, ann, "hello")
            await server.wait_for(lambda: bot.seen)
        assert server.gateway.resumes

    async def test_a_bot_without_heartbeats_is_cut_off(self, server: LocalDiscord, rest: Raw) -> None:
        server.gateway.heartbeat_interval = 0.05
        async with rest.gateway(intents=0) as socket:
            assert await closed(socket) == 4009
        assert "no heartbeat" in broken(server)

    async def test_closing_cleanly_ends_the_session(self, server: LocalDiscord, bot: Bot) -> None:
        await bot.close()
        await server.wait_for(lambda: not server.gateway.sessions)

    async def test_without_the_intent_content_is_hidden(
        self, server: LocalDiscord, ann: User, general: Channel
    ) -> None:
        notes = server.add_file("notes.txt", b"secret")
        async with running(server, Bot(message_content=False)) as bot:
            await server.post(general, ann, "not for bots", files=[notes])
            await server.post(general, ann, f"{server.mention} for you", files=[notes])
            await server.direct(ann, "for you alone")
            await server.wait_for(lambda: len(bot.seen) == 3)
            await bot.seen[1].reply("yes")
            await server.reply(server.answers(general)[0], ann, "thanks")
            await server.wait_for(lambda: len(bot.seen) == 4)
        shown = [(m.content, len(m.attachments)) for m in bot.seen]
        assert shown == [("", 0), (f"{server.mention} for you", 1), ("for you alone", 0), ("thanks", 0)]

    async def test_members_are_told_with_their_intent(self, general: Channel) -> None:
        async with LocalDiscord(members=True) as server:
            server.add_user("ann", admin=True)
            async with running(server, Bot(members=True)) as bot:
                (guild,) = bot.guilds
                assert {m.name for m in guild.members} == {"owner", "parley", "ann"}
                ann = guild.get_member_named("ann")
                assert ann
                assert ann.guild_permissions.manage_guild
                assert {m.name async for m in guild.fetch_members()} == {"parley", "owner", "ann"}


async def closed(socket: ClientWebSocketResponse) -> int | None:
    """The code with which the connection is closed."""
    while (await socket.receive()).type not in {WSMsgType.CLOSE, WSMsgType.CLOSED}:
        pass
    return socket.close_code


class TestMessages:
    async def test_the_same_nonce_makes_one_message(
        self, server: LocalDiscord, bot: Bot, general: Channel
    ) -> None:
        channel = bot.channel(general.id)
        first = await channel.send("hello", nonce="turn-1")
        second = await channel.send("hello", nonce="turn-1")
        third = await channel.send("hello", nonce="turn-2")
        assert first.id == second.id != third.id
        assert len(server.answers(general)) == 2
        server.api.nonce_seconds = 0.0
        assert (await channel.send("hello", nonce="turn-1")).id != first.id

    async def test_a_nonce_is_not_for_two_channels(
        self, server: LocalDiscord, bot: Bot, general: Channel
    ) -> None:
        other = server.add_channel("other")
        await server.wait_for(lambda: bot.get_channel(int(other.id)))
        for channel in (general, other):
            await bot.channel(channel.id).send("hello", nonce="turn-1")
        assert "was used in another channel" in broken(server)

    async def test_a_lost_answer_leaves_the_message(
        self, server: LocalDiscord, bot: Bot, general: Channel
    ) -> None:
        server.lose_answer("create_message")
        with pytest.raises((aiohttp.ClientError, OSError)):
            await bot.channel(general.id).send("hello", nonce="turn-1")
        server.lose_call("create_message")
        with pytest.raises((aiohttp.ClientError, OSError)):
            await bot.channel(general.id).send("again", nonce="turn-2")
        await bot.channel(general.id).send("hello", nonce="turn-1")
        assert [m.text for m in server.answers(general)] == ["hello"]

    async def test_faults(self, server: LocalDiscord, bot: Bot, general: Channel) -> None:
        channel = bot.channel(general.id)
        server.fail("create_message", 50013)
        with pytest.raises(discord.Forbidden):
            await channel.send("hello")
        server.http_error("create_message", 503)
        with pytest.raises(discord.DiscordServerError):
            await channel.send("hello")
        server.slow("create_message", 0.2)
        started = time.monotonic()
        await channel.send("hello")
        assert time.monotonic() - started >= 0.2
        assert [(c.status, c.code) for c in server.called("create_message")] == [
            (403, 50013),
            (503, 0),
            (200, 0),
        ]

    @pytest.mark.parametrize(("body", "complaint"), cases.MESSAGES)
    async def test_a_message_over_a_limit_is_refused(
        self, server: LocalDiscord, rest: Raw, general: Channel, body: dict[str, Any], complaint: str
    ) -> None:
        assert await rest.refused("POST", f"/channels/{general.id}/messages", body) == 50035
        assert complaint in broken(server)
        assert server.messages(general) == []

    @pytest.mark.parametrize("body", cases.GOOD_MESSAGES)
    async def test_a_message_within_the_limits_is_posted(
        self, server: LocalDiscord, rest: Raw, general: Channel, body: dict[str, Any]
    ) -> None:
        status, _ = await rest.call("POST", f"/channels/{general.id}/messages", body)
        assert status == 200

    async def test_an_empty_message_is_refused(
        self, server: LocalDiscord, bot: Bot, general: Channel
    ) -> None:
        with pytest.raises(discord.HTTPException, match="empty message") as caught:
            await bot.channel(general.id).send("  ")
        assert (caught.value.code, broken(server)) == (50006, "message: empty")

    async def test_errors_say_where(self, server: LocalDiscord, bot: Bot, general: Channel) -> None:
        with pytest.raises(discord.HTTPException, match="In content: 2001 characters, 2000 allowed"):
            await bot.channel(general.id).send("x" * 2001)
        assert broken(server)

    async def test_an_edit_changes_what_it_names(
        self, server: LocalDiscord, bot: Bot, general: Channel
    ) -> None:
        sent = await bot.channel(general.id).send("hello", embed=discord.Embed(description="more"))
        (message,) = server.answers(general)
        await sent.edit(content="bye")
        assert message.text == "bye\nmore"
        await sent.edit(embed=None)
        assert message.text == "bye"
        view = discord.ui.LayoutView()
        view.add_item(discord.ui.Container(discord.ui.TextDisplay("new")))
        with pytest.raises(discord.HTTPException, match="content"):
            await sent.edit(view=view)
        assert "needs content to be emptied" in broken(server)
        await sent.edit(content=None, view=view)
        assert message.text == "new"

    async def test_only_own_messages_are_edited(
        self, server: LocalDiscord, rest: Raw, ann: User, general: Channel
    ) -> None:
        theirs = await server.post(general, ann, "hello")
        path = f"/channels/{general.id}/messages/{theirs.id}"
        assert await rest.refused("PATCH", path, {"content": "x"}) == 50005
        assert await rest.refused("DELETE", path) == 50013
        assert await rest.refused("PATCH", f"/channels/{general.id}/messages/5", {}) == 10008
        assert await rest.refused("GET", "/channels/5") == 10003

    async def test_history_comes_in_pages(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        posted = [await server.post(general, ann, str(n)) for n in range(10)]
        channel, middle = bot.channel(general.id), discord.Object(int(posted[5].id))
        assert [m.content async for m in channel.history(limit=3)] == ["9", "8", "7"]
        assert [m.content async for m in channel.history(limit=2, before=middle)] == ["4", "3"]
        assert [m.content async for m in channel.history(limit=2, after=middle)] == ["6", "7"]
        around = [m.content async for m in channel.history(limit=3, around=middle)]
        assert sorted(around) == ["4", "5", "6"]
        assert (await channel.fetch_message(int(posted[1].id))).content == "1"
        await server.delete(posted[1])
        with pytest.raises(discord.NotFound):
            await channel.fetch_message(int(posted[1].id))

    async def test_reactions_and_typing(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        await server.post(general, ann, "hello")
        await server.wait_for(lambda: bot.seen)
        await bot.seen[0].add_reaction("👀")
        assert server.messages(general)[0].reactions == {"👀": [server.bot.id]}
        await bot.seen[0].remove_reaction("👀", discord.Object(int(server.bot.id)))
        async with bot.channel(general.id).typing():
            assert server.is_typing(general)
        await bot.seen[0].reply("hi")
        assert not server.is_typing(general)
        assert server.typings(general) == 1

    async def test_files_go_both_ways(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        await server.post(general, ann, "look", files=[server.add_file("notes.md", b"# Notes")])
        await server.wait_for(lambda: bot.seen)
        (attached,) = bot.seen[0].attachments
        assert (attached.filename, attached.size, await attached.read()) == ("notes.md", 7, b"# Notes")
        await bot.channel(general.id).send(
            "here", file=discord.File(io.BytesIO(b"full answer"), "answer.txt")
        )
        (answer,) = server.answers(general)
        assert [(f.name, f.content) for f in answer.files] == [("answer.txt", b"full answer")]
        server.api.max_file = 3
        with pytest.raises(discord.HTTPException):
            await bot.channel(general.id).send("here", file=discord.File(io.BytesIO(b"full"), "a.txt"))
        assert "too large" in broken(server)

    async def test_direct_messages(self, server: LocalDiscord, bot: Bot, ann: User) -> None:
        await server.direct(ann, "hello")
        await server.wait_for(lambda: bot.seen)
        assert bot.seen[0].guild is None
        await bot.seen[0].channel.send("hello Ann")
        person = await bot.fetch_user(int(ann.id))
        assert (await person.create_dm()).id == bot.seen[0].channel.id
        assert [m.text for m in server.answers(server.direct_channel(ann))] == ["hello Ann"]
        ann.accepts_direct = False
        with pytest.raises(discord.Forbidden, match="50007"):
            await bot.seen[0].channel.send("hello?")

    @pytest.mark.parametrize(
        ("text", "allowed"),
        [
            ("@everyone look", None),
            ("@here", {"parse": ["everyone"]}),
            ("<@&{role}>", {"parse": ["roles"]}),
            ("<@{bob}>", None),
            ("<@{bob}>", {"users": ["{bob}"]}),
        ],
    )
    async def test_nobody_but_the_asker_is_notified(
        self, server: LocalDiscord, rest: Raw, ann: User, general: Channel, text: str, allowed: Any
    ) -> None:
        bob, role = server.add_user("bob"), server.add_role("team")
        asked = await server.post(general, ann, f"{server.mention} hello")
        names = {"bob": bob.id, "role": role.id}
        if allowed and "users" in allowed:
            allowed = {"users": [bob.id]}
        body: dict[str, Any] = {
            "content": text.format(**names),
            "message_reference": {"message_id": asked.id},
        }
        path = f"/channels/{general.id}/messages"
        await rest.call("POST", path, body | ({"allowed_mentions": allowed} if allowed else {}))
        assert "would notify" in broken(server)
        silent: list[dict[str, Any]] = [{"parse": []}, {"users": [ann.id], "replied_user": True}]
        for quiet in silent:
            await rest.call("POST", path, body | {"allowed_mentions": quiet})
        code = {"content": f"`{body['content']}` <@{ann.id}>", "message_reference": body["message_reference"]}
        await rest.call("POST", path, code)
        assert server.violations == []


class TestRateLimits:
    async def test_discord_py_keeps_to_the_headers(
        self, server: LocalDiscord, bot: Bot, general: Channel
    ) -> None:
        server.limit("create_message", 2, 0.3)
        for number in range(5):
            await bot.channel(general.id).send(str(number))
        times = [call.at for call in server.called("create_message")]
        assert times[2] - times[0] >= 0.29
        assert {call.status for call in server.called("create_message")} == {200}

    async def test_the_limit_of_a_channel_is_its_own(self, server: LocalDiscord, rest: Raw) -> None:
        server.limit("create_message", 1, 5)
        one, two = server.add_channel("one"), server.add_channel("two")
        for channel in (one, two):
            assert (await rest.call("POST", f"/channels/{channel.id}/messages", {"content": "x"}))[0] == 200

    async def test_calling_on_during_the_pause_is_noted(
        self, server: LocalDiscord, rest: Raw, general: Channel
    ) -> None:
        server.limit("create_message", 1, 5)
        path = f"/channels/{general.id}/messages"
        await rest.call("POST", path, {"content": "x"})
        status, answer = await rest.call("POST", path, {"content": "x"})
        assert (status, answer["global"], 4 < answer["retry_after"] <= 5.01) == (429, False, True)
        assert server.violations == []
        await asyncio.sleep(0.15)
        assert (await rest.call("POST", path, {"content": "x"}))[0] == 429
        assert "before retry_after had passed" in broken(server)

    async def test_one_limit_counts_all_calls(self, server: LocalDiscord, bot: Bot, general: Channel) -> None:
        server.limit_as_discord(faster=5)
        server.limit("*", 1, 0.2)
        await asyncio.gather(*(bot.fetch_channel(int(general.id)) for _ in range(2)))
        assert 429 in [call.status for call in server.calls]


class TestPlaces:
    async def test_a_thread_is_started_from_a_message(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        asked = await server.post(general, ann, f"{server.mention} hello")
        await server.wait_for(lambda: bot.seen)
        thread = await bot.seen[0].create_thread(name="hello")
        await thread.send("hello Ann")
        assert str(thread.id) == asked.id
        there = server.thread_of(asked)
        assert there
        assert [m.text for m in server.answers(there)] == ["hello Ann"]
        await server.post(there, ann, "and now?")
        await server.wait_for(lambda: len(bot.seen) == 2)
        assert bot.seen[1].channel == thread
        history = [(m.type.name, m.content) async for m in thread.history()]
        assert history == [("default", "and now?"), ("default", "hello Ann"), ("thread_starter_message", "")]
        with pytest.raises(discord.HTTPException, match="already been created"):
            await bot.seen[0].create_thread(name="again")

    async def test_threads_are_archived_listed_and_open_again(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        thread = await bot.channel(general.id).create_thread(
            name="plan", type=discord.ChannelType.public_thread
        )
        there = server.state.channel(str(thread.id))
        assert there
        answer = await thread.send("one")
        await server.archive(there)
        archived = [t async for t in bot.channel(general.id).archived_threads()]
        assert [t.name for t in archived] == ["plan"]
        with pytest.raises(discord.HTTPException, match="archived"):
            await answer.edit(content="two")
        await thread.send("two")
        assert not there.archived
        await server.archive(there, locked=True)
        with pytest.raises(discord.Forbidden, match="locked"):
            await thread.send("three")

    async def test_private_threads_are_for_members(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        thread = await server.start_thread(general, ann, "secret", private=True)
        await server.post(thread, ann, "psst")
        with pytest.raises(discord.Forbidden, match="Missing Access"):
            await bot.fetch_channel(int(thread.id))
        await server.post(thread, ann, f"{server.mention} psst")
        await server.wait_for(lambda: bot.seen)
        assert [m.content for m in bot.seen] == [f"{server.mention} psst"]
        assert {m.id for m in await bot.seen[0].channel.fetch_members()} == {int(ann.id), int(server.bot.id)}  # type: ignore[union-attr]

    async def test_forum_posts(self, server: LocalDiscord, bot: Bot, ann: User) -> None:
        forum = server.add_channel("help", kind="forum")
        asked = await server.forum_post(forum, ann, "How?", f"{server.mention} how?")
        await server.wait_for(lambda: bot.seen)
        (message,) = bot.seen
        assert isinstance(message.channel, discord.Thread)
        assert (message.channel.name, message.id) == ("How?", message.channel.id)
        await message.reply("So.")
        assert [m.text for m in server.answers(asked.channel)] == ["So."]
        place = bot.get_channel(int(forum.id))
        assert isinstance(place, discord.ForumChannel)
        made = await place.create_thread(name="News", content="Hello")
        assert [m.text for m in server.answers(str(made.thread.id))] == ["Hello"]

    async def test_people_roles_and_channels_can_be_read(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        guild = await bot.fetch_guild(int(server.guild.id))
        member = await guild.fetch_member(int(ann.id))
        assert (member.name, guild.name) == ("ann", "acme")
        assert [r.name for r in await guild.fetch_roles()] == ["@everyone", "parley"]
        assert [c.name for c in await guild.fetch_channels()] == ["general"]

    async def test_roles_come_and_go(self) -> None:
        async with LocalDiscord(members=True) as server:
            ann, team = server.add_user("ann"), server.add_role("team", "MANAGE_GUILD")
            async with running(server, Bot(members=True)) as bot:
                member = bot.guilds[0].get_member(int(ann.id))
                assert member
                server.give(ann, team)
                await server.wait_for(lambda: member.guild_permissions.manage_guild)
                server.take(ann, team)
                await server.wait_for(lambda: not member.guild_permissions.manage_guild)
                bob = server.add_user("bob")
                await server.wait_for(lambda: bot.guilds[0].get_member(int(bob.id)))

    async def test_permissions_are_held_to(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        channel = bot.channel(general.id)
        asked = await server.post(general, ann, "hello")
        message = await channel.fetch_message(int(asked.id))
        server.deny(general, "ADD_REACTIONS", "EMBED_LINKS")
        for work in (message.add_reaction("👀"), channel.send(embed=discord.Embed(title="x"))):
            with pytest.raises(discord.Forbidden, match="50013"):
                await work
        server.deny(general, "READ_MESSAGE_HISTORY")
        assert [m async for m in channel.history()] == []
        with pytest.raises(discord.HTTPException, match="160002"):
            await message.reply("hi")
        server.deny(general, "SEND_MESSAGES")
        with pytest.raises(discord.Forbidden, match="50013"):
            await channel.send("hi")
        await server.wait_for(lambda: not channel.permissions_for(channel.guild.me).send_messages)
        server.allow(general, "SEND_MESSAGES")
        await channel.send("hi")

    async def test_private_channels_are_for_their_members(
        self, server: LocalDiscord, bot: Bot, ann: User
    ) -> None:
        secret = server.add_channel("secret", private=True, members=[ann], with_bot=False)
        await server.post(secret, ann, f"{server.mention} hello")
        with pytest.raises(discord.Forbidden, match="50001"):
            await bot.fetch_channel(int(secret.id))
        with pytest.raises(ValueError, match="may not write"):
            await server.post(secret, server.add_user("bob"), "hello")
        assert bot.seen == []


class Reasons(discord.ui.Modal, title="What was wrong?"):
    reason: discord.ui.Label[Any] = discord.ui.Label(
        text="Reason",
        component=discord.ui.RadioGroup(
            custom_id="reason",
            options=[discord.RadioGroupOption(label=name) for name in ("wrong", "outdated")],
        ),
    )
    more: discord.ui.Label[Any] = discord.ui.Label(
        text="More",
        component=discord.ui.CheckboxGroup(
            custom_id="more",
            required=False,
            max_values=2,
            options=[discord.CheckboxGroupOption(label=name) for name in ("sources", "tone")],
        ),
    )
    comment: discord.ui.Label[Any] = discord.ui.Label(
        text="Comment",
        component=discord.ui.TextInput(custom_id="comment", required=False, max_length=20),
    )

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        reason, more, comment = self.reason.component, self.more.component, self.comment.component
        assert isinstance(reason, discord.ui.RadioGroup)
        assert isinstance(more, discord.ui.CheckboxGroup)
        assert isinstance(comment, discord.ui.TextInput)
        said = f"{reason.value} {more.values} {comment.value}"
        await interaction.response.send_message(said, ephemeral=True)


class Vote(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"vote:(?P<score>-?1)"):
    def __init__(self, score: int) -> None:
        super().__init__(discord.ui.Button(label=f"{score:+}", custom_id=f"vote:{score}"))
        self.score = score

    @classmethod
    async def from_custom_id(cls, interaction: Any, item: Any, match: Any, /) -> "Vote":
        return cls(int(match["score"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        if self.score < 0:
            await interaction.response.send_modal(Reasons())
        else:
            await interaction.response.send_message("Thank you", ephemeral=True)


@pytest.fixture
async def helper(server: LocalDiscord, ann: User, general: Channel) -> AsyncIterator[Bot]:
    """A bot with commands, which it has registered."""
    bot = Bot()
    bot.add_dynamic_items(Vote)

    @bot.tree.command(description="Ask in private")
    @app_commands.allowed_installs(guilds=True, users=True)
    async def ask(interaction: discord.Interaction[Any], question: str) -> None:
        await interaction.response.defer(ephemeral=True)
        await interaction.edit_original_response(content=f"About {question}")

    @bot.tree.command(description="Ask for all")
    async def tell(interaction: discord.Interaction[Any], who: discord.Member) -> None:
        await interaction.response.send_message(f"Hello {who.display_name}")
        more = await interaction.followup.send("and more", wait=True)
        await more.edit(content="and even more")
        await interaction.delete_original_response()

    @bot.tree.command(description="Answers too late")
    async def late(interaction: discord.Interaction[Any]) -> None:
        await asyncio.sleep(1.2)
        bot.happened.append("late")

    @bot.tree.context_menu(name="Ask about this")
    async def about(interaction: discord.Interaction[Any], message: discord.Message) -> None:
        await interaction.response.send_message(f"You mean {message.content!r}", ephemeral=True)

    group = app_commands.Group(
        name="parley",
        description="Administration",
        default_permissions=discord.Permissions(manage_guild=True),
        guild_only=True,
    )

    @group.command(description="Set it")
    @app_commands.choices(value=[app_commands.Choice(name="On", value="on")])
    async def switch(interaction: discord.Interaction[Any], value: str) -> None:
        await interaction.response.send_message(f"It is {value}")

    @group.command(description="Find it")
    async def find(interaction: discord.Interaction[Any], name: str) -> None:
        await interaction.response.send_message(name)

    @find.autocomplete("name")
    async def names(interaction: discord.Interaction[Any], current: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=f"{current}!", value=current)]

    bot.tree.add_command(group)
    async with running(server, bot):
        await bot.tree.sync()
        yield bot


async def voted(server: LocalDiscord, bot: Bot, channel: Channel) -> Message:
    """A message of the bot with buttons for votes."""
    view = discord.ui.View(timeout=None)
    view.add_item(Vote(1)).add_item(Vote(-1))
    await bot.channel(channel.id).send("What do you think?", view=view)
    return server.answers(channel)[-1]


class TestInteractions:
    async def test_a_command_is_answered_in_private(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        asked = await server.slash("ask", {"question": "trains"}, ann, general)
        (answer,) = server.ephemeral(ann, general)
        assert (asked.response, answer.ephemeral_to) == (5, ann.id)
        await server.wait_for(lambda: answer.text == "About trains")
        assert not answer.loading
        assert (server.answers(general), server.ephemeral(server.bot)) == ([], [])

    async def test_answers_to_commands_are_followed_up_and_deleted(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        asked = await server.slash("tell", {"who": ann}, ann, general)
        await server.wait_for(lambda: server.called("delete_original"))
        assert [m.text for m in asked.messages] == ["and even more"]
        assert [m.text for m in server.answers(general)] == ["and even more"]

    async def test_people_find_only_what_is_offered(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        boss = server.add_user("boss", admin=True)
        assert [c["name"] for c in server.commands()] == ["ask", "tell", "late", "parley", "Ask about this"]
        wrong: list[tuple[str, dict[str, Any], User, Channel, str]] = [
            ("nothing", {}, ann, general, "no command"),
            ("ask", {}, ann, general, "missing"),
            ("ask", {"question": "x", "more": 1}, ann, general, "has the options"),
            ("parley switch", {"value": "on"}, ann, general, "lacks the permissions"),
            ("parley", {}, boss, general, "subcommands"),
            ("parley stop", {}, boss, general, "no subcommand"),
            ("parley switch", {"value": "off"}, boss, general, "among the choices"),
            ("parley switch", {"value": "on"}, boss, server.direct_channel(boss), "not for such places"),
        ]
        for command, options, user, channel, words in wrong:
            with pytest.raises(ValueError, match=words):
                await server.slash(command, options, user, channel)
        switched = await server.slash("parley switch", {"value": "on"}, boss, general)
        assert [m.text for m in switched.messages] == ["It is on"]
        assert await server.autocomplete("parley find", {"name": "x"}, boss, general, focused="name") == [
            "x!"
        ]

    async def test_commands_work_in_direct_messages_too(
        self, server: LocalDiscord, helper: Bot, ann: User
    ) -> None:
        asked = await server.slash("ask", {"question": "trains"}, ann, server.direct_channel(ann))
        await server.wait_for(lambda: server.ephemeral(ann)[0].text == "About trains")
        assert (asked.payload["context"], "member" in asked.payload) == (1, False)

    async def test_an_interaction_that_comes_twice_was_answered_already(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        await server.press(await voted(server, helper, general), "+1", ann)
        assert server.deliver_again("INTERACTION_CREATE") == 1
        await server.wait_for(lambda: len(server.called("interaction_callback")) == 2)
        assert [call.code for call in server.called("interaction_callback")] == [0, 40060]
        assert len(server.ephemeral(ann)) == 1

    async def test_new_components_come_after_a_pause(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        @bot.tree.command(description="Wait for it")
        async def wait(interaction: discord.Interaction[Any]) -> None:
            await interaction.response.defer()
            box: discord.ui.Container[Any] = discord.ui.Container(discord.ui.TextDisplay("# Hello"))
            box.add_item(discord.ui.ActionRow(Vote(1).item))
            await interaction.edit_original_response(view=discord.ui.LayoutView().add_item(box))

        await bot.tree.sync()
        asked = await server.slash("wait", None, ann, general)
        (answer,) = server.answers(general)
        await server.wait_for(lambda: answer.text == "# Hello")
        assert (asked.response, answer.loading, answer.edits) == (5, False, 0)
        assert [b["custom_id"] for b in answer.buttons] == ["vote:1"]

    async def test_the_menu_of_a_message(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        bob = server.add_user("bob")
        said = await server.post(general, bob, "It closes at five")
        chosen = await server.menu(said, "Ask about this", ann)
        assert [m.text for m in chosen.messages] == ["You mean 'It closes at five'"]

    async def test_an_interaction_must_be_answered_in_time(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        asked = await server.slash("late", None, ann, general)
        assert (asked.acked, asked.error) == (False, "timeout")
        assert "late: not answered in 1.0 s" in broken(server)

    async def test_without_a_connection_nothing_responds(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        await helper.close()
        await server.wait_for(lambda: not server.connections)
        server.interactions.ack_seconds = 0.1
        assert (await server.slash("late", None, ann, general)).error == "no connection"

    async def test_an_answer_comes_once_and_while_the_token_lives(
        self, server: LocalDiscord, helper: Bot, rest: Raw, ann: User, general: Channel
    ) -> None:
        asked = await server.slash("ask", {"question": "trains"}, ann, general)
        await server.wait_for(lambda: server.called("edit_original"))
        path = f"/interactions/{asked.id}/{asked.token}/callback"
        assert await rest.refused("POST", path, {"type": 5}) == 40060
        assert await rest.refused("POST", "/interactions/5/token/callback", {"type": 5}) == 10062
        server.interactions.token_seconds = 0.0
        path = f"/webhooks/{server.bot.id}/{asked.token}"
        assert await rest.refused("PATCH", f"{path}/messages/@original", {"content": "x"}) == 50027
        assert await rest.refused("POST", path, {"content": "x"}) == 50027
        assert "interaction token used after 0.0 s" in broken(server)

    async def test_messages_for_one_person_are_not_in_the_channel(
        self, server: LocalDiscord, helper: Bot, rest: Raw, ann: User, general: Channel
    ) -> None:
        bob = server.add_user("bob")
        await server.press(await voted(server, helper, general), "+1", ann)
        (thanks,) = server.ephemeral(ann)
        path = f"/channels/{general.id}/messages/{thanks.id}"
        assert await rest.refused("PATCH", path, {"content": "x"}) == 10008
        with pytest.raises(ValueError, match="does not see"):
            await server.press(thanks, "x", bob)
        assert thanks in server.messages(general)

    async def test_a_form_comes_and_is_submitted(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        message = await voted(server, helper, general)
        pressed = await server.press(message, "vote:-1", ann)
        form = server.modal(ann)
        assert form
        assert (pressed.response, form.payload["title"]) == (9, "What was wrong?")
        wrong: list[tuple[dict[str, Any], str]] = [
            ({}, "'reason' must be filled in"),
            ({"reason": "boring"}, "are not among"),
            ({"reason": "wrong", "comment": "x" * 21}, "21 characters"),
            ({"reason": "wrong", "name": "x"}, "no field"),
        ]
        for values, words in wrong:
            with pytest.raises(ValueError, match=words):
                await server.submit_modal(form, values)
        done = await server.submit_modal(form, {"reason": "outdated", "more": ["tone"], "comment": "Old"})
        assert [m.text for m in done.messages] == ["outdated ['tone'] Old"]
        assert (done.source, server.modal(ann)) == (message, None)

    async def test_buttons_change_their_message(
        self, server: LocalDiscord, bot: Bot, ann: User, general: Channel
    ) -> None:
        class Choice(discord.ui.View):
            @discord.ui.button(label="Share", emoji="📣")
            async def share(self, interaction: discord.Interaction[Any], button: Any) -> None:
                button.disabled = True
                await interaction.response.edit_message(content="shared", view=self)
                await interaction.followup.send("to all")

            @discord.ui.select(placeholder="Which?", options=[discord.SelectOption(label=n) for n in "ab"])
            async def which(self, interaction: discord.Interaction[Any], select: Any) -> None:
                await interaction.response.defer()
                await interaction.edit_original_response(content=f"chosen {select.values}")

        await bot.channel(general.id).send("hello", view=Choice(timeout=None))
        (message,) = server.answers(general)
        with pytest.raises(ValueError, match="are not among"):
            await server.press(message, "Which?", ann, values=["c"])
        chosen = await server.press(message, "Which?", ann, values=["b"])
        await server.wait_for(lambda: message.text == "chosen ['b']")
        shared = await server.press(message, "📣", ann)
        await server.wait_for(lambda: shared.messages)
        assert (chosen.response, shared.response, message.text) == (6, 7, "shared")
        assert [m.text for m in server.answers(general)] == ["shared", "to all"]
        with pytest.raises(ValueError, match="is disabled"):
            await server.press(message, "Share", ann)
        with pytest.raises(ValueError, match="nothing to press"):
            await server.press(message, "Delete", ann)

    async def test_the_app_of_a_person_works_in_a_foreign_server(
        self, server: LocalDiscord, helper: Bot, ann: User, general: Channel
    ) -> None:
        foreign = server.add_guild("foreign", with_bot=False)
        carl = server.add_user("carl", has_app=True, guild=foreign)
        square = server.add_channel("square", guild=foreign)
        asked = await server.slash("ask", {"question": "ships"}, carl, square)
        (answer,) = server.ephemeral(carl)
        await server.wait_for(lambda: answer.text == "About ships")
        assert asked.payload["authorizing_integration_owners"] == {"1": carl.id}
        assert (asked.payload["context"], int(asked.payload["app_permissions"])) == (0, 0)
        with pytest.raises(ValueError, match="installed neither"):
            await server.slash("tell", {"who": carl}, carl, square)
        with pytest.raises(discord.Forbidden):
            await helper.fetch_channel(int(square.id))

    @pytest.mark.parametrize(("body", "complaint"), cases.MODALS)
    async def test_a_form_over_a_limit_is_refused(
        self, server: LocalDiscord, rest: Raw, ann: User, general: Channel, body: Any, complaint: str
    ) -> None:
        assert complaint in await answered(server, rest, ann, general, {"type": 9, "data": body})

    @pytest.mark.parametrize(
        ("answer", "complaint"),
        [
            ({"type": 6}, "type: 6 cannot answer this interaction"),
            ({"type": 5, "data": {"flags": 1 << 15}}, "flags: 32768 cannot be set here"),
            ({"type": 4, "data": {"content": "x" * 2001}}, "content: 2001 characters"),
        ],
    )
    async def test_a_wrong_first_answer_is_refused(
        self, server: LocalDiscord, rest: Raw, ann: User, general: Channel, answer: Any, complaint: str
    ) -> None:
        assert complaint in await answered(server, rest, ann, general, answer)

    @pytest.mark.parametrize(("body", "complaint"), cases.COMMANDS)
    async def test_commands_over_a_limit_are_refused(
        self, server: LocalDiscord, rest: Raw, body: Any, complaint: str
    ) -> None:
        assert await rest.refused("PUT", f"/applications/{server.bot.id}/commands", body) == 50035
        assert complaint in broken(server)
        assert server.commands() == []


async def answered(server: LocalDiscord, rest: Raw, ann: User, channel: Channel, answer: Any) -> str:
    """What is wrong with this answer to a command."""
    await rest.call("PUT", f"/applications/{server.bot.id}/commands", [cases.command()])
    server.interactions.ack_seconds = 1.0  # after which it counts as unanswered, also on a busy machine
    async with rest.gateway(intents=0) as socket:
        assert (await socket.receive_json())["t"] == "READY"
        asking = asyncio.create_task(server.slash("ask", None, ann, channel))
        event = await socket.receive_json()
        path = f"/interactions/{event['d']['id']}/{event['d']['token']}/callback"
        assert await rest.refused("POST", path, answer) == 50035
        await asking
    return broken(server)


async def test_the_bot_may_run_in_another_process(
    server: LocalDiscord, ann: User, general: Channel, tmp_path: Path
) -> None:
    script = tmp_path / "bot.py"
    script.write_text(
        f"""
import discord, yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = {server.api_url!r}, yarl.URL({server.gateway_url!r})
client = discord.Client(intents=discord.Intents.default())

@client.event
async def on_message(message):
    if client.user in message.mentions:
        await message.reply("hello", mention_author=False)

client.run({server.token!r})
""",
        encoding="utf-8",
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-W", "ignore", str(script))
    try:
        await server.wait_for(lambda: server.gateway.identifies, timeout=30)
        await server.post(general, ann, f"{server.mention} hello")
        answers = await server.wait_for(lambda: server.answers(general))
    finally:
        process.terminate()
        await process.wait()
    assert answers[0].text == "hello"


async def test_broken_rules_fail_the_test() -> None:
    server = LocalDiscord()
    await server.__aenter__()
    server.violations.append("content: 2001 characters")
    with pytest.raises(AssertionError, match="content: 2001 characters"):
        await server.__aexit__(None, None, None)
