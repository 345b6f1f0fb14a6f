"""What people do on Discord besides asking: commands, buttons, and edits and deletions of what they asked."""

import asyncio

from adapters.discord.adapter import COMMANDS_FILE
from tests.adapters.discord.town import Town, is_complete


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
