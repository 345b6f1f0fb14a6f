import operator
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from knowledge.workers import (
    WorkerDiedError,
    WorkerError,
    Workers,
    WorkerStartError,
    WorkerTimeoutError,
)

LONG = 60.0


class RefusedError(Exception):
    """An error with a sentence."""


class BulkyError(Exception):
    """An error that carries what it is about."""


class ClosedError(Exception):
    """An error that cannot be made again from what it carries."""

    def __init__(self, one: str, *, two: str) -> None:
        super().__init__(one)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(errors=(RefusedError, BulkyError, ClosedError)) as opened:
        yield opened


def refuse(sentence: str) -> None:
    raise RefusedError(sentence)


def carry(size: int) -> None:
    raise BulkyError("x" * size)


def close() -> None:
    raise ClosedError("one", two="two")


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def answer_with_half() -> None:
    """Is killed in the middle of its answer: the pipe holds its length and the first bytes."""
    os.write(int(sys.argv[1]), (1_000_000).to_bytes(4, "big") + b"half")
    kill_itself()


def fail_unless_fresh(trace: Path) -> str:
    """Dies in a process that was used before."""
    with trace.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if len(trace.read_text().split()) == 1:
        os._exit(7)
    return "done"


def environment(name: str) -> str | None:
    return os.environ.get(name)


def oom_score() -> str:
    return Path("/proc/self/oom_score_adj").read_text()


def start_another(trace: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    trace.write_text(str(child.pid))
    time.sleep(600)


def hold_everything() -> None:
    """A loop in C that lets no other thread run."""
    max(iter(int, 1))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def eventually(condition: Any) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_calls_are_answered_in_another_process(workers: Workers) -> None:
    assert workers.run(operator.add, 1, 2, timeout_s=LONG) == 3
    assert workers.run(os.getpid, timeout_s=LONG) != os.getpid()
    assert workers.run(os.getpid, timeout_s=LONG) == workers.run(os.getpid, timeout_s=LONG)
    data = os.urandom(3_000_000)
    assert workers.run(operator.add, data, data, timeout_s=LONG) == data + data


def test_no_process_is_started_before_it_is_needed() -> None:
    with Workers(3) as workers:
        assert all(worker._process is None for worker in workers._workers)


@pytest.mark.parametrize(
    ("function", "args", "error", "message"),
    [
        (refuse, ("a sentence",), RefusedError, "^a sentence$"),
        (carry, (100_000,), WorkerError, "^BulkyError$"),
        (close, (), WorkerError, "^TypeError$"),
        (int, ("x",), WorkerError, "^ValueError$"),
        (sys.exit, (0,), WorkerError, "^SystemExit$"),
        (compile, ("1", "x", "eval"), WorkerError, "^TypeError$"),
    ],
)
def test_errors_come_back(
    workers: Workers, function: Any, args: tuple[object, ...], error: type[Exception], message: str
) -> None:
    before = workers.run(os.getpid, timeout_s=LONG)
    with pytest.raises(error, match=message):
        workers.run(function, *args, timeout_s=LONG)
    assert workers.run(os.getpid, timeout_s=LONG) == before, "the process goes on"


@pytest.mark.parametrize("hang", [time.sleep, hold_everything])
def test_what_hangs_is_killed(workers: Workers, hang: Any) -> None:
    before = workers.run(os.getpid, timeout_s=LONG)
    with pytest.raises(WorkerTimeoutError):
        workers.run(hang, *([600] if hang is time.sleep else []), timeout_s=0.2)
    assert not is_alive(before)
    assert workers.run(operator.add, 1, 2, timeout_s=LONG) == 3


def test_what_crashes_is_told_from_what_is_killed(workers: Workers) -> None:
    with pytest.raises(WorkerDiedError, match="exit code 11") as crashed:
        workers.run(os._exit, 11, timeout_s=LONG)
    assert not crashed.value.was_killed
    with pytest.raises(WorkerDiedError) as killed:
        workers.run(kill_itself, timeout_s=LONG)
    assert killed.value.was_killed
    assert workers.run(operator.add, 1, 2, timeout_s=LONG) == 3


def test_one_that_is_killed_in_the_middle_of_its_answer_costs_that_call(workers: Workers) -> None:
    with pytest.raises(WorkerDiedError) as killed:
        workers.run(answer_with_half, timeout_s=LONG)
    assert killed.value.was_killed
    assert workers.run(operator.add, 1, 2, timeout_s=LONG) == 3


def test_what_takes_too_much_memory_ends() -> None:
    with Workers(max_bytes=2**30) as workers:
        with pytest.raises(MemoryError):
            workers.run(bytearray, 2**31, timeout_s=LONG)
        assert workers.run(operator.add, 1, 2, timeout_s=LONG) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux chooses what to kill")
def test_the_kernel_kills_it_first(workers: Workers) -> None:
    assert workers.run(oom_score, timeout_s=LONG).strip() == "1000"


def test_a_fresh_process_tries_again_what_failed_in_a_used_one(workers: Workers, tmp_path: Path) -> None:
    workers.run(os.getpid, timeout_s=LONG)
    assert workers.run(fail_unless_fresh, tmp_path / "trace", timeout_s=LONG) == "done"
    assert len(set((tmp_path / "trace").read_text().split())) == 2


def test_a_process_is_replaced_after_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge.workers._MOST_CALLS", 2)
    with Workers() as workers:
        pids = [workers.run(os.getpid, timeout_s=LONG) for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_what_a_parser_has_started_is_killed_with_it(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(WorkerTimeoutError):
        workers.run(start_another, tmp_path / "pid", timeout_s=5)
    assert eventually(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def test_secrets_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_SLACK_BOT_TOKEN", "xoxb-secret")
    with Workers() as workers:
        assert workers.run(environment, "PARLEY_SLACK_BOT_TOKEN", timeout_s=LONG) is None
        assert workers.run(environment, "PATH", timeout_s=LONG) == os.environ["PATH"]


def test_many_threads_share_some_processes() -> None:
    results: list[tuple[int, int]] = []
    with Workers(2) as several:

        def work(number: int) -> None:
            for _ in range(5):
                results.append((number, several.run(operator.mul, number, 10, timeout_s=LONG)))  # noqa: PERF401

        threads = [threading.Thread(target=work, args=[number]) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(worker._process is not None for worker in several._workers) <= 2
    assert sorted(results) == sorted((number, 10 * number) for number in range(5) for _ in range(5))


def test_stopping_ends_calls_that_are_waited_for(tmp_path: Path) -> None:
    ended: list[BaseException] = []
    workers = Workers()
    workers.run(os.getpid, timeout_s=LONG)

    def wait() -> None:
        try:
            workers.run(time.sleep, 600, timeout_s=600)
        except CancelledError as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    workers.stop()
    thread.join(60)
    assert len(ended) == 1
    with pytest.raises(CancelledError):
        workers.run(operator.add, 1, 2, timeout_s=LONG)
    workers.stop()


def test_no_worker_outlives_who_started_it(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, threading, time\n"
        "from knowledge.workers import Workers\n"
        "workers = Workers()\n"
        "print(workers.run(os.getpid, timeout_s=60), flush=True)\n"
        "threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()\n"
        "workers.run(time.sleep, 600, timeout_s=600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert process.wait(60) == -signal.SIGKILL
    assert eventually(lambda: not is_alive(pid))


def test_a_process_that_cannot_be_started_is_no_fault_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Workers() as workers, pytest.raises(WorkerStartError, match="no such file"):
        workers.run(operator.add, 1, 2, timeout_s=LONG)
