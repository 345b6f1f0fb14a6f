"""What answers look like in Slack; every shape is checked against Slack's documented limits."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.render import REASONS
from adapters.slack import blocks
from bot.messages import Final, Progress
from feedback.records import Mode, Score, SourceRecord
from tests.platforms import slack_blocks
from tests.platforms.slack_text import notifies, parsed_strings, read_blocks

TURN = "0123456789abcdef0123456789abcdef"


def source(
    n: int, title: str = "Travel", heading: str = "Hotels", uri: str = "docs/travel.md"
) -> SourceRecord:
    return SourceRecord(n=n, chunk_id=f"c{n}", title=title, heading=heading, uri=uri, score=1.0, text="text")


def final(
    *sources: SourceRecord, answer: str = "Up to 140 EUR.", mode: Mode = "written", note: str = ""
) -> Final:
    return Final(
        turn_id=TURN,
        mode=mode,
        answer=answer,
        sources=sources,
        model_id="m",
        retrieve_ms=1,
        first_text_ms=2,
        total_ms=3,
        note=note,
    )


def shown(message: list[dict[str, Any]]) -> list[str]:
    """What a person reads; the message has to be one that Slack takes."""
    assert list(slack_blocks.message_blocks(message)) == []
    return list(read_blocks(message, lambda name: name))


def test_an_answer_with_its_sources() -> None:
    message = blocks.answer_blocks(
        final(
            source(1),
            source(2, "IT & more", "", "https://wiki.example/it?a=1&b=2"),
            source(3, heading="Meals"),
        ),
        text="Up to **140 EUR** [1].",
    )
    assert shown(message) == [
        "Up to **140 EUR** [1].",
        "[1][3] Travel › Hotels, Meals · travel.md\n[2] IT & more",
    ]
    assert message[1]["elements"][0]["text"].endswith(
        "[2] <https://wiki.example/it?a=1&amp;b=2|IT &amp; more>"
    )


def test_a_remark_says_how_the_answer_came_about() -> None:
    message = blocks.answer_blocks(final(mode="quotes", note="The model is down <here>."), text="> 140 EUR")
    assert shown(message) == ["> 140 EUR", "In the documents' own words. The model is down <here>."]


def test_the_end_of_a_streamed_answer_has_no_text_of_its_own() -> None:
    (block,) = blocks.answer_blocks(final(), text="")
    assert block["type"] == "context_actions"


def test_the_buttons_carry_the_turn() -> None:
    *_, vote = blocks.answer_blocks(final(), text="x")
    (element,) = vote["elements"]
    assert element["action_id"] == "parley_vote"
    assert blocks.parse_vote(element["positive_button"]["value"]) == (TURN, 1)
    assert blocks.parse_vote(element["negative_button"]["value"]) == (TURN, -1)


def test_a_private_answer_can_be_shared() -> None:
    message = blocks.answer_blocks(final(), text="x", channel_can_share=True)
    shown(message)
    (button,) = next(block for block in message if block["type"] == "actions")["elements"]
    assert (button["text"]["text"], button["action_id"], button["value"]) == (
        "Share in channel",
        "parley_share",
        TURN,
    )


@pytest.mark.parametrize("score", [1, -1])
def test_votes_read_as_written(score: Score) -> None:
    assert blocks.parse_vote(blocks.vote_value(TURN, score)) == (TURN, score)


@pytest.mark.parametrize(
    "value", ["", "x", TURN, f"{TURN}:0", f"{TURN}:+1 ", f"{TURN.upper()}:+1", f"{TURN}:+11"]
)
def test_a_value_of_somebody_else_is_no_vote(value: str) -> None:
    assert blocks.parse_vote(value) is None


def test_a_long_answer_is_cut_into_messages_with_room_for_the_rest() -> None:
    pieces = blocks.parts("A sentence of an answer. " * 1000)
    assert len(pieces) > 1
    for piece in pieces:
        message = blocks.answer_blocks(
            final(*(source(n, "T" * 200, uri=f"d{n}.md") for n in range(20))), text=piece
        )
        shown(message)
        assert len(json.dumps(message)) < 13_200


def test_sources_that_do_not_fit_are_counted() -> None:
    many = [source(n, f"Document {n} " + "x" * 80, "", f"d{n}.md") for n in range(1, 61)]
    *_, last = shown([blocks.sources_block(many)])[0].splitlines()
    assert last.startswith("and ")
    assert last.endswith(" more")


def test_waiting_shows_the_place_and_a_way_out() -> None:
    message = blocks.queue_blocks("2nd in line, about 20 s", TURN)
    assert shown(message) == ["2nd in line, about 20 s"]
    button = message[0]["accessory"]
    assert (button["action_id"], button["value"]) == ("parley_stop", TURN)


def test_what_was_shown_stays_when_it_was_stopped_or_failed() -> None:
    assert shown(blocks.stopped_blocks("Up to")) == ["Up to", "Stopped."]
    assert shown(blocks.stopped_blocks()) == ["Stopped."]
    assert shown(blocks.failed_blocks("The model is down.", text="Up to")) == ["Up to", "The model is down."]
    assert shown(blocks.failed_blocks("The model is down.")) == ["The model is down."]


def test_stages_become_cards() -> None:
    stages = [Progress("searching", "Searching the documents"), Progress("reading", "Reading 3 passages")]
    cards = blocks.task_cards(stages)
    assert list(slack_blocks.chunks(cards)) == []
    assert [(card["id"], card["status"]) for card in cards] == [
        ("searching", "complete"),
        ("reading", "in_progress"),
    ]
    assert [card["status"] for card in blocks.task_cards(stages, last="error")] == ["complete", "error"]
    assert blocks.task_cards([]) == []
    assert list(slack_blocks.chunks(blocks.markdown_chunks("text"))) == []
    assert blocks.markdown_chunks("") == []


def sent(view: dict[str, Any], reason: str | None, comment: str | None) -> dict[str, Any]:
    """The view as Slack sends it back."""
    option = next((o for o in view["blocks"][0]["element"]["options"] if o["text"]["text"] == reason), None)
    values = {
        "reason": {"reason": {"type": "radio_buttons", "selected_option": option}},
        "comment": {"comment": {"type": "plain_text_input", "value": comment}},
    }
    return {"private_metadata": view["private_metadata"], "state": {"values": values}}


def test_the_question_what_was_wrong() -> None:
    view = blocks.reason_modal(TURN, channel="C1")
    assert list(slack_blocks.view(view)) == []
    offered = [option["text"]["text"].lower() for option in view["blocks"][0]["element"]["options"]]
    assert offered == list(REASONS)

    assert blocks.parse_reason(sent(view, "Wrong source", " It is 150. ")) == (
        TURN,
        "wrong source",
        "It is 150.",
    )
    assert blocks.parse_reason(sent(view, None, None)) == (TURN, "", "")
    assert blocks.modal_channel(sent(view, None, None)) == "C1"


def test_a_notification_tells_the_answer_in_plain_words() -> None:
    answer = "Up to **140 EUR** for `<!channel>` & co [1].\n\n> quote\n" + "More words. " * 100
    text = blocks.fallback_text(final(answer=answer))
    assert text.startswith("Up to 140 EUR for &lt;!channel&gt; &amp; co [1]. quote More words.")
    assert text.endswith("…")
    assert len(text) < 400
    assert blocks.fallback_text(final(answer=" ")) == "The answer is here."


_ANYTHING = st.text(max_size=40) | st.sampled_from(
    ["<!channel>", "<@U1>|", "&" * 700, "x" * 4000, "https://a.b/|>"]
)
_SOURCES = st.lists(st.builds(source, st.integers(1, 99), _ANYTHING, _ANYTHING, _ANYTHING), max_size=12)


@given(_SOURCES, _ANYTHING, _ANYTHING, st.booleans())
def test_slack_takes_whatever_documents_and_people_say(
    sources: list[SourceRecord], words: str, note: str, share: bool
) -> None:
    answer = final(*sources, answer=words, note=note, mode="quotes")
    for message in (
        blocks.answer_blocks(answer, text="text", channel_can_share=share),
        blocks.failed_blocks(words),
        blocks.queue_blocks(words, TURN),
    ):
        shown(message)
        for text in parsed_strings(message):
            assert list(notifies(text, allowed=set())) == []
    assert list(slack_blocks.chunks(blocks.task_cards([Progress("reading", words)]))) == []
    assert list(notifies(blocks.fallback_text(answer), allowed=set())) == []
