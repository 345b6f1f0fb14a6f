"""The whole adapter on the local Discord: what people do, and what they see."""

import asyncio
from dataclasses import replace

import pytest

from adapters.discord.adapter import COMMANDS_FILE
from bot.errors import SettingsError
from bot.inbox import Inbox
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


class TestCommands:
    async def test_asked_for_all_to_see_the_question_is_repeated(self, town: Town) -> None:
        async with town.open():
            question = "Is it @everyone's? See [this](https://evil.example)"
            await town.discord.slash("ask", {"question": question}, town.ann, town.general)
            await town.until(lambda: any(map(is_complete, town.discord.answers(town.general))))
            echo, answer = town.discord.answers(town.general)
            assert echo.text.startswith("> Is it")
            assert "](" not in echo.text
            assert answer.reference is echo
            await town.answer(await town.discord.reply(answer, town.bob, "And for meals?", ping=False))
            assert [m.thread_id for m in town.asked] == [echo.id, echo.id]

    async def test_in_direct_messages_it_works_as_well(self, town: Town) -> None:
        async with town.open():
            where = town.discord.direct_channel(town.ann)
            await town.discord.slash("ask", {"question": "What is the limit?"}, town.ann, where)
            await town.until(lambda: any(map(is_complete, town.discord.answers(where))))
            (asked,) = town.asked
            assert (asked.addressed, asked.thread_id) == ("direct", where.id)

    async def test_every_command_is_there_and_told_once(self, town: Town) -> None:
        async with town.open():
            assert {c["name"] for c in town.discord.commands()} == {"ask", "parley", "Ask Parley about this"}
            (parley,) = (c for c in town.discord.commands() if c["name"] == "parley")
            (channel,) = (o for o in parley["options"] if o["name"] == "channel")
            names = [option["name"] for option in channel["options"]]
            assert names == ["show", "on", "off", "answer", "persona", "language", "sources"]
            assert int(parley["default_member_permissions"]) == 1 << 5
            shown = await town.discord.slash("parley channel show", {}, town.boss, town.general)
            await town.until(lambda: shown.messages and "I answer here" in shown.messages[0].text)
        async with town.open():
            assert len(town.discord.called("register_commands")) == 1
        (town.app.settings.data_dir / COMMANDS_FILE).unlink()
        async with town.open():
            assert len(town.discord.called("register_commands")) == 2

    async def test_what_an_admin_sets_holds_for_the_channel(self, town: Town) -> None:
        async with town.open():
            said = {"value": "Speak like a pirate"}
            sent = await town.discord.slash("parley channel persona", said, town.boss, town.general)
            await town.until(lambda: sent.messages and "pirate" in sent.messages[0].text)
            await town.answer(await town.ask())
            assert town.assistant.places[0].persona == "Speak like a pirate"

    async def test_stop_in_a_mention_stops_what_its_author_asked(self, town: Town) -> None:
        async with town.open():
            town.assistant.hold = asyncio.Event()
            asked = await town.ask()
            await town.until(lambda: town.answers_to(asked))
            await town.ask("stop")
            await town.until(lambda: "Stopped." in town.answers_to(asked)[0].text)


class TestButtons:
    async def test_the_same_question_again(self, town: Town) -> None:
        async with town.open():
            asked = await town.ask()
            answer = await town.answer(asked)
            await town.discord.press(answer, "🔁", town.bob)
            await town.until(lambda: len([m for m in town.answers_to(asked) if is_complete(m)]) == 2)
            assert [m.user_id for m in town.asked] == [town.ann.id, town.bob.id]
            assert [m.text for m in town.asked] == ["What is the limit?"] * 2

    async def test_again_in_private_stays_private(self, town: Town) -> None:
        async with town.open():
            given = {"question": "What is the limit?", "private": True}
            first = await town.discord.slash("ask", given, town.ann, town.general)
            await town.until(lambda: first.messages and is_complete(first.messages[0]))
            second = await town.discord.press(first.messages[0], "🔁", town.ann)
            await town.until(lambda: second.messages and is_complete(second.messages[0]))
            assert second.messages[0].ephemeral_to == town.ann.id
            assert town.discord.answers(town.general) == []

    async def test_only_the_asker_stops_an_answer(self, town: Town) -> None:
        async with town.open():
            town.assistant.hold = hold = asyncio.Event()
            asked = await town.ask()
            await town.until(lambda: town.answers_to(asked))
            pressed = await town.discord.press(town.answers_to(asked)[0], "Stop", town.bob)
            await town.until(lambda: pressed.messages and "Only the person" in pressed.messages[-1].text)
            hold.set()
            await town.answer(asked)

    async def test_buttons_and_dialogues_outlive_the_bot(self, town: Town) -> None:
        async with town.open():
            answer = await town.answer(await town.ask())
            await town.discord.press(answer, "👎", town.ann)
            await town.until(lambda: town.discord.modal(town.ann))
        async with town.open():
            modal = town.discord.modal(town.ann)
            assert modal
            await town.discord.submit_modal(modal, {"reason": "wrong source", "comment": "See page 3."})
            await town.discord.press(answer, "👍", town.bob)
            await town.until(lambda: len(town.votes()) == 2)
            assert town.votes()[town.ann.id] == (-1, "wrong source", "See page 3.")

    async def test_a_thumb_taken_away_is_no_vote_any_more(self, town: Town) -> None:
        async with town.open():
            answer = await town.answer(await town.ask())
            await town.discord.react(answer, town.bob, "👍")
            await town.until(town.votes)
            await town.discord.unreact(answer, town.bob, "👍")
            await town.until(lambda: not town.votes())

    async def test_a_private_answer_is_shared_once_with_its_question(self, town: Town) -> None:
        async with town.open():
            given = {"question": "What is the limit?", "private": True}
            first = await town.discord.slash("ask", given, town.ann, town.general)
            await town.until(lambda: first.messages and is_complete(first.messages[0]))
            await town.discord.press(first.messages[0], "Share in channel", town.ann)
            await town.discord.press(first.messages[0], "Share in channel", town.ann)
            await town.until(lambda: town.discord.answers(town.general))
            await asyncio.sleep(0.1)
            (shared,) = town.discord.answers(town.general)
            assert shared.text.startswith("> What is the limit?")


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


