"""What people press on Slack: votes (reactions are votes too), stop, share, and buttons that give a command."""

import asyncio
from typing import Any

from adapters.slack.blocks import answer_blocks, queue_blocks
from adapters.slack.contents import noticed
from bot.errors import DatabaseError
from bot.messages import Final
from bot.notices import Action
from tests.adapters.slack.office import TURN, Office
from tests.platforms.slack import Message, User


class TestVotes:
    async def test_everybody_votes_once_and_says_why(self, office: Office) -> None:
        message = await office.shown()
        async with office.running():
            assert (await office.slack.press(message, "positive", office.ann)).acked
            assert (await office.slack.press(message, "negative", office.bob)).acked
            assert office.votes() == {office.ann.id: (1, "", ""), office.bob.id: (-1, "", "")}
            view = await office.until(lambda: office.slack.modal(office.bob))
            await office.slack.submit_view(view, {"reason": "outdated", "comment": "It is 30 now."})
            assert office.slack.modal(office.bob) is None
            # The same opinion once more does not take the reason away.
            await office.slack.press(message, "negative", office.bob)
            await office.slack.press(message, "negative", office.ann)
        assert office.votes() == {
            office.ann.id: (-1, "", ""),
            office.bob.id: (-1, "outdated", "It is 30 now."),
        }

    async def test_reactions_are_votes_and_can_be_taken_back(self, office: Office) -> None:
        message = await office.shown()
        async with office.running():
            await office.slack.react(office.channel, message.ts, office.ann, "+1::skin-tone-4")
            await office.slack.react(office.channel, message.ts, office.bob, "tada")
            await office.until(lambda: office.votes() == {office.ann.id: (1, "", "")})
            await office.slack.react(office.channel, message.ts, office.ann, "-1")
            await office.until(lambda: office.votes() == {office.ann.id: (-1, "", "")})
            # The thumb that is gone is not the vote.
            await office.slack.unreact(office.channel, message.ts, office.ann, "+1::skin-tone-4")
            await office.until(lambda: office.slack.receipts[-1].acked)
            assert office.votes() == {office.ann.id: (-1, "", "")}
            await office.slack.unreact(office.channel, message.ts, office.ann, "-1")
            await office.until(lambda: not office.votes())

    async def test_a_vote_that_cannot_be_kept_is_not_acknowledged(self, office: Office) -> None:
        message = await office.shown(
            blocks=answer_blocks(Final("0" * 32, "written", "x", (), "m", 1, 1, 1), text="x")
        )
        office.slack.delivery.ack_timeout = 0.5
        async with office.running():
            assert not (await office.slack.press(message, "positive", office.ann)).acked
            await office.until(lambda: office.private(office.ann))
        office.slack.violations.clear()
        assert "no longer stored" in office.private(office.ann)[0]

    async def test_a_dialogue_that_does_not_open_costs_no_vote(self, office: Office) -> None:
        message = await office.shown()
        office.slack.fail("views.open", "expired_trigger_id")
        async with office.running():
            assert (await office.slack.press(message, "negative", office.ann)).acked
        assert office.votes() == {office.ann.id: (-1, "", "")}


class TestButtons:
    async def test_stop(self, office: Office) -> None:
        message = await office.shown(blocks=queue_blocks("2nd in line", TURN.id))
        async with office.running():
            await office.slack.press(message, "parley_stop", office.ann)
            assert office.desk.noted == [("stop_turn", TURN.id, office.ann.id)]
            office.desk.can_stop = False
            await office.slack.press(message, "parley_stop", office.bob)
        assert "Only the person who asked" in office.private(office.bob)[0]

    async def test_a_private_answer_is_shared_once_when_all_may_see_it(self, office: Office) -> None:
        message = await office.shown(private_to=office.ann)
        async with office.running():
            for _ in range(3):
                assert (await office.slack.press(message, "parley_share", office.ann)).acked
            await office.until(lambda: office.slack.answers(office.channel))
            await office.slack.press(message, "parley_share", office.ann)
            await asyncio.sleep(0.2)
        (shared,) = office.slack.answers(office.channel)
        assert "How many days of leave?" in shared.text
        assert "28 days. [1]" in shared.text
        principals = office.desk.noted[0][2]
        assert f"slack:{office.channel.id}" in principals

    async def test_a_reaction_to_what_was_shared_is_a_vote_on_the_answer(self, office: Office) -> None:
        message = await office.shown(private_to=office.ann)
        async with office.running():
            await office.slack.press(message, "parley_share", office.ann)
            (shared,) = await office.until(lambda: office.slack.answers(office.channel))
            await office.until(lambda: office.desk.outbox.turn_of("slack", office.channel.id, shared.ts))
            await office.slack.react(office.channel, shared.ts, office.bob, "+1")
            await office.until(lambda: office.votes() == {office.bob.id: (1, "", "")})
            # Pressed again, it is still the same message.
            await office.slack.press(message, "parley_share", office.ann)
            await asyncio.sleep(0.2)
        assert [one.ts for one in office.slack.answers(office.channel)] == [shared.ts]

    async def test_what_not_all_may_see_stays_private(self, office: Office) -> None:
        message = await office.shown(private_to=office.ann)
        office.desk.may_share = False
        async with office.running():
            await office.slack.press(message, "parley_share", office.ann)
            await office.until(lambda: len(office.private(office.ann)) == 2)
        assert office.private(office.ann)[1] == "Not everyone here may see that."
        assert not office.slack.answers(office.channel)


