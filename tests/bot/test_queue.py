"""Everybody gets their turn, in order, and is told where they stand."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bot.errors import QueueFullError
from bot.queue import FairQueue, Standing, Ticket


def queue(*, size: int = 100, per_person: int = 100, per_place: int = 100, parallel: int = 1) -> FairQueue:
    return FairQueue(size=size, per_person=per_person, per_place=per_place, parallel=parallel)


def ticket(key: str, *, person: str | None = None, thread: str | None = None, place: str = "c") -> Ticket:
    """A question "ann1" of ann's, in a thread of its own."""
    return Ticket(
        key=key, person=person or key.rstrip("0123456789"), place=place, thread=("slack", "c", thread or key)
    )


def drain(waiting: FairQueue) -> list[str]:
    """Serve everybody, one after the other."""
    served = []
    while taken := waiting.take():
        served.append(taken.key)
        waiting.done(taken, 1.0)
    return served


def filled(waiting: FairQueue, *keys: str) -> FairQueue:
    for key in keys:
        waiting.add(ticket(key))
    return waiting


def test_nobody_is_taken_from_an_empty_queue() -> None:
    assert queue().take() is None
    assert queue().waiting() == []


def test_people_take_turns_however_much_one_of_them_asks() -> None:
    waiting = filled(queue(), "ann1", "ann2", "ann3", "ben1", "cleo1", "ben2")
    assert drain(waiting) == ["ann1", "ben1", "cleo1", "ann2", "ben2", "ann3"]


def test_who_asks_again_comes_after_those_who_wait() -> None:
    waiting = filled(queue(), "ann1", "ben1")
    taken = waiting.take()
    assert taken is not None
    waiting.add(ticket("ann2"))
    waiting.done(taken, 1.0)
    assert drain(waiting) == ["ben1", "ann2"]


def test_a_thread_is_answered_one_question_at_a_time_and_in_order() -> None:
    waiting = queue(parallel=3)
    waiting.add(ticket("ann1", thread="t"))
    first = waiting.take()
    assert first is not None
    waiting.add(ticket("ben1", thread="t"))
    waiting.add(ticket("ann2", thread="t"))
    waiting.add(ticket("cleo1"))
    other = waiting.take()
    assert other is not None
    assert other.key == "cleo1"
    assert waiting.take() is None
    waiting.done(first, 1.0)
    assert drain(waiting) == ["ben1", "ann2"]


def test_who_waits_for_a_thread_keeps_their_turn() -> None:
    waiting = queue(parallel=2)
    waiting.add(ticket("ann1", thread="t"))
    first = waiting.take()
    assert first is not None
    waiting.add(ticket("ben1", thread="t"))
    filled(waiting, "cleo1", "cleo2")
    assert waiting.waiting() == ["cleo1", "ben1", "cleo2"]
    taken = waiting.take()
    assert taken is not None
    waiting.done(first, 1.0)
    assert drain(waiting) == ["ben1", "cleo2"]


def test_no_more_are_taken_than_can_be_answered_at_once() -> None:
    waiting = filled(queue(parallel=2), "ann1", "ben1", "cleo1")
    taken = [waiting.take(), waiting.take()]
    assert None not in taken
    assert waiting.take() is None


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"per_person": 2}, r"of your questions are waiting already \(the limit is 2\); please ask again"),
        ({"per_place": 2}, "questions from here are waiting"),
        ({"size": 2}, r"Too many questions are waiting already \(the limit is 2\)"),
    ],
)
def test_a_full_queue_says_which_limit_is_reached(limits: dict[str, int], said: str) -> None:
    waiting = filled(queue(**limits), "ann1", "ann2")
    with pytest.raises(QueueFullError, match=said):
        waiting.add(ticket("ann3"))
    assert waiting.waiting() == ["ann1", "ann2"]


def test_limits_are_of_the_person_and_the_place() -> None:
    waiting = queue(per_person=1, per_place=2)
    waiting.add(ticket("ann1", place="c"))
    waiting.add(ticket("ben1", place="c"))
    waiting.add(ticket("cleo1", place="d"))
    assert len(waiting) == 3


def test_what_is_being_answered_does_not_count_as_waiting() -> None:
    waiting = filled(queue(per_person=1, size=1), "ann1")
    assert waiting.take()
    waiting.add(ticket("ann2"))
    assert len(waiting) == 1


