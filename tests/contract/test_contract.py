"""What every platform must do, with the real adapter, the real client library and real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import cast

import pytest

from bot.app import App
from feedback.records import Score
from tests.contract.scripted import ANSWER, DEEPER, FILL, Digging, ScriptedAssistant
from tests.contract.stage import Asked, Shown, Stage

Open = Callable[..., AbstractAsyncContextManager[App]]
QUESTION = "Within how many days must receipts be handed in?"
LONG = "\n\n".join(
    [
        "# Everything",
        *(f"Rule {n} says that receipts must be handed in within {n} days. [1]" for n in range(400)),
    ]
)
TABLE = "| City | Limit |\n|---|---|\n" + "\n".join(f"| City {n} | {n} EUR |" for n in range(60))
CODE = "```python\nprint('hello')\n```"

needs = pytest.mark.needs
"""What a platform must have for a row to apply."""


def assistant(app: App) -> ScriptedAssistant:
    return cast("ScriptedAssistant", app.desk._serving._assistant)


async def only(stage: Stage, asked: Asked, *, containing: str = ANSWER) -> Shown:
    """The one answer to it, complete."""
    await stage.until(lambda: [shown for shown in stage.shown(asked) if shown.can_vote])
    await asyncio.sleep(0.05)
    (shown,) = stage.shown(asked)
    assert containing in shown.text
    return shown


def votes(app: App) -> dict[str, tuple[Score, str, str]]:
    """Score, reason and comment by the person's id."""
    return {
        vote.user_id: (vote.score, vote.reason, vote.comment)
        for rated in app.feedback.iterate()
        for vote in rated.votes
    }


@pytest.fixture
async def app(opened: Open) -> AsyncIterator[App]:
    async with opened() as app:
        yield app


class TestAsking:
    @needs("mention")
    async def test_a_mention_is_answered_in_its_thread(self, stage: Stage, app: App) -> None:
        shown = await only(stage, await stage.mention(QUESTION))
        assert "Travel" in shown.text

    @needs("direct")
    async def test_a_direct_message_is_answered(self, stage: Stage, app: App) -> None:
        await only(stage, await stage.direct(QUESTION))
        assert assistant(app).asked[0].addressed == "direct"

    @needs("follow-up")
    async def test_a_follow_up_needs_no_mention_where_the_bot_takes_part(
        self, stage: Stage, app: App
    ) -> None:
        first = await stage.mention(QUESTION)
        await only(stage, first)
        follow_up = await stage.say("And for part-timers?", thread=first.thread)
        await only(stage, follow_up)
        assert [message.thread_id for message in assistant(app).asked] == [first.thread] * 2

    @needs("overhearing")
    async def test_talk_among_people_is_left_alone(self, stage: Stage, app: App) -> None:
        await stage.say("Lunch?")
        said = await stage.say("Who knows how the heating works?")
        await stage.say("Ask the janitor, I would say.", thread=said.thread, person="bob")
        await only(stage, await stage.mention(QUESTION))
        assert len(assistant(app).asked) == 1

    @needs("overhearing")
    async def test_every_question_is_answered_where_an_admin_wants_that(self, stage: Stage, app: App) -> None:
        await stage.until(lambda: True)
        command = await stage.command("channel answer question")
        await stage.until(lambda: stage.shown(command))
        await stage.say("Good morning everybody.")
        not_known = await stage.say("Does anybody know the unknown thing about it?")
        await only(stage, await stage.say(QUESTION))
        assert stage.shown(not_known) == []
        assert len(assistant(app).asked) == 2

    @needs("menu")
    async def test_a_message_can_be_asked_about_from_its_menu(self, stage: Stage, app: App) -> None:
        said = await stage.say("Is it true that receipts must be handed in within 30 days?", person="bob")
        await only(stage, await stage.menu(said))
        assert assistant(app).asked[0].text == said.text

    @needs("thread context")
    async def test_called_into_a_thread_it_knows_what_was_said_there(self, stage: Stage, app: App) -> None:
        said = await stage.say("I still have receipts from spring.")
        await stage.say("There is a limit, I think.", thread=said.thread, person="bob")
        await only(stage, await stage.mention("what is the limit?", thread=said.thread))
        context = assistant(app).asked[0].context
        assert [one.text for one in context] == [
            "I still have receipts from spring.",
            "There is a limit, I think.",
        ]
        assert context[0].author != context[1].author

    @needs("files")
    async def test_attached_files_are_read_for_their_thread(self, stage: Stage, app: App) -> None:
        first = await stage.mention("What does it say?", files=[("notes.md", b"# Notes\n\nForty-two.")])
        await only(stage, first)
        await stage.until(lambda: assistant(app).files)
        await stage.mention("And elsewhere?")
        await stage.until(lambda: len(assistant(app).files) == 2)
        ((name, text),), none = assistant(app).files
        assert name == "notes.md"
        assert "Forty-two." in text
        assert list(none) == []


