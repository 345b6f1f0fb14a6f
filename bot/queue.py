"""Who is answered next: round robin over people, first come within a person, one thread in order.

Of a person's questions, and of a thread's, none overtakes an earlier one; a thread is answered one question at a
time. Whose next question must wait for a thread keeps their place among the others meanwhile. An estimate is what the
last answers took, no promise.

Pure and synchronous: no clock, no locks, nothing stored. It belongs to one thread of the program.
"""

from collections import OrderedDict, deque
from collections.abc import Container
from dataclasses import dataclass, field
from statistics import median

from bot.errors import QueueFullError

REMEMBERED = 20
"""Answers whose durations make the estimate."""

Thread = tuple[str, str, str]
"""Platform, conversation, thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A question's place in the queue. It holds only the key, so an edited question keeps its place."""

    key: str
    """The turn id."""
    person: str
    place: str
    thread: Thread


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a waiting question stands."""

    position: int
    """1 is next."""
    seconds: float | None
    """Until its answer begins, roughly; None while no answer has been timed."""


class FairQueue:
    """The waiting questions, and which are being answered."""

    def __init__(self, *, size: int, per_person: int, per_place: int, parallel: int) -> None:
        """`size`, `per_person` and `per_place` bound those that wait, `parallel` those being answered."""
        self._size = size
        self._per_person = per_person
        self._per_place = per_place
        self._parallel = parallel
        self._waiting: dict[str, Ticket] = {}
        self._rota = _Rota()
        self._serving: dict[Thread, str] = {}
        """Key by thread, in the order in which they were taken."""
        self._durations: deque[float] = deque(maxlen=REMEMBERED)
        self._forecasted: dict[str, float] | None = None
        """None when something has changed since."""

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def add(self, ticket: Ticket, *, again: bool = False) -> None:
        """Let it wait; `again` is for one that was accepted before, and meets no limit.

        Raises `QueueFullError` with the limit that is reached, and `ValueError` when it waits or is being
        answered already.
        """
        if ticket.key in self._waiting or ticket.key in self._serving.values():
            raise ValueError(f"{ticket.key} is in the queue already")
        if not again:
            self._check_limits(ticket)
        self._waiting[ticket.key] = ticket
        self._rota.append(ticket)
        self._forecasted = None

    def take(self) -> Ticket | None:
        """The next to be answered; None while nobody waits, all wait for a thread, or `parallel` are taken."""
        if len(self._serving) >= self._parallel:
            return None
        ticket = self._rota.take(busy=self._serving)
        if ticket is not None:
            del self._waiting[ticket.key]
            self._serving[ticket.thread] = ticket.key
            self._forecasted = None
        return ticket

    def done(self, ticket: Ticket, seconds: float | None) -> None:
        """Its answer has ended: the thread may go on. `seconds` is what it took, None when it was cut short."""
        if self._serving.get(ticket.thread) != ticket.key:
            return
        del self._serving[ticket.thread]
        self._forecasted = None
        if seconds is not None:
            self._durations.append(seconds)

    def remove(self, key: str) -> Ticket | None:
        """Let it wait no longer; None when it did not."""
        ticket = self._waiting.pop(key, None)
        if ticket is not None:
            self._rota.remove(ticket)
            self._forecasted = None
        return ticket

    def standing(self, key: str) -> Standing | None:
        """Where it stands; None when it does not wait."""
        forecast = self._forecast()
        if key not in forecast:
            return None
        # The median forgives the odd very long answer.
        seconds = forecast[key] * median(self._durations) if self._durations else None
        return Standing(self.waiting().index(key) + 1, seconds)

    def waiting(self) -> list[str]:
        """Keys in the order in which they would be taken, if answers ended in the order in which they began."""
        return list(self._forecast())

    def _check_limits(self, ticket: Ticket) -> None:
        of_person = sum(other.person == ticket.person for other in self._waiting.values())
        of_place = sum(other.place == ticket.place for other in self._waiting.values())
        for waiting, limit, what in (
            (of_person, self._per_person, "of your questions are"),
            (of_place, self._per_place, "questions from here are"),
            (len(self), self._size, "questions are"),
        ):
            if waiting >= limit:
                raise QueueFullError(
                    f"Too many {what} waiting already (the limit is {limit}); "
                    "please ask again when some of them are answered."
                )

    def _forecast(self) -> dict[str, float]:
        """By key, in order, when each is taken, in durations of one answer from now.

        Supposes that answers end in the order in which they began, spread evenly over that duration.
        """
        if self._forecasted is None:
            rota, serving, time = self._rota.copy(), dict(self._serving), 0.0
            self._forecasted = {}
            while len(self._forecasted) < len(self._waiting):
                ticket = rota.take(busy=serving) if len(serving) < self._parallel else None
                if ticket is None:
                    time += 1 / len(serving)
                    del serving[next(iter(serving))]
                else:
                    serving[ticket.thread] = ticket.key
                    self._forecasted[ticket.key] = time
        return self._forecasted


@dataclass(slots=True)
class _Rota:
    """The waiting tickets by person and by thread, and the people in the order in which it is their turn."""

    people: OrderedDict[str, deque[Ticket]] = field(default_factory=OrderedDict)
    threads: dict[Thread, deque[Ticket]] = field(default_factory=dict)

    def copy(self) -> "_Rota":
        return _Rota(
            OrderedDict((person, line.copy()) for person, line in self.people.items()),
            {thread: line.copy() for thread, line in self.threads.items()},
        )

    def append(self, ticket: Ticket) -> None:
        self.people.setdefault(ticket.person, deque()).append(ticket)
        self.threads.setdefault(ticket.thread, deque()).append(ticket)

    def take(self, *, busy: Container[Thread]) -> Ticket | None:
        """Of the first person who need not wait for a thread; that person's next turn comes after all others'.

        The ticket that waits longest is the first of its person and of its thread, so there is one to take
        whenever no thread is busy.
        """
        for line in self.people.values():
            ticket = line[0]
            if ticket.thread not in busy and self.threads[ticket.thread][0] is ticket:
                self.people.move_to_end(ticket.person)
                self.remove(ticket)
                return ticket
        return None

    def remove(self, ticket: Ticket) -> None:
        self.people[ticket.person].remove(ticket)
        if not self.people[ticket.person]:
            del self.people[ticket.person]
        self.threads[ticket.thread].remove(ticket)
        if not self.threads[ticket.thread]:
            del self.threads[ticket.thread]
