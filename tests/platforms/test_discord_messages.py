"""Messages on the local Discord: what may be sent, changed and read, how fast, and who is notified by it."""

import asyncio
import io
import time
from typing import Any

import aiohttp
import discord
import pytest

from tests.platforms import discord_cases as cases
from tests.platforms.discord import Channel, LocalDiscord, User
from tests.platforms.discord_clients import Bot, Raw
from tests.platforms.discord_violations import broken


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


async def test_broken_rules_fail_the_test() -> None:
    server = LocalDiscord()
    await server.__aenter__()
    server.violations.append("content: 2001 characters")
    with pytest.raises(AssertionError, match="content: 2001 characters"):
        await server.__aexit__(None, None, None)