class TestAnswers:
    async def test_it_shows_that_it_works_while_it_works(self, stage: Stage, app: App) -> None:
        assistant(app).hold = hold = asyncio.Event()
        asked = await stage.mention(QUESTION)
        await stage.until(lambda: ANSWER in "".join(shown.text for shown in stage.shown(asked)))
        assert not any(shown.can_vote for shown in stage.shown(asked))
        hold.set()
        await only(stage, asked)

    async def test_a_long_answer_loses_nothing_and_breaks_nothing(self, stage: Stage, app: App) -> None:
        assistant(app).script = {QUESTION: [LONG, "\n\n" + TABLE, "\n\n" + CODE]}
        asked = await stage.mention(QUESTION)
        await stage.until(lambda: any(shown.can_vote for shown in stage.shown(asked)))
        shown = stage.shown(asked)
        text = "\n".join(one.text for one in shown)
        assert [n for n in range(400) if f"Rule {n} says" not in text] == []
        assert "City 59" in text
        assert "print('hello')" in text
        assert [one.can_vote for one in shown] == [False] * (len(shown) - 1) + [True]
        assert text.count("Rule 7 says") == 1

    async def test_nobody_is_notified_and_nothing_is_linked_by_the_model(
        self, stage: Stage, app: App
    ) -> None:
        nasty = (
            "Ask <!channel> or @everyone, see [this](https://evil.example/x) and https://evil.example/y. [1]"
        )
        assistant(app).script = {QUESTION: [nasty]}
        await only(stage, await stage.mention(QUESTION), containing="Ask")

    async def test_what_goes_wrong_is_a_sentence(self, stage: Stage, app: App) -> None:
        asked = await stage.mention("")
        await stage.until(lambda: stage.shown(asked))
        assert "Ask me anything" in stage.shown(asked)[0].text

    async def test_a_question_is_answered_once_however_often_it_comes(self, stage: Stage, app: App) -> None:
        asked = await stage.mention(QUESTION)
        await only(stage, asked)
        if "redelivery" not in stage.lacks:
            await stage.deliver_again()
            await only(stage, await stage.mention("Something else?"))
        await only(stage, asked)


class TestWaiting:
    @needs("many people")
    async def test_who_waits_learns_their_place_and_is_answered_in_turn(
        self, stage: Stage, opened: Open
    ) -> None:
        async with opened(parallel=1) as app:
            assistant(app).hold = hold = asyncio.Event()
            first = await stage.mention(QUESTION)
            await stage.until(lambda: assistant(app).asked)
            second = await stage.mention("Second?", person="bob")
            await stage.until(lambda: any("in line" in line for line in stage.progress(second)))
            hold.set()
            await only(stage, first)
            await only(stage, second)

    async def test_the_asker_can_stop_an_answer(self, stage: Stage, app: App) -> None:
        assistant(app).hold = asyncio.Event()
        asked = await stage.mention(QUESTION)
        await stage.until(lambda: stage.shown(asked))
        await stage.stop_answer(asked)
        await stage.until(lambda: "stopped" in "".join(one.text for one in stage.shown(asked)).lower())
        assistant(app).hold = None
        await only(stage, await stage.mention("Something else?"))

    @needs("edit")
    async def test_an_edit_replaces_a_waiting_question(self, stage: Stage, opened: Open) -> None:
        async with opened(parallel=1) as app:
            assistant(app).hold = hold = asyncio.Event()
            await stage.mention(QUESTION)
            await stage.until(lambda: assistant(app).asked)
            second = await stage.mention("Tow?", person="bob")
            await stage.until(lambda: app.desk.load == (1, 1))
            await stage.edit(second, "Two?")
            await asyncio.sleep(0.2)
            hold.set()
            await only(stage, second)
            assert assistant(app).asked[1].text == "Two?"

    @needs("delete")
    async def test_a_deleted_question_is_dropped(self, stage: Stage, opened: Open) -> None:
        async with opened(parallel=1) as app:
            assistant(app).hold = hold = asyncio.Event()
            first = await stage.mention(QUESTION)
            await stage.until(lambda: assistant(app).asked)
            second = await stage.mention("Never mind?", person="bob")
            await stage.until(lambda: app.desk.load == (1, 1))
            await stage.delete(second)
            await stage.until(lambda: app.desk.load == (1, 0))
            hold.set()
            await only(stage, first)
            assert stage.shown(second) == []


