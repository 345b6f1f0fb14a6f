"""Where people ask on Discord: which talk it belongs to, and which documents may be seen there."""

import asyncio

import pytest

from tests.adapters.discord.town import Town, is_complete
from tests.platforms.discord import LocalDiscord


class TestPlaces:
    async def test_a_thread_is_one_talk_and_has_the_channels_settings(self, town: Town) -> None:
        async with town.open():
            thread = await town.discord.start_thread(town.general, town.ann, "Travel")
            first = await town.discord.post(thread, town.ann, f"{town.discord.mention} limit?")
            await town.answer(first)
            await town.answer(await town.discord.post(thread, town.ann, "And for meals?"))
            assert {(m.conversation_id, m.thread_id) for m in town.asked} == {(town.general.id, thread.id)}

    async def test_a_private_thread_is_a_place_of_its_own(self, town: Town) -> None:
        async with town.open():
            thread = await town.discord.start_thread(
                town.general, town.ann, "Secret", private=True, members=[town.discord.bot]
            )
            await town.answer(await town.discord.post(thread, town.ann, f"{town.discord.mention} limit?"))
            (asked,) = town.asked
            assert (asked.conversation_id, asked.thread_id) == (thread.id, thread.id)
            assert f"discord:{thread.id}" in asked.principals

    async def test_a_direct_conversation_is_one_talk(self, town: Town) -> None:
        async with town.open():
            await town.answer(await town.discord.direct(town.ann, "What is the limit?"))
            await town.answer(await town.discord.direct(town.ann, "And for meals?"))
            assert len({m.thread_id for m in town.asked}) == 1
            assert {m.addressed for m in town.asked} == {"direct"}

    async def test_a_reply_to_an_answer_goes_on_with_its_talk(self, town: Town) -> None:
        async with town.open():
            first = await town.ask()
            answer = await town.answer(first)
            second = await town.discord.reply(answer, town.bob, "And for meals?", ping=False)
            await town.answer(second)
            assert [m.thread_id for m in town.asked] == [first.id, first.id]
            assert town.asked[1].addressed == "thread"

    async def test_a_thread_that_people_open_on_an_answer_goes_on_with_its_talk(self, town: Town) -> None:
        async with town.open():
            first = await town.ask()
            answer = await town.answer(first)
            thread = await town.discord.start_thread(town.general, town.ann, "More", message=answer)
            await town.answer(await town.discord.post(thread, town.ann, "And for meals?"))
            assert [m.thread_id for m in town.asked] == [first.id, first.id]

    async def test_a_long_talk_goes_on_in_a_thread(self, town: Town) -> None:
        async with town.open():
            said = await town.ask("one?")
            for text in ("And two?", "And three?"):
                said = await town.discord.reply(await town.answer(said), town.ann, text, ping=False)
            answer = await town.answer(said)
            await town.until(lambda: town.discord.thread_of(answer))
            thread = town.discord.thread_of(answer)
            assert thread
            assert thread.name == "one?"
            await town.answer(await town.discord.post(thread, town.ann, "And four?"))
            assert len({m.thread_id for m in town.asked}) == 1

    async def test_without_the_setting_it_stays_in_the_channel(self, town: Town) -> None:
        async with town.open("open_threads = false"):
            said = await town.ask("one?")
            for text in ("And two?", "And three?"):
                said = await town.discord.reply(await town.answer(said), town.ann, text, ping=False)
            answer = await town.answer(said)
            assert town.discord.thread_of(answer) is None

    async def test_a_post_in_a_chosen_forum_is_answered(self, town: Town) -> None:
        forum = town.discord.add_channel("questions", kind="forum")
        other = town.discord.add_channel("ideas", kind="forum")
        async with town.open(f'forums = ["{forum.id}"]'):
            await town.discord.forum_post(other, town.ann, "What if?", "Would it not be nice?")
            post = await town.discord.forum_post(forum, town.ann, "What is the limit?", "For hotels.")
            await town.answer(post)
            await town.answer(await town.discord.post(post.channel, town.ann, "And for meals?"))
            assert [m.text for m in town.asked] == ["What is the limit?\n\nFor hotels.", "And for meals?"]

    async def test_only_an_answer_to_somebody_else_is_no_follow_up(self, town: Town) -> None:
        async with town.open():
            first = await town.ask()
            await town.answer(first)
            await town.discord.reply(first, town.bob, "I wonder about that too, do you know?")
            await town.answer(await town.ask("Something else?"))
            assert len(town.asked) == 2


