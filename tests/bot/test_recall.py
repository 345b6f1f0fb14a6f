"""Which earlier turns an answer may build on."""

from dataclasses import replace

import pytest

from bot.attachments import SOURCE
from bot.messages import IncomingMessage
from bot.recall import usable
from feedback.records import SourceRecord, Turn, now

MESSAGE = IncomingMessage(
    platform="slack",
    event_id="e1",
    conversation_id="C1",
    thread_id="t1",
    user_id="U1",
    text="and interns?",
    addressed="mention",
)
ALONE = replace(MESSAGE, is_private=True)
DIRECT = replace(MESSAGE, addressed="direct")
VISIBLE = frozenset({"handbook"})


def found(source: str) -> SourceRecord:
    return SourceRecord(1, "c", "Leave", "", "/leave.md", 1.0, "28 days", source)


TURN = Turn(
    id="t",
    platform="slack",
    conversation_id="C1",
    thread_id="t1",
    user_id="U2",
    question="how much leave do I get?",
    answer="28 days [1]",
    mode="quotes",
    outcome="answered",
    sources=(),
    retrieved=(found("handbook"),),
    model_id="",
    prompt_id="",
    started_at=now(),
    retrieve_ms=0,
    first_text_ms=None,
    total_ms=0,
    audience=("slack:C1",),
)
WHISPERED = replace(TURN, audience=())
OWN = replace(WHISPERED, user_id="U1")


@pytest.mark.parametrize(
    ("turn", "message", "counts"),
    [
        (TURN, MESSAGE, True),
        (TURN, ALONE, True),
        (WHISPERED, MESSAGE, False),
        (WHISPERED, ALONE, False),
        (OWN, MESSAGE, False),
        (OWN, ALONE, True),
        (OWN, DIRECT, True),
        (replace(TURN, audience=None), MESSAGE, False),
        (replace(TURN, id=MESSAGE.turn_id), MESSAGE, False),
        (replace(TURN, retrieved=(found("handbook"), found("board"))), MESSAGE, False),
        (replace(TURN, retrieved=(found(SOURCE),)), MESSAGE, True),
        (replace(TURN, retrieved=()), MESSAGE, True),
    ],
)
def test_only_what_all_readers_could_see_counts(turn: Turn, message: IncomingMessage, counts: bool) -> None:
    assert usable([turn], message, visible=VISIBLE) == [turn] * counts
