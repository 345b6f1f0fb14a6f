"""Threads, forums, roles and permissions on the local Discord: who may read and write where."""

import discord
import pytest

from tests.platforms.discord import Channel, LocalDiscord, User
from tests.platforms.discord_clients import Bot, running


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