class TestChoices:
    """Buttons below a notice, each of which gives a command."""

    async def offered(self, office: Office, *, private_to: User | None = None, **where: Any) -> Message:
        actions = (Action("Dig on", "dig deeper"), Action("Look", "look"))
        (content,) = noticed(actions)("**12** holes.", "usual")
        message = Message(
            office.channel.id,
            office.slack.state.ts(),
            office.slack.bot.id,
            raw_text=content.text,
            blocks=list(content.blocks),
            bot_id=office.slack.bot.bot_id,
            ephemeral_to=private_to.id if private_to else None,
            **where,
        )
        return office.slack.state.add(message)

    async def test_a_press_gives_the_command_and_the_buttons_go(self, office: Office) -> None:
        message = await self.offered(office)
        async with office.running():
            assert (await office.slack.press(message, "Dig on", office.bob)).acked
            await office.until(lambda: not message.buttons)
        (given,) = office.desk.messages
        assert (given.text, given.addressed, given.is_private) == ("dig deeper", "command", True)
        assert (given.user_id, given.workspace_id) == (office.bob.id, office.slack.workspace.id)
        assert message.text == "**12** holes.\nChosen: Dig on"

    async def test_one_that_only_its_reader_sees(self, office: Office) -> None:
        message = await self.offered(office, private_to=office.bob)
        async with office.running():
            await office.slack.press(message, "Dig on", office.bob)
            await office.until(lambda: not message.buttons)
        assert message.text == "Chosen: Dig on"
        assert [given.text for given in office.desk.messages] == ["dig deeper"]
        assert office.slack.called("chat.update") == []

    async def test_in_a_thread_the_answer_has_its_place_there(self, office: Office) -> None:
        root = await office.slack.post(office.channel, office.bob, "Hello")
        message = await self.offered(office, thread_ts=root)
        async with office.running() as adapter:
            await office.slack.press(message, "Dig on", office.bob)
            (given,) = [one for one in office.desk.messages if one.addressed == "command"]
            await adapter.reply(given).say("Done.")
        told = office.slack.messages(office.channel)[-1]
        assert (told.text, told.thread_ts, told.ephemeral_to) == ("Done.", root, office.bob.id)

    async def test_pressed_again_or_delivered_again_it_is_given_once(self, office: Office) -> None:
        message = await self.offered(office)
        office.slack.fail("chat.update", "cant_update_message", times=9)
        async with office.running():
            receipt = await office.slack.press(message, "Dig on", office.bob)
            await office.slack.deliver_again(receipt)
            assert (await office.slack.press(message, "Dig on", office.bob)).acked
            await office.until(lambda: len(office.private(office.bob)) == 2)
            await office.slack.press(message, "Look", office.bob)
        assert [given.text for given in office.desk.messages] == ["dig deeper", "look"]
        assert set(office.private(office.bob)) == {
            "You have pressed that already; to do it once more, give the command: `/parley dig deeper`"
        }

    async def test_for_who_is_no_admin_the_buttons_stay_for_those_who_are(self, office: Office) -> None:
        message = await self.offered(office)
        async with office.running():
            await office.slack.press(message, "Dig on", office.ann)
        assert [button["value"] for button in message.buttons] == ["dig deeper", "look"]
        async with office.running():
            await office.slack.press(message, "Look", office.ann)  # for everybody
            await office.until(lambda: not message.buttons)
        assert [(given.text, given.user_id) for given in office.desk.messages] == [
            ("dig deeper", office.ann.id),
            ("look", office.ann.id),
        ]

    async def test_a_press_that_is_not_taken_is_not_acknowledged_and_can_be_tried_again(
        self, office: Office
    ) -> None:
        message = await self.offered(office)
        office.desk.troubles = [DatabaseError("The database is locked; wait a moment.")]
        office.slack.delivery.ack_timeout = 0.5
        async with office.running():
            assert not (await office.slack.press(message, "Dig on", office.bob)).acked
            await office.until(lambda: office.private(office.bob))
            assert len(message.buttons) == 2
            assert (await office.slack.press(message, "Dig on", office.bob)).acked
        office.slack.violations.clear()
        assert office.private(office.bob) == ["The database is locked; wait a moment."]
        assert [given.text for given in office.desk.messages] == ["dig deeper"]