class TestAwayAndBack:
    async def test_what_was_said_meanwhile_is_answered_once(self, town: Town) -> None:
        async with town.open():
            await town.answer(await town.ask())
            await town.answer(await town.discord.direct(town.ann, "What is the limit?"))
        missed = await town.ask("Where were you?")
        direct = await town.discord.direct(town.ann, "And here?")
        await town.discord.post(town.general, town.ann, "Nobody there? What a pity.")
        async with town.open():
            await town.answer(missed)
            await town.answer(direct)
            await asyncio.sleep(0.2)
            assert len(town.asked) == 2

    async def test_at_the_first_start_nobody_has_been_waiting(self, town: Town) -> None:
        await town.ask("Before your time?")
        async with town.open():
            await town.answer(await town.ask("Now?"))
            assert [m.text for m in town.asked] == ["Now?"]

    async def test_events_that_come_again_change_nothing(self, town: Town) -> None:
        async with town.open():
            asked = await town.ask()
            await town.answer(asked)
            town.discord.replay()
            await town.until(lambda: town.adapter.health and town.adapter.health.resumed)
            assert "parley_discord_resumed_total 1.0" in town.app.telemetry.text()
            await town.answer(await town.ask("Something else?"))
            await town.answer(asked)
            assert len(town.asked) == 2

    async def test_a_new_session_looks_for_what_it_missed(self, town: Town) -> None:
        async with town.open():
            await town.answer(await town.ask())
            town.discord.gateway.resumable = False
            town.discord.drop_connections()
            missed = await town.ask("Did you hear that?")
            await town.answer(missed)