class TestPrivacy:
    @needs("private")
    async def test_a_private_answer_is_seen_by_its_asker_and_can_be_shared(
        self, stage: Stage, app: App
    ) -> None:
        asked = await stage.privately(QUESTION)
        shown = await only(stage, asked)
        assert shown.only_for == "ann"
        await stage.share(shown)
        await stage.until(lambda: [one for one in stage.shown(asked) if not one.only_for])
        (public,) = [one for one in stage.shown(asked) if not one.only_for]
        assert ANSWER in public.text


class TestVotes:
    async def test_many_people_vote_each_once_and_the_last_one_counts(self, stage: Stage, app: App) -> None:
        shown = await only(stage, await stage.mention(QUESTION))
        await stage.vote(shown, 1)
        await stage.vote(shown, -1, reason="outdated", comment="It is 14 days now.")
        await stage.until(lambda: (-1, "outdated", "It is 14 days now.") in votes(app).values())
        assert len(votes(app)) == 1
        if "many people" not in stage.lacks:
            await stage.vote(shown, 1, person="bob")
            await stage.until(lambda: len(votes(app)) == 2)

    @needs("reaction")
    async def test_a_reaction_is_a_vote(self, stage: Stage, app: App) -> None:
        shown = await only(stage, await stage.mention(QUESTION))
        await stage.react(shown, 1, person="bob")
        await stage.until(lambda: [score for score, _, _ in votes(app).values()] == [1])


class TestAdministration:
    async def test_commands_are_answered_and_only_admins_change_things(self, stage: Stage, app: App) -> None:
        asked = await stage.command("status")
        await stage.until(lambda: stage.shown(asked))
        assert "model" in stage.shown(asked)[0].text
        if "many people" not in stage.lacks:
            refused = await stage.command("channel off", person="ann")
            await stage.until(lambda: stage.shown(refused))
            assert "admin" in stage.shown(refused)[-1].text
        await only(stage, await stage.mention(QUESTION))

    @needs("many people")
    async def test_a_command_works_in_a_mention_too(self, stage: Stage, app: App) -> None:
        asked = await stage.mention("help")
        await stage.until(lambda: stage.shown(asked))
        assert "channel answer" not in stage.shown(asked)[0].text
        assert assistant(app).asked == []


async def told(stage: Stage, asked: Asked, text: str) -> Shown:
    """The one message that it led to, as soon as it says that."""
    await stage.until(lambda: any(text in shown.text for shown in stage.shown(asked)))
    (shown,) = stage.shown(asked)
    return shown


