"""Sessions with the local Discord: identifying, events, resuming, intents and shards, and how connections close."""

import asyncio
import sys
import zlib
from pathlib import Path
from typing import Any

import discord
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from tests.platforms.discord import Channel, LocalDiscord, User
from tests.platforms.discord_clients import Bot, Raw, running
from tests.platforms.discord_violations import broken

MEMBERS = 1 << 1


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
