"""Slack with everything behind it but the model: what only adapter, desk and stores together can get right."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import cast

import pytest
import sqlalchemy as sa

from bot.app import App
from bot.assistant import Assistant
from bot.config import load_settings
from bot.database import migrate, open_database
from bot.library import Library
from bot.llm.local import Unavailable
from bot.llm.switch import SwitchableLLM
from tests.contract.scripted import ANSWER, ScriptedAssistant
from tests.contract.slack import SlackStage
from tests.platforms.slack import Message

SETTINGS = """
[llm]
enabled = false

[chat]
assistant_name = "Ada"

[[sources]]
name = "handbook"
path = "."
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    made = open_database(f"sqlite:///{tmp_path / 'parley.db'}")
    migrate(made)
    yield made
    made.dispose()


class Whole:
    """A bot on a local Slack."""

    def __init__(self, stage: SlackStage, app: App) -> None:
        self.stage, self.slack, self.app = stage, stage.slack, app
        self.assistant = ScriptedAssistant(app.feedback)
        app.desk._serving._assistant = cast("Assistant", self.assistant)

    async def answered(self, channel: str, ts: str) -> Message:
        """The complete answer below that message."""

        (answer,) = await self.slack.wait_for(
            lambda: [one for one in self.slack.answers(channel, ts) if one.buttons]
        )
        return answer


@asynccontextmanager
async def whole_parley(folder: Path, engine: sa.Engine) -> AsyncIterator[Whole]:
    async with SlackStage() as stage:
        file = folder / "parley.toml"
        file.write_text(SETTINGS + stage.settings, encoding="utf-8")
        settings = load_settings(file, stage.environ)
        library = Library(settings, engine)
        async with SwitchableLLM.open(nullcontext(Unavailable("none"))) as llm:
            app = App(settings, library=library, llm=llm, engine=engine)
            whole = Whole(stage, app)
            await stage.start(app)
            try:
                yield whole
            finally:
                await app.close()
                await stage.stop()


@pytest.fixture
async def parley(tmp_path: Path, engine: sa.Engine) -> AsyncIterator[Whole]:
    async with whole_parley(tmp_path, engine) as whole:
        yield whole


async def test_a_direct_conversation_is_one_and_each_message_is_answered_below_itself(parley: Whole) -> None:
    first = await parley.stage.direct("How many days of leave do I have?")
    await parley.answered(first.place, first.id)
    second = await parley.stage.direct("And for part-timers?")
    await parley.answered(second.place, second.id)
    below = await parley.stage.direct("And in May?", thread=first.id)
    await parley.stage.until(lambda: len(parley.slack.answers(first.place, first.id)) == 2)

    heard = parley.assistant.asked
    assert [one.text for one in heard] == [first.text, second.text, below.text]
    assert len({one.thread_id for one in heard}) == 1
    history = parley.app.feedback.history("slack", first.place, heard[2].thread_id, limit=9)
    assert [turn.question for turn in history] == [one.text for one in heard]
    assert len(parley.slack.answers(second.place, second.id)) == 1


async def test_stop_in_a_direct_conversation_needs_no_thread(parley: Whole) -> None:
    parley.assistant.hold = asyncio.Event()
    asked = await parley.stage.direct("How many days of leave do I have?")
    await parley.stage.until(lambda: parley.stage.shown(asked))
    said = await parley.stage.direct("stop")
    await parley.stage.until(lambda: "Stopped." in parley.stage.shown(asked)[0].text)
    await parley.stage.until(lambda: parley.stage.shown(said))
    assert parley.assistant.asked[1:] == []


async def test_slacks_stop_button_in_a_direct_conversation_stops_what_it_stands_below(parley: Whole) -> None:
    parley.assistant.hold = hold = asyncio.Event()
    first = await parley.stage.direct("How many days of leave do I have?")
    await parley.stage.until(lambda: parley.stage.shown(first))
    second = await parley.stage.direct("And for part-timers?")
    sessions = parley.slack.workspace.sessions
    await parley.stage.until(lambda: sessions.get((second.place, second.id)) == "processing")
    await parley.slack.stop_session(second.place, second.id, parley.stage.people["ann"])
    await parley.stage.until(lambda: parley.stage.shown(second))
    assert parley.stage.shown(second)[0].text == "Stopped."
    hold.set()
    assert ANSWER in (await parley.answered(first.place, first.id)).text


async def test_asked_about_a_message_where_it_is_not_a_member_it_says_how_to_invite_it(parley: Whole) -> None:
    ann = parley.stage.people["ann"]
    elsewhere = parley.slack.add_channel("elsewhere", members=[ann], with_bot=False)
    ts = await parley.slack.post(elsewhere, ann, "How many days of leave do I have?")
    message = parley.slack.state.find(elsewhere.id, ts)
    assert message
    await parley.slack.shortcut(message, "ask_about_this", ann)

    def told() -> list[str]:
        return [one.text for one in parley.slack.messages(elsewhere) if one.ephemeral_to == ann.id]

    await parley.stage.until(told)
    await asyncio.sleep(0.2)
    (sentence,) = told()
    assert "/invite @Ada" in sentence
    assert parley.slack.answers(elsewhere) == []


async def test_a_reaction_to_a_shared_answer_is_a_vote_on_it(parley: Whole) -> None:
    asked = await parley.stage.privately("How many days of leave do I have?")
    await parley.stage.until(lambda: [one for one in parley.stage.shown(asked) if one.can_vote])
    await parley.stage.share(parley.stage.shown(asked)[0])
    await parley.stage.until(lambda: [one for one in parley.stage.shown(asked) if not one.only_for])
    (shared,) = [one for one in parley.stage.shown(asked) if not one.only_for]
    await parley.stage.until(lambda: parley.app.desk.outbox.turn_of("slack", asked.place, shared.id))
    await parley.stage.react(shared, 1, person="bob")
    turn = parley.assistant.asked[0].turn_id
    await parley.stage.until(lambda: [vote.score for vote in parley.app.feedback.votes(turn)] == [1])
