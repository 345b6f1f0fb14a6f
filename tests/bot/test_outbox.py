"""An answer that is made again knows what of it is on the platform."""

import pytest
import sqlalchemy as sa

from bot.messages import IncomingMessage
from bot.outbox import Outbox, Post


@pytest.fixture
def outbox(engine: sa.Engine) -> Outbox:
    return Outbox(engine)


def asked(event: str = "E1", *, conversation: str = "C1") -> IncomingMessage:
    return IncomingMessage(
        platform="test",
        event_id=event,
        conversation_id=conversation,
        thread_id="T1",
        user_id="U1",
        text="How?",
    )


def test_a_part_is_noted_before_and_after_it_is_posted(outbox: Outbox) -> None:
    message = asked()
    assert outbox.posts(message.turn_id) == []
    outbox.intend(message, 0)
    assert outbox.posts(message.turn_id) == [Post(0, None)]
    outbox.posted(message, 0, "R0")
    assert outbox.posts(message.turn_id) == [Post(0, "R0")]


def test_a_part_that_is_there_is_not_forgotten_by_a_second_intention(outbox: Outbox) -> None:
    message = asked()
    outbox.posted(message, 0, "R0")
    outbox.intend(message, 0)
    outbox.intend(message, 1)
    outbox.intend(message, 1)
    assert outbox.posts(message.turn_id) == [Post(0, "R0"), Post(1, None)]


def test_parts_come_in_order_and_of_one_turn(outbox: Outbox) -> None:
    for part in (10, 2, 0):
        outbox.posted(asked(), part, f"R{part}")
    outbox.posted(asked("E2"), 1, "other")
    assert [post.part for post in outbox.posts(asked().turn_id)] == [0, 2, 10]


def test_a_withdrawn_part_is_gone(outbox: Outbox) -> None:
    outbox.posted(asked(), 0, "R0")
    outbox.posted(asked(), 1, "R1")
    outbox.withdrawn(asked().turn_id, 1)
    outbox.withdrawn(asked().turn_id, 7)
    assert outbox.posts(asked().turn_id) == [Post(0, "R0")]
    assert outbox.turn_of("test", "C1", "R1") is None


def test_the_turn_of_a_message_on_the_platform(outbox: Outbox) -> None:
    outbox.posted(asked(), 0, "R0")
    outbox.posted(asked(), 1, "R1")
    outbox.posted(asked("E2", conversation="C2"), 0, "R0")
    assert outbox.turn_of("test", "C1", "R0") == asked().turn_id
    assert outbox.turn_of("test", "C1", "R1") == asked().turn_id
    assert outbox.turn_of("test", "C2", "R0") == asked("E2").turn_id
    assert outbox.turn_of("other", "C1", "R0") is None


def test_a_part_that_was_posted_again_has_its_new_id(outbox: Outbox) -> None:
    outbox.posted(asked(), 0, "old")
    outbox.posted(asked(), 0, "new")
    assert outbox.posts(asked().turn_id) == [Post(0, "new")]
    assert outbox.turn_of("test", "C1", "old") is None
