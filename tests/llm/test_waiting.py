import threading
from typing import Any

import pytest

from bot.errors import ModelBusyError, ModelUnavailableError
from bot.llm.waiting import Request, WaitingLine
from tests.llm.stepped import Heard


def _request(line: WaitingLine, *, deadline: float | None = None) -> Request:
    fields: dict[str, Any] = {"tokens": [1], "sampling": None, "sampler": None, "max_tokens": 1}
    return Request(generation=Heard(line), deadline=deadline, **fields)


def test_first_come_first_served_until_it_is_full() -> None:
    line = WaitingLine(size=2)
    first, second, third = (_request(line) for _ in range(3))
    line.add(first)
    line.add(second)
    line.check(free=1)
    with pytest.raises(ModelBusyError, match="2 are waiting"):
        line.check()
    with pytest.raises(ModelBusyError, match="2 are waiting"):
        line.add(third)
    line.add(third, free=1)
    assert [request.generation.position for request in (first, second, third)] == [1, 2, 3]
    assert line.first() is first
    assert line.take(first)
    assert not line.take(first)
    assert [request.generation.position for request in (first, second, third)] == [0, 1, 2]


def test_who_is_closed_or_late_leaves_the_line() -> None:
    line = WaitingLine(size=3)
    closed, late, patient = _request(line), _request(line, deadline=10.0), _request(line)
    for request in (closed, late, patient):
        line.add(request)
    closed.generation.close()
    assert line.overdue(9.0) == []
    assert line.overdue(10.0) == [late]
    assert line.first() is patient
    assert len(line) == 1


def test_closing_ends_the_waiting_for_requests() -> None:
    line = WaitingLine(size=3)
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(line.wait()))
    waiter.start()
    waiting = _request(line)
    line.add(waiting)
    waiter.join()
    assert line.close() == [waiting]
    assert answers == [True]
    assert not line.wait()
    with pytest.raises(ModelUnavailableError):
        line.add(waiting)
