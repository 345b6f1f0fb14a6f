"""What Slack sends is understood: who is spoken to, what was said, and what is none of the bot's business."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack import events
from adapters.slack.events import Deleted, Edited, Place, place_of
from adapters.votes import Reaction
from bot.messages import Attachment, IncomingMessage
from feedback.records import Score

BOT = "U0BOT"


def body(**event: Any) -> dict[str, Any]:
    whole = {"type": "message", "channel": "C1", "channel_type": "channel", "user": "U1", "ts": "5.000100"}
    return {"api_app_id": "A1", "event_id": "Ev1", "event": whole | event}


def parsed(**event: Any) -> Any:
    return events.message(body(**event), team_id="T1", bot_user_id=BOT)


def test_a_message_and_its_mention_are_one_message() -> None:
    said = parsed(text=f"<@{BOT}> How long?")
    named = parsed(type="app_mention", channel_type=None, text=f"<@{BOT}> How long?")
    assert said == named
    assert isinstance(said, IncomingMessage)
    assert (said.text, said.addressed, said.person, said.place) == (
        "How long?",
        "mention",
        "slack:U1",
        "slack:C1",
    )
    assert (said.workspace_id, said.message_id, said.thread_id) == ("T1", "5.000100", "5.000100")


@pytest.mark.parametrize(
    ("event", "addressed"),
    [
        ({"text": "hello"}, "channel"),
        ({"text": "hello", "thread_ts": "5.000100"}, "channel"),
        ({"text": "and then?", "thread_ts": "4.000000"}, "thread"),
        ({"text": f"and then, <@{BOT}>?", "thread_ts": "4.000000"}, "mention"),
        ({"text": f"<@{BOT}2> and then?"}, "channel"),
        ({"text": "hello", "channel_type": "im", "channel": "D1"}, "direct"),
        ({"text": f"<@{BOT}> hello", "channel_type": "im", "channel": "D1"}, "direct"),
        ({"text": "hello", "channel_type": "mpim", "channel": "G1"}, "channel"),
    ],
)
def test_how_the_bot_is_addressed(event: dict[str, Any], addressed: str) -> None:
    assert parsed(**event).addressed == addressed


@pytest.mark.parametrize(
    "event",
    [
        {"user": BOT, "text": "My answer."},
        {"user": "U9", "app_id": "A1", "bot_id": "B1", "text": "My answer under another name."},
        {"subtype": "channel_join", "text": "<@U1> has joined the channel"},
        {"subtype": "channel_topic", "text": "topic"},
        {"user": None, "text": "nobody"},
    ],
)
def test_what_is_none_of_its_business(event: dict[str, Any]) -> None:
    assert parsed(**event) is None


def pressed(**changes: Any) -> dict[str, Any]:
    return {
        "user": {"id": "U1"},
        "container": {"type": "message", "message_ts": "6.000100", "channel_id": "C1"} | changes,
        "actions": [
            {
                "action_id": "parley_command_0",
                "value": "forget <@U42>",
                "text": {"type": "plain_text", "text": "Forget"},
                "action_ts": "7.0",
            }
        ],
        "response_url": "https://slack.example/response",
    }


def test_a_button_is_a_command_of_whoever_pressed_it() -> None:
    choice = events.choice(pressed(thread_ts="5.000100"), team_id="T1")
    given = choice.command
    assert (given.text, given.addressed, given.person) == ("forget <@U42>", "command", "slack:U1")
    assert (given.workspace_id, given.place, given.is_private) == ("T1", "slack:C1", True)
    assert place_of(given) == Place("5.000100", "6.000100", "https://slack.example/response")
    assert (choice.label, choice.shown) == ("Forget", None)


def test_a_button_pressed_twice_is_one_command_and_by_two_people_two() -> None:
    first = events.choice(pressed(), team_id="T1").command
    again = pressed()
    again["actions"][0]["action_ts"] = "8.0"
    assert events.choice(again, team_id="T1").command.turn_id == first.turn_id
    other = pressed() | {"user": {"id": "U2"}}
    assert events.choice(other, team_id="T1").command.turn_id != first.turn_id
    assert events.choice(pressed(message_ts="6.000200"), team_id="T1").command.turn_id != first.turn_id


@pytest.mark.parametrize("said", ["forget <@U42>", "forget <@U42|ann>"])
def test_a_person_in_a_command_is_their_id(said: str) -> None:
    body = {
        "command": "/parley",
        "text": said,
        "trigger_id": "t1",
        "channel_id": "C1",
        "user_id": "U1",
        "response_url": "https://slack.example/response",
    }
    assert events.command(body, team_id="T1").text == "forget <@U42>"
    assert parsed(text=f"<@{BOT}> {said}").text == "forget <@U42>"


def test_other_bots_are_known_as_bots() -> None:
    told = parsed(subtype="bot_message", user=None, bot_id="B7", text="Build failed")
    assert (told.by_bot, told.person) == (True, "slack:B7")
    assert parsed(user="U7", bot_id="B7", app_id="A7", text="hi").by_bot
    assert not parsed(text="hi").by_bot


def test_a_reply_that_was_also_sent_to_the_channel_stays_in_its_thread() -> None:
    assert parsed(subtype="thread_broadcast", text="and?", thread_ts="4.0").thread_id == "4.0"


def test_a_direct_conversation_is_one_and_each_message_is_answered_below_itself() -> None:
    first = parsed(channel="D1", text="How long?")
    second = parsed(channel="D1", text="And for part-timers?", ts="6.0")
    below = parsed(channel="D1", text="And in May?", ts="7.0", thread_ts="5.000100")
    assert {asked.thread_id for asked in (first, second, below)} == {"D1"}
    threads = [place_of(asked).thread_ts for asked in (first, second, below)]
    assert threads == ["5.000100", "6.0", "5.000100"]


@pytest.mark.parametrize("channel", ["C1", "D1"])
def test_slacks_stop_button_is_about_one_thread(channel: str) -> None:
    event = {"channel": channel, "thread_ts": "5.000100", "user": "U1"}
    stopped = events.stopped({"event": event})
    assert stopped.stops(parsed(channel=channel, text="How long?"))
    assert stopped.stops(parsed(channel=channel, text="And in May?", ts="7.0", thread_ts="5.000100"))
    assert not stopped.stops(parsed(channel=channel, text="And for part-timers?", ts="6.0"))
    assert not stopped.stops(parsed(channel="C2", text="How long?"))


def test_files_come_along() -> None:
    file = {"id": "F1", "name": "a.pdf", "size": 7, "url_private": "https://files.slack.com/a"}
    better = file | {"url_private_download": "https://files.slack.com/download/a"}
    gone = {"id": "F2", "mode": "tombstone"}
    bare = {"id": "F3", "file_access": "check_file_info"}
    found = parsed(subtype="file_share", text="", files=[better, gone, bare]).attachments
    assert found == (
        Attachment(name="a.pdf", size=7, url="https://files.slack.com/download/a"),
        Attachment(name="F3", size=0, url=""),
    )


def changed(**more: Any) -> Any:
    before = {"user": "U1", "ts": "5.000100", "text": "How lonng?"}
    now = before | {"text": "How long &amp; why?"}
    return parsed(subtype="message_changed", **({"message": now, "previous_message": before} | more))


def test_a_new_text_is_an_edit_and_nothing_else_is() -> None:
    assert changed() == Edited("C1", "5.000100", "How long & why?")
    same = {"user": "U1", "ts": "5.000100", "text": "How lonng?"}
    assert changed(message=same | {"attachments": [{"from_url": "https://x"}]}) is None
    assert changed(message={"user": BOT, "ts": "6.0", "text": "more of the answer"}) is None


def test_deleted_messages() -> None:
    assert parsed(subtype="message_deleted", deleted_ts="5.000100") == Deleted("C1", "5.000100")
    root = {
        "user": "USLACKBOT",
        "subtype": "tombstone",
        "ts": "5.000100",
        "text": "This message was deleted.",
    }
    assert changed(message=root) == Deleted("C1", "5.000100")


@pytest.mark.parametrize(
    ("slack", "people"),
    [
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&amp;lt;", "&lt;"),
        ("see <https://x.example/a?b=1&amp;c=2>", "see https://x.example/a?b=1&c=2"),
        ("see <https://x.example|the page>", "see the page (https://x.example)"),
        ("see <http://x.example|x.example>", "see x.example"),
        ("see <https://x.example/|https://x.example/>", "see https://x.example/"),
        ("write <mailto:a@x.example|a@x.example>", "write a@x.example"),
        ("ask <@U2> or <@U3|bob>", "ask <@U2> or <@U3>"),
        ("in <#C1|general> or <#C2> or <#C3|>", "in #general or <#C2> or <#C3>"),
        ("<!here> <!subteam^S1|@it> <!subteam^S2>", "@here @it @subteam"),
        ("<!date^1392734382^{date}|18 February>", "18 February"),
        (f"<@{BOT}>, <@{BOT}|parley>: how long?", "how long?"),
        (f"how long, <@{BOT}>?", "how long?"),
        (f"how long <@{BOT}>", "how long"),
        (f"what can <@{BOT}> do?", f"what can <@{BOT}> do?"),
        (f"<@{BOT}2> how long?", f"<@{BOT}2> how long?"),
        (f"<@{BOT}>", ""),
    ],
)
def test_text_as_people_read_it(slack: str, people: str) -> None:
    assert events.plain(slack, bot_user_id=BOT) == people


@given(st.text())
def test_typed_text_comes_back(typed: str) -> None:
    escaped = typed.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert events.plain(escaped, bot_user_id=BOT) == typed.strip()


COMMAND = {
    "command": "/ask",
    "text": "How long?",
    "trigger_id": "1.2.a",
    "channel_id": "C1",
    "user_id": "U1",
    "response_url": "https://hooks.slack.com/1",
}


def test_ask_is_a_private_question_of_its_own() -> None:
    asked = events.command(COMMAND, team_id="T1")
    again = events.command(COMMAND | {"trigger_id": "1.2.b"}, team_id="T1")
    assert (asked.addressed, asked.is_private, asked.text) == ("mention", True, "How long?")
    assert place_of(asked) == Place(response_url="https://hooks.slack.com/1")
    assert asked.turn_id != again.turn_id
    assert asked.thread_id != again.thread_id  # or they would be each other's history
    assert events.command(COMMAND | {"command": "/parley"}, team_id="T1").addressed == "command"


def test_asking_about_a_message_answers_in_its_thread() -> None:
    chosen = {"user": "U2", "ts": "5.0", "text": f"<@{BOT}> how long?", "thread_ts": "4.0"}
    payload = {
        "message": chosen,
        "message_ts": "5.0",
        "channel": {"id": "C1", "name": "general"},
        "user": {"id": "U1"},
        "action_ts": "7.0",
        "response_url": "https://hooks.slack.com/1",
    }
    asked = events.shortcut(payload, team_id="T1", bot_user_id=BOT)
    assert (asked.text, asked.person, asked.thread_id) == ("how long?", "slack:U1", "4.0")
    assert (asked.addressed, asked.is_private) == ("shortcut", False)
    assert place_of(asked) == Place("4.0", "5.0", "https://hooks.slack.com/1")
    assert asked.turn_id != parsed(ts="5.0", text="x").turn_id
    assert events.shortcut(payload, team_id="T1", bot_user_id=BOT) == asked


@pytest.mark.parametrize(
    ("emoji", "score"), [("+1", 1), ("thumbsup::skin-tone-5", 1), ("-1::skin-tone-2", -1), ("thumbsdown", -1)]
)
def test_thumbs_in_every_colour(emoji: str, score: Score) -> None:
    event = {
        "type": "reaction_removed",
        "user": "U1",
        "reaction": emoji,
        "item": {"type": "message", "channel": "C1", "ts": "5.0"},
    }
    assert events.reaction({"event": event}, bot_user_id=BOT) == Reaction(
        "C1", "5.0", "U1", score, added=False
    )
    assert events.reaction({"event": event | {"user": BOT}}, bot_user_id=BOT) is None
    assert events.reaction({"event": event | {"reaction": "tada"}}, bot_user_id=BOT) is None
    assert (
        events.reaction({"event": event | {"item": {"type": "file", "file": "F1"}}}, bot_user_id=BOT) is None
    )
