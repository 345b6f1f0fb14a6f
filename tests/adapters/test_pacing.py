"""Throttles, on a clock that runs as fast as the computer can: a minute of waiting takes no time."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.pacing import Budget, Coalescer, Pace, unbroken

T = TypeVar("T")


class QuickLoop(asyncio.SelectorEventLoop):
    """Instead of waiting for the next timer it moves the clock there."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(selectors.SelectSelector())
        waiting = self._selector.select  # type: ignore[attr-defined]

        def select(timeout: float | None) -> Any:
            self._now += max(timeout or 0.0, 1e-6)  # timers that are due "now" need a clock that moves
            return waiting(0)

        self._selector.select = select  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        return runner.run(work())


def now() -> float:
    return asyncio.get_running_loop().time()


@settings(deadline=None, max_examples=50)
@given(
    count=st.integers(1, 40),
    seconds=st.sampled_from([1.0, 10.0, 60.0]),
    arrivals=st.lists(st.floats(0, 100), min_size=1, max_size=150),
)
def test_no_stretch_of_time_has_more_than_its_budget(
    count: int, seconds: float, arrivals: list[float]
) -> None:
    async def work() -> list[float]:
        pace = Pace({"edit": Budget(count, seconds)})
        sent: list[float] = []

        async def one(delay: float) -> None:
            await asyncio.sleep(delay)
            await pace.wait("edit")
            sent.append(now())

        await asyncio.gather(*(one(delay) for delay in arrivals))
        return sorted(sent)

    sent = run(work)
    assert len(sent) == len(arrivals)
    for start in sent:
        assert sum(start <= moment < start + seconds - 1e-6 for moment in sent) <= count


def test_a_budget_is_nearly_used_up_when_many_want_it() -> None:
    async def work() -> int:
        pace = Pace({"append": Budget(100)})
        sent = 0

        async def stream() -> None:
            nonlocal sent
            while True:
                await pace.wait("append")
                sent += 1

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600):
                await asyncio.gather(*(stream() for _ in range(5)))
        return sent

    assert 700 <= run(work) <= 1000


def test_those_who_share_a_budget_get_it_in_turn() -> None:
    async def work() -> dict[str, int]:
        pace = Pace({"append": Budget(100)})
        shown = {"a": 0, "b": 0, "c": 0}

        async def stream(name: str) -> None:
            while True:
                await pace.wait("append")
                shown[name] += 1

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(300):
                await asyncio.gather(*(stream(name) for name in shown))
        return shown

    counts = run(work).values()
    assert max(counts) - min(counts) <= 30
    assert min(counts) > 100


def test_channels_have_budgets_of_their_own() -> None:
    async def work() -> float:
        pace = Pace({"post": Budget(1, 1.0)})
        await asyncio.gather(*(pace.wait("post", of=f"C{n}") for n in range(20)))
        return now()

    assert run(work) < 0.01


def test_what_has_no_budget_does_not_wait() -> None:
    async def work() -> float:
        pace = Pace({})
        for _ in range(100):
            await pace.wait("anything")
        assert pace.has_room("anything")
        return now()

    assert run(work) < 0.01


def test_a_pause_holds_for_everybody_and_can_be_prolonged() -> None:
    async def work() -> list[int]:
        pace = Pace({"append": Budget(100)})
        pace.pause("append", 10)
        assert not pace.has_room("append")
        served: list[int] = []

        async def one() -> None:
            await pace.wait("append")
            served.append(round(now()))

        waiting = asyncio.gather(one(), one())
        await asyncio.sleep(5)
        pace.pause("append", 20)
        pace.pause("append", 1)  # a shorter one changes nothing
        await waiting
        return served

    assert run(work) == [25, 25]


def test_room_is_what_can_be_had_without_waiting() -> None:
    async def work() -> tuple[bool, bool, bool]:
        pace = Pace({"start": Budget(4, 60.0)})
        before = pace.has_room("start")
        await pace.wait("start")
        after = pace.has_room("start")
        await asyncio.sleep(60)
        return before, after, pace.has_room("start")

    assert run(work) == (True, False, True)


def test_budgets_that_are_full_again_are_forgotten() -> None:
    async def work() -> int:
        pace = Pace({"post": Budget(1, 1.0)})
        for n in range(5000):
            await pace.wait("post", of=f"C{n}")
            await asyncio.sleep(0.5)
        return len(pace._limiters)

    assert run(work) <= 1000


class Screen:
    """Shows the newest text, `seconds` of waiting for the budget later."""

    def __init__(self, *, seconds: float = 1.0) -> None:
        self.text = ""
        self.shown: list[str] = []
        self._seconds = seconds

    async def wait(self) -> None:
        await asyncio.sleep(self._seconds)

    async def show(self) -> None:
        self.shown.append(self.text)


def test_what_comes_while_the_budget_is_used_up_is_shown_together() -> None:
    async def work() -> list[str]:
        screen = Screen()
        coalescer = Coalescer(wait=screen.wait, show=screen.show)
        for letter in "abcdefgh":
            screen.text += letter
            coalescer.touch()
            await asyncio.sleep(0.3)
        await asyncio.sleep(10)
        await coalescer.close()
        return screen.shown

    assert run(work) == ["abcd", "abcdefgh"]


def test_nothing_is_shown_without_something_new() -> None:
    async def work() -> list[str]:
        screen = Screen()
        coalescer = Coalescer(wait=screen.wait, show=screen.show)
        coalescer.touch()
        await asyncio.sleep(100)
        await coalescer.close()
        return screen.shown

    assert run(work) == [""]


def test_closing_does_not_wait_for_the_budget() -> None:
    async def work() -> tuple[list[str], int]:
        screen = Screen(seconds=1000)
        coalescer = Coalescer(wait=screen.wait, show=screen.show)
        coalescer.touch()
        await asyncio.sleep(1)
        await coalescer.close()
        return screen.shown, round(now())

    assert run(work) == ([], 1)


def test_an_error_of_showing_is_raised_at_the_close() -> None:
    async def show() -> None:
        raise RuntimeError("the screen broke")

    async def work() -> None:
        coalescer = Coalescer(wait=Screen().wait, show=show)
        coalescer.touch()
        await asyncio.sleep(2)
        coalescer.touch()
        await coalescer.close()

    with pytest.raises(RuntimeError, match="the screen broke"):
        run(work)


def test_a_request_and_its_note_are_not_torn_apart_by_a_cancellation() -> None:
    async def work() -> tuple[list[str], bool]:
        notes: list[str] = []

        async def request() -> None:
            notes.append("sent")
            await asyncio.sleep(5)
            notes.append("noted")

        task = asyncio.create_task(unbroken(request()))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.sleep(1)
        task.cancel()  # impatience does not help
        with pytest.raises(asyncio.CancelledError):
            await task
        return notes, task.cancelled()

    assert run(work) == (["sent", "noted"], True)


def test_a_request_that_fails_after_a_cancellation_is_still_a_cancellation() -> None:
    async def work() -> None:
        async def request() -> None:
            await asyncio.sleep(1)
            raise RuntimeError("refused")

        task = asyncio.create_task(unbroken(request()))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work)


def test_a_request_that_is_left_alone_gives_its_result() -> None:
    async def work() -> str:
        async def request() -> str:
            return "done"

        return await unbroken(request())

    assert run(work) == "done"