def test_what_was_accepted_before_a_restart_meets_no_limit() -> None:
    waiting = queue(size=1, per_person=1, per_place=1)
    for n in range(3):
        waiting.add(ticket(f"ann{n}"), again=True)
    assert drain(waiting) == ["ann0", "ann1", "ann2"]


def test_nothing_is_queued_twice() -> None:
    waiting = filled(queue(), "ann1")
    with pytest.raises(ValueError, match="already"):
        waiting.add(ticket("ann1"))
    taken = waiting.take()
    assert taken is not None
    with pytest.raises(ValueError, match="already"):
        waiting.add(taken)
    waiting.done(taken, None)
    waiting.add(taken)  # tried again later
    assert drain(waiting) == ["ann1"]


def test_a_cancelled_question_makes_room_for_the_next() -> None:
    waiting = filled(queue(), "ann1", "ann2", "ben1")
    assert waiting.remove("ann1") == ticket("ann1")
    assert waiting.remove("ann1") is None
    assert waiting.standing("ann1") is None
    assert drain(waiting) == ["ann2", "ben1"]


def test_a_question_that_ends_twice_does_not_free_its_thread_for_two() -> None:
    waiting = queue(parallel=2)
    for key in ("ann1", "ann2", "ann3"):
        waiting.add(ticket(key, thread="t"))
    first = waiting.take()
    assert first is not None
    waiting.done(first, 1.0)
    assert waiting.take()
    waiting.done(first, 1.0)
    assert waiting.take() is None


def test_standing_before_anything_is_known() -> None:
    assert filled(queue(), "ann1", "ben1").standing("ben1") == Standing(2, None)


def time_one(waiting: FairQueue, seconds: float | None) -> None:
    filled(waiting, "warm-up")
    taken = waiting.take()
    assert taken is not None
    waiting.done(taken, seconds)


def test_the_estimate_is_shared_by_those_who_are_answered_at_once() -> None:
    waiting = queue(parallel=2)
    for seconds in (9, 10, 600, None):
        time_one(waiting, seconds)
    filled(waiting, "ann1", "ben1", "cleo1", "dan1", "eve1")
    assert waiting.standing("ann1") == Standing(1, 0.0)
    assert waiting.take()
    assert waiting.take()
    assert [waiting.standing(key) for key in waiting.waiting()] == [
        Standing(1, 5.0),
        Standing(2, 10.0),
        Standing(3, 15.0),
    ]


def test_the_estimate_knows_that_a_thread_is_answered_in_order() -> None:
    waiting = queue(parallel=4)
    time_one(waiting, 10)
    for n in range(3):
        waiting.add(ticket(f"ann{n}", thread="t"))
    assert waiting.take()
    assert [waiting.standing(f"ann{n}") for n in range(3)] == [None, Standing(1, 10.0), Standing(2, 20.0)]


def test_the_estimate_forgets_old_answers() -> None:
    waiting = queue()
    for seconds in [100] * 20 + [2] * 20:
        time_one(waiting, seconds)
    filled(waiting, "ann1", "ben1")
    assert waiting.take()
    assert waiting.standing("ben1") == Standing(1, 2.0)