class TestTrouble:
    async def test_a_wrong_token_is_said(self, town: Town) -> None:
        town.make()
        town.discord.state.token = "another"
        with pytest.raises(SettingsError, match="PARLEY_DISCORD_TOKEN"):
            await town.adapter.run()

    async def test_a_database_that_is_locked_for_a_moment_loses_nothing(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from bot.errors import DatabaseError

        monkeypatch.setattr("adapters.discord.listeners.RETRY_AFTER", (0.01, 0.01))
        async with town.open():
            accept, troubles = town.app.desk.inbox.accept, [DatabaseError("locked"), DatabaseError("locked")]

            def stubborn(message: object) -> bool:
                if troubles:
                    raise troubles.pop()
                return accept(message)  # type: ignore[arg-type]

            monkeypatch.setattr(town.app.desk.inbox, "accept", stubborn)
            await town.answer(await town.ask())

    async def test_discords_limits_are_kept(self, town: Town) -> None:
        town.discord.limit_as_discord()
        async with town.open():
            town.assistant.script = {"Long?": [f"Sentence {n} is here. " for n in range(300)]}
            asked = await town.ask("Long?")
            await town.answer(await town.ask("Short?"))
            await town.until(lambda: any(map(is_complete, town.discord.answers(town.general))))
            await town.until(
                lambda: "Sentence 299" in str([m.text for m in town.discord.answers(town.general)])
            )
            assert town.answers_to(asked)
            assert town.adapter.health
            assert town.adapter.health.rate_limited == 0

    async def test_where_it_may_not_embed_the_sources_are_text(self, town: Town) -> None:
        town.discord.deny(town.general, "EMBED_LINKS")
        async with town.open():
            answer = await town.answer(await town.ask())
            assert answer.embeds == []
            assert "Travel" in answer.content

    async def test_where_it_may_not_write_it_says_nothing(self, town: Town) -> None:
        async with town.open():
            town.discord.deny(town.general, "SEND_MESSAGES")
            await asyncio.sleep(0.1)
            asked = await town.ask()
            turn = await self._ended(town, asked.id)
            assert town.app.desk.inbox.outcome(turn) == "undeliverable"

    @staticmethod
    async def _ended(town: Town, message_id: str) -> str:
        def look() -> str | None:
            turn = town.app.desk.inbox.find("discord", town.general.id, message_id)
            return turn if turn and town.app.desk.inbox.outcome(turn) else None

        await town.until(look)
        return look() or ""

    async def test_the_admins_are_told(self, town: Town) -> None:
        async with town.open(f'admin_channel = "{town.general.id}"'):
            await town.adapter.tell_admins("Something *odd* happened.")
            (told,) = town.discord.answers(town.general)
            assert "odd" in told.text

    async def test_two_shards_serve_all_servers(self, town: Town) -> None:
        other = town.discord.add_guild("beta")
        eve = town.discord.add_user("eve", guild=other)
        there = town.discord.add_channel("there", guild=other)
        town.discord.gateway.shards = 2
        monkey = pytest.MonkeyPatch()
        monkey.setattr("adapters.discord.gateway.Gateway.before_identify_hook", _no_pause, raising=False)
        try:
            async with town.open("shards = 2"):
                await town.answer(await town.ask())
                said = await town.discord.post(there, eve, f"{town.discord.mention} limit?")
                await town.answer(said)
                assert town.adapter.health
                assert town.adapter.health.shards == 2
        finally:
            monkey.undo()

    async def test_a_discord_that_is_away_at_the_start_is_tried_again(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("adapters.discord.gateway.FIRST_BACKOFF", 0.05)
        town.discord.http_error("get_me", 503, times=2)
        async with town.open():
            await town.answer(await town.ask())

    async def test_a_file_is_read_for_its_talk_and_a_picture_passed_over(self, town: Town) -> None:
        async with town.open():
            files = [
                town.discord.add_file("notes.md", b"# Notes\n\nForty-two."),
                town.discord.add_file("cat.png", b"...", content_type="image/png"),
            ]
            said = await town.discord.post(
                town.general, town.ann, f"{town.discord.mention} What does it say?", files=files
            )
            await town.answer(said)
            ((name, text),) = town.assistant.files[0]
            assert name == "notes.md"
            assert "Forty-two." in text


class TestChangesOfMind:
    async def test_an_edit_in_a_thread_and_a_preview_that_is_none(self, town: Town) -> None:
        settings = "\n[queue]\nparallel = 1"
        async with town.open(settings):
            thread = await town.discord.start_thread(town.general, town.ann, "Travel")
            town.assistant.hold = hold = asyncio.Event()
            await town.ask()
            await town.until(lambda: town.asked)
            waiting = await town.discord.post(thread, town.bob, f"{town.discord.mention} Tow?")
            await town.until(lambda: town.app.desk.load == (1, 1))
            await town.discord.edit(waiting, f"{town.discord.mention} Two?")
            await town.discord.suppress_embeds(waiting)
            await asyncio.sleep(0.2)
            hold.set()
            await town.answer(waiting)
            assert town.asked[1].text == "Two?"

    async def test_a_question_that_is_deleted_takes_what_was_shown_with_it(self, town: Town) -> None:
        async with town.open():
            town.assistant.hold = asyncio.Event()
            asked = await town.ask()
            await town.until(lambda: town.answers_to(asked))
            await town.discord.delete(asked)
            await town.until(lambda: not town.discord.answers(town.general))


class TestPostsThatWereMissed:
    async def test_a_forum_post_of_meanwhile_is_answered(self, town: Town) -> None:
        forum = town.discord.add_channel("questions", kind="forum")
        settings = f'forums = ["{forum.id}"]'
        async with town.open(settings):
            await town.answer(await town.ask())
        post = await town.discord.forum_post(forum, town.ann, "What is the limit?", "For hotels.")
        async with town.open(settings):
            await town.answer(post)

    async def test_what_cannot_be_read_does_not_keep_the_rest_back(self, town: Town) -> None:
        async with town.open():
            await town.answer(await town.ask())
        closed = town.discord.add_channel("closed")
        await town.discord.post(closed, town.ann, f"{town.discord.mention} there?")
        missed = await town.ask("Where were you?")
        town.discord.deny(closed, "READ_MESSAGE_HISTORY")
        async with town.open():
            await town.answer(missed)
            assert len(town.asked) == 1


async def _no_pause(*_: object, **__: object) -> None:
    return


class TestWhatWasMissedInBetween:
    async def test_a_newer_message_does_not_hide_what_came_before_it(self, town: Town) -> None:
        """As when a session hears something new, and ends before it has found the old."""
        async with town.open():
            await town.answer(await town.ask())
        missed = await town.ask("Where were you?")
        newer = replace(town.asked[0], event_id=str(int(missed.id) + 1), message_id="")
        inbox = Inbox(town.engine)
        await asyncio.to_thread(inbox.accept, newer)
        await asyncio.to_thread(inbox.finish, newer.turn_id, "dropped")
        async with town.open():
            await town.answer(missed)