class TestLongCommands:
    """`dig` and what follows it; see `Digging`."""

    async def test_it_ends_with_its_result_and_what_can_be_done_next(self, stage: Stage, app: App) -> None:
        shown = await told(stage, await stage.command("dig"), "2 metres")
        assert shown.actions == [DEEPER, FILL]

    @needs("reports")
    async def test_how_far_it_is_stands_in_one_message_that_ends_as_the_result(
        self, stage: Stage, app: App, digging: Digging
    ) -> None:
        digging.metre = asyncio.Semaphore(0)
        asked = await stage.command("dig 3")
        first = await told(stage, asked, "▓░░ 25%")
        assert (first.only_for, first.actions) == ("", [])
        digging.metre.release()
        second = await told(stage, asked, "▓▓░ 50%")
        for _ in range(2):
            digging.metre.release()
        last = await told(stage, asked, "3 metres")
        assert "%" not in last.text
        assert {first.id, second.id, last.id} == {first.id}

    @needs("many people")
    async def test_it_can_be_given_in_a_mention_in_a_thread(
        self, stage: Stage, app: App, digging: Digging
    ) -> None:
        first = await stage.mention(QUESTION)
        await only(stage, first)
        shown = await told(
            stage, await stage.mention("dig 4", thread=first.thread, person="boss"), "4 metres"
        )
        assert shown.actions == [DEEPER, FILL]
        assert len(assistant(app).asked) == 1

    @needs("reports")
    @needs("restart")
    async def test_after_a_restart_it_goes_on_in_the_same_message(
        self, stage: Stage, opened: Open, digging: Digging
    ) -> None:
        digging.metre = asyncio.Semaphore(0)
        async with opened():
            asked = await stage.command("dig")
            before = await told(stage, asked, "▓░ 33%")
        digging.metre = asyncio.Semaphore(1000)
        async with opened():
            after = await told(stage, asked, "2 metres")
            assert after.id == before.id

    async def test_an_action_is_chosen_once(self, stage: Stage, app: App, digging: Digging) -> None:
        asked = await stage.command("dig")
        chosen = await stage.press(await told(stage, asked, "2 metres"), DEEPER)
        await told(stage, chosen, "deeper now")
        if "buttons" not in stage.lacks:
            await stage.until(lambda: not any(shown.actions for shown in stage.shown(asked)))
        if "redelivery" not in stage.lacks:
            await stage.deliver_again()
            await only(stage, await stage.mention(QUESTION))
        assert len(digging.deeper) == 1

    @needs("restart")
    async def test_an_action_can_be_chosen_after_a_restart(
        self, stage: Stage, opened: Open, digging: Digging
    ) -> None:
        async with opened():
            shown = await told(stage, await stage.command("dig"), "2 metres")
        async with opened():
            await told(stage, await stage.press(shown, DEEPER), "deeper now")
        assert len(digging.deeper) == 1

    @needs("many people")
    async def test_who_is_no_admin_is_refused_in_private_and_the_action_stays_for_admins(
        self, stage: Stage, app: App, digging: Digging
    ) -> None:
        asked = await stage.command("dig")
        shown = await told(stage, asked, "2 metres")
        refused = await stage.press(shown, DEEPER, person="ann")
        assert (await told(stage, refused, "is for admins")).only_for == "ann"
        assert digging.deeper == []
        (still,) = [one for one in stage.shown(asked) if one.id == shown.id]
        assert still.actions == [DEEPER, FILL]
        await stage.press(still, DEEPER, person="boss")
        await stage.until(lambda: digging.deeper)

    @needs("many people")
    async def test_an_attempt_of_somebody_who_is_no_admin_stands_in_the_audit_log(
        self, stage: Stage, app: App
    ) -> None:
        asked = await stage.command("dig 5", person="ann")
        await told(stage, asked, "is for admins")
        (entry,) = await asyncio.to_thread(app.audit.entries)
        assert (entry.platform, entry.command, entry.outcome) == (stage.name, "dig 5", "refused")


class TestTrouble:
    @needs("reconnect")
    async def test_a_lost_connection_comes_back(self, stage: Stage, app: App) -> None:
        await only(stage, await stage.mention(QUESTION))
        await stage.reconnect()
        await only(stage, await stage.mention("Still there?"))

    @needs("restart")
    async def test_a_restart_in_mid_answer_ends_in_one_answer(self, stage: Stage, opened: Open) -> None:
        async with opened() as app:
            assistant(app).hold = asyncio.Event()
            asked = await stage.mention(QUESTION)
            await stage.until(lambda: stage.shown(asked))
        async with opened() as app:
            shown = await only(stage, asked)
            assert shown.text.count(ANSWER) == 1
            await stage.vote(shown, 1)
            await stage.until(lambda: votes(app))