class Traffic(RuleBasedStateMachine):
    """Any traffic: questions come, are cancelled, are taken, and end in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FairQueue(size=12, per_person=4, per_place=6, parallel=3)
        self.added: list[Ticket] = []
        self.waits: list[Ticket] = []
        """In order of arrival."""
        self.serving: list[Ticket] = []
        self.taken: list[Ticket] = []
        self.served_while_waiting: dict[str, set[str]] = {}
        """For each person who waits, whom they have seen being served since they began to wait."""

    def can_be_served(self, candidate: Ticket) -> bool:
        earlier = self.waits[: self.waits.index(candidate)]
        return not any(other.thread == candidate.thread for other in [*self.serving, *earlier]) and not any(
            other.person == candidate.person for other in earlier
        )

    @rule(person=st.sampled_from("abcd"), thread=st.sampled_from("tuvw"), place=st.sampled_from("cd"))
    def add(self, person: str, thread: str, place: str) -> None:
        new = Ticket(key=str(len(self.added)), person=person, place=place, thread=("p", place, thread))
        self.added.append(new)
        is_full = (
            len(self.waits) >= 12
            or sum(other.person == person for other in self.waits) >= 4
            or sum(other.place == place for other in self.waits) >= 6
        )
        if is_full:
            with pytest.raises(QueueFullError):
                self.queue.add(new)
            return
        self.queue.add(new)
        self.waits.append(new)
        self.served_while_waiting.setdefault(person, set())

    @rule()
    def take(self) -> None:
        foretold = self.queue.waiting()
        servable = [one for one in self.waits if self.can_be_served(one)] if len(self.serving) < 3 else []
        taken = self.queue.take()
        if taken is None:
            assert not servable
            return
        assert taken in servable
        assert taken.key == foretold[0]
        for other in servable:
            if other.person != taken.person:
                assert taken.person not in self.served_while_waiting[other.person]
        self.waits.remove(taken)
        self.serving.append(taken)
        self.taken.append(taken)
        for seen in self.served_while_waiting.values():
            seen.add(taken.person)
        self.served_while_waiting[taken.person] = set()
        self.forget_who_left()

    @precondition(lambda self: self.serving)
    @rule(data=st.data(), seconds=st.none() | st.floats(0, 1000))
    def end(self, data: st.DataObject, seconds: float | None) -> None:
        ended = data.draw(st.sampled_from(self.serving))
        self.serving.remove(ended)
        self.queue.done(ended, seconds)

    @precondition(lambda self: self.waits)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        cancelled = data.draw(st.sampled_from(self.waits))
        assert self.queue.remove(cancelled.key) == cancelled
        self.waits.remove(cancelled)
        self.forget_who_left()

    def forget_who_left(self) -> None:
        people = {one.person for one in self.waits}
        self.served_while_waiting = {
            person: seen for person, seen in self.served_while_waiting.items() if person in people
        }

    @invariant()
    def nothing_is_lost_and_nothing_is_there_twice(self) -> None:
        assert len(self.queue) == len(self.waits)
        assert sorted(self.queue.waiting()) == sorted(one.key for one in self.waits)
        assert len({one.key for one in self.taken}) == len(self.taken)

    @invariant()
    def positions_count_from_one_and_estimates_rise(self) -> None:
        standings = [self.queue.standing(key) for key in self.queue.waiting()]
        assert [one.position for one in standings if one] == list(range(1, len(self.waits) + 1))
        for earlier, later in pairwise(one.seconds for one in standings if one):
            assert (earlier is None) == (later is None)
            assert earlier is None or later is None or 0 <= earlier <= later

    @invariant()
    def order_within_a_person_and_a_thread_is_kept(self) -> None:
        for earlier, later in pairwise(sorted(self.taken, key=lambda one: (one.person, self.when(one)))):
            assert earlier.person != later.person or int(earlier.key) < int(later.key)
        for earlier, later in pairwise(sorted(self.taken, key=lambda one: (one.thread, self.when(one)))):
            assert earlier.thread != later.thread or int(earlier.key) < int(later.key)

    def when(self, taken: Ticket) -> int:
        return self.taken.index(taken)

    @invariant()
    def a_thread_is_answered_once_at_a_time(self) -> None:
        assert len({one.thread for one in self.serving}) == len(self.serving) <= 3

    def teardown(self) -> None:
        """When nothing else comes, all are served, and in the order that was foretold."""
        foretold, served = self.queue.waiting(), []
        while self.waits:
            taken = self.queue.take() if len(self.serving) < 3 else None
            if taken is None:
                self.queue.done(self.serving.pop(0), 1.0)
                continue
            served.append(taken.key)
            self.waits.remove(taken)
            self.serving.append(taken)
        assert served == foretold


TestTraffic = Traffic.TestCase


@given(st.permutations(["ann1", "ann2", "ann3", "ben1", "ben2", "cleo1"]))
def test_rounds_end_before_the_next_begins(arrivals: list[str]) -> None:
    served = [key.rstrip("0123456789") for key in drain(filled(queue(), *arrivals))]
    assert set(served[:3]) == {"ann", "ben", "cleo"}
    assert served[3:5] in (["ann", "ben"], ["ben", "ann"])
