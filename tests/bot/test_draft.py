from dataclasses import replace

from bot.delivery import deliver
from bot.draft import Draft, Replay
from bot.messages import Final, IncomingMessage, Text
from feedback.records import Turn
from knowledge.documents import Hit
from tests.bot.conftest import chunk
from tests.bot.fakes import RecordingReply

MESSAGE = IncomingMessage(
    platform="test", event_id="e", conversation_id="c", thread_id="t", user_id="u", text="How much leave?"
)


def draft() -> Draft:
    made = Draft(MESSAGE, "answer-2", mode="written", model_id="tiny", outcome="answered")
    made.hits = [Hit(chunk("leave", "28 days."), 0.9, 0.5), Hit(chunk("travel", "160 EUR."), 0.8, 0.4)]
    made.cited.add(1)
    made.text("28 days. ")
    made.text("[1]")
    return made


def test_a_draft_has_the_turn_of_its_message_each_time() -> None:
    assert draft().turn().id == draft().final().turn_id == MESSAGE.turn_id


def test_sources_are_what_was_cited_with_the_names_of_their_sources() -> None:
    turn = draft().turn()
    assert [(source.title, source.source) for source in turn.sources] == [("Leave", "handbook")]
    assert [source.title for source in turn.retrieved] == ["Leave", "Travel"]


def test_a_turn_says_who_could_see_it_and_the_team_is_not_enough() -> None:
    team = frozenset({"everyone", "test:team", "test:c"})
    in_channel = replace(MESSAGE, addressed="mention", principals=team)
    assert Draft(in_channel, "answer-2").turn().audience == ("test:c",)
    assert Draft(replace(in_channel, is_private=True), "answer-2").turn().audience == ()
    assert Draft(replace(in_channel, addressed="direct"), "answer-2").turn().audience == ()


async def replayed(turn: Turn) -> list[object]:
    async with Replay(turn).answer(MESSAGE) as events:
        return [event async for event in events]


async def test_a_stored_answer_is_shown_again_as_it_was() -> None:
    made = draft()
    assert await replayed(made.turn()) == [Text("28 days. [1]"), made.final()]


async def test_a_note_of_that_moment_is_not_repeated() -> None:
    made = draft()
    made.note = "The model is down."
    *_, final = await replayed(made.turn())
    assert isinstance(final, Final)
    assert final.note == ""


async def test_a_replay_is_delivered_like_an_answer() -> None:
    reply = RecordingReply()
    outcome, final = await deliver(Replay(draft().turn()), MESSAGE, reply)
    assert (outcome, final) == ("answered", draft().final())
    assert reply.shown == [("text", "28 days. [1]"), ("finish", "written")]