class TestWithoutMessageContent:
    @pytest.fixture
    async def discord(self) -> LocalDiscord:
        return LocalDiscord(message_content=False)

    async def test_what_names_it_is_answered_and_the_rest_passes(self, town: Town) -> None:
        async with town.discord:
            forum = town.discord.add_channel("questions", kind="forum")
            async with town.open(f'forums = ["{forum.id}"]'):
                answer = await town.answer(await town.ask())
                await town.answer(await town.discord.reply(answer, town.ann, "And for meals?"))
                await town.answer(await town.discord.direct(town.ann, "What is the limit?"))
                post = await town.discord.forum_post(forum, town.ann, "What is the limit?", "For hotels.")
                await town.answer(post)
                await town.discord.post(post.channel, town.ann, "This cannot be read.")
                await town.answer(await town.ask("Something else?"))
                assert [m.text for m in town.asked] == [
                    "What is the limit?",
                    "And for meals?",
                    "What is the limit?",
                    "What is the limit?",
                    "Something else?",
                ]


class TestPrincipals:
    async def test_of_a_public_channel(self, town: Town) -> None:
        async with town.open():
            await town.answer(await town.ask())
            guild = town.discord.guild.id
            assert town.asked[0].principals == {"everyone", f"discord:{guild}", f"discord:{town.general.id}"}
            assert town.asked[0].open_to == {f"discord:{guild}"}

    async def test_of_a_channel_for_one_role(self, town: Town) -> None:
        role = town.discord.add_role("staff")
        cat = town.discord.add_user("cat", roles=[role])
        board = town.discord.add_channel("board", private=True, roles=[role])
        async with town.open():
            said = await town.discord.post(board, cat, f"{town.discord.mention} limit?")
            await town.answer(said)
            assert f"discord:role:{role.id}" in town.asked[0].principals
            assert town.asked[0].open_to == frozenset()
            town.discord.allow(board, "VIEW_CHANNEL", to=town.ann)
            await asyncio.sleep(0.1)
            await town.answer(await town.discord.post(board, cat, f"{town.discord.mention} and?"))
            assert f"discord:role:{role.id}" not in town.asked[1].principals

    async def test_of_a_private_answer(self, town: Town) -> None:
        role = town.discord.add_role("staff")
        cat = town.discord.add_user("cat", roles=[role])
        async with town.open():
            given = {"question": "What is the limit?", "private": True}
            await town.discord.slash("ask", given, cat, town.general)
            await town.until(lambda: town.asked)
            assert town.asked[0].principals == {
                "everyone",
                f"discord:{town.discord.guild.id}",
                f"discord:{town.general.id}",
                f"discord:role:{role.id}",
                f"discord:{cat.id}",
            }

    async def test_of_a_direct_message(self, town: Town) -> None:
        role = town.discord.add_role("staff")
        cat = town.discord.add_user("cat", roles=[role])
        async with town.open():
            await town.answer(await town.discord.direct(cat, "What is the limit?"))
            guild = town.discord.guild.id
            assert town.asked[0].principals == {
                "everyone",
                f"discord:{guild}",
                f"discord:role:{role.id}",
                f"discord:{cat.id}",
            }

    async def test_somebody_who_does_not_answer_for_themselves_has_no_roles(self, town: Town) -> None:
        async with town.open():
            town.discord.fail("get_member", 50001, times=5)
            await town.answer(await town.discord.direct(town.boss, "What is the limit?"))
            assert town.asked[0].principals == {"everyone", f"discord:{town.boss.id}"}

    async def test_in_a_strangers_server_only_everyones_documents_and_only_for_the_asker(
        self, town: Town
    ) -> None:
        elsewhere = town.discord.add_guild("elsewhere", with_bot=False)
        dan = town.discord.add_user("dan", has_app=True, guild=elsewhere)
        lobby = town.discord.add_channel("lobby", guild=elsewhere, with_bot=False)
        async with town.open():
            sent = await town.discord.slash("ask", {"question": "What is the limit?"}, dan, lobby)
            await town.until(lambda: sent.messages and is_complete(sent.messages[0]))
            assert sent.messages[0].ephemeral_to == dan.id
            assert "Share" not in str(sent.messages[0].buttons)
            assert town.asked[0].principals == {"everyone"}
