"""Calls in other processes, which are killed when they take too long or too much: what hangs, explodes or crashes there
costs that call.

A worker is a fresh Python that knows nothing of this process: it gets none of its secrets by the environment, ends when
this process is gone, and is the first to go when the machine runs out of memory. It is no sandbox: it runs as the same
user, with the same files and network.

One pipe for each worker, as one that dies in the middle of an answer would leave half of it in a pipe that is shared,
where nobody can read on.
"""

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

MAX_BYTES = 4 * 2**30
"""Address space of a worker; all parsers together take a tenth of it before they have read anything."""
_MOST_CALLS = 500
"""Of one process: parsers leak, and what a large file took is not given back."""
_LONGEST_START = 120.0
"""Seconds; on a busy machine it may take some."""
_LONGEST_END = 10.0
"""Seconds that one which closed its pipe gets to be gone, so that it is known how it ended."""
_LONGEST_ERROR = 10_000
"""Bytes of an exception that comes back: some carry the whole input."""
_START = (
    "import sys; from multiprocessing.connection import Connection; pipe = Connection(int(sys.argv[1])); "
    "sys.path[:] = pipe.recv(); from knowledge.workers import serve; serve(pipe)"
)


class WorkerError(Exception):
    """The call failed in a way that nobody foresaw; the message is the name of the exception."""


class WorkerTimeoutError(WorkerError):
    """The call took longer than it was given."""


class WorkerDiedError(WorkerError):
    """The process ended in the middle of the call: it crashed, left, or was killed."""

    def __init__(self, code: int | None) -> None:
        """`code` as in `subprocess.Popen.returncode`."""
        super().__init__(f"exit code {code}")
        self.was_killed = code == -signal.SIGKILL
        """By somebody else; mostly that is the kernel, when memory runs out."""


class WorkerStartError(WorkerError):
    """No process can be started; the message is the reason."""


class Workers:
    """Up to `count` processes, started when they are needed; a context manager that ends them. For any threads."""

    def __init__(
        self, count: int = 1, *, max_bytes: int = MAX_BYTES, errors: tuple[type[Exception], ...] = ()
    ) -> None:
        """`errors` are those that come back as they were raised."""
        self._stopped = threading.Event()
        self._workers = [_Worker(self._stopped, max_bytes, errors) for _ in range(count)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, function: Callable[..., T], *args: Any, timeout_s: float) -> T:
        """`function(*args)`, done elsewhere; waits while all workers are busy.

        Function, arguments and result are pickled. When a process fails that has done other calls before, a fresh one
        tries again: the fault may be theirs.

        Raises:
            WorkerTimeoutError, WorkerDiedError, MemoryError: what the limits are for.
            WorkerStartError: there is no process to do it.
            CancelledError: the workers were stopped meanwhile.
            WorkerError: the function raised something else than one of the `errors`.
        """
        worker = self._idle.get()
        try:
            was_fresh = worker.is_fresh
            try:
                result: T = worker.call(function, args, timeout_s)
            except (WorkerDiedError, MemoryError):
                if was_fresh:
                    raise
                result = worker.call(function, args, timeout_s)
            return result
        finally:
            self._idle.put(worker)

    def stop(self) -> None:
        """Kill all processes, for good; calls that are waited for end at once."""
        self._stopped.set()
        for worker in self._workers:
            worker.kill()
        for _ in self._workers:
            self._idle.get().stop()
        for worker in self._workers:
            self._idle.put(worker)


class _Worker:
    """One process at a time, and the pipe to it; used by one thread at a time but for `kill`."""

    def __init__(self, stopped: threading.Event, max_bytes: int, errors: tuple[type[Exception], ...]) -> None:
        self._stopped = stopped
        self._settings = (max_bytes, errors)
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._calls = 0

    @property
    def is_fresh(self) -> bool:
        """Whether the next call is the first one of its process."""
        return self._process is None or self._calls >= _MOST_CALLS

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], timeout_s: float) -> Any:
        """See `Workers.run`; whatever goes wrong leaves no process behind."""
        if self._pipe is None or self.is_fresh:
            self.stop()
            self._pipe = self._start()
        self._calls += 1
        try:
            answer = self._ask(self._pipe, function, args, timeout_s)
        except (EOFError, OSError) as error:
            code = self.stop(is_ending=True)
            if self._stopped.is_set():
                raise CancelledError from error
            raise WorkerDiedError(code) from error
        except BaseException:
            self.stop()
            raise
        try:
            went_well, value = pickle.loads(answer)  # noqa: S301 - see above: no sandbox
        except Exception as error:  # there are exceptions that cannot be made again from what they carry
            raise WorkerError(type(error).__name__) from error
        if went_well:
            return value
        if isinstance(value, MemoryError):
            self.stop()
        raise value

    def kill(self) -> None:
        """End the process and whatever it has started."""
        if self._process is not None:
            with suppress(OSError):  # it is gone
                os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self, *, is_ending: bool = False) -> int | None:
        """End the process, if there is one, and say how it ended; one that is ending gets the time for that."""
        if self._process is None:
            return None
        if self._pipe is not None:
            self._pipe.close()
        if is_ending:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LONGEST_END)
        self.kill()
        code = self._process.wait()
        self._process, self._pipe, self._calls = None, None, 0
        return code

    def _ask(
        self, pipe: Connection, function: Callable[..., Any], args: tuple[Any, ...], timeout_s: float
    ) -> bytes:
        if self._stopped.is_set():
            raise CancelledError
        pipe.send(timeout_s)
        pipe.send_bytes(pickle.dumps((function, args)))
        if not pipe.poll(timeout_s):
            raise WorkerTimeoutError
        return pipe.recv_bytes()

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        # Secrets are no business of whatever takes over a parser. A thread for each core, which numpy would start,
        # takes address space, and cores that others need.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise WorkerStartError((error.strerror or type(error).__name__).lower()) from error
        finally:
            theirs.close()
        try:
            ours.send(sys.path)
            ours.send(self._settings)
            is_ready = ours.poll(_LONGEST_START) and ours.recv()
        except (EOFError, OSError) as error:
            ours.close()
            code = self.stop(is_ending=True)
            if self._stopped.is_set():
                raise CancelledError from error
            raise WorkerStartError(f"it ended at once, exit code {code}") from error
        if not is_ready:
            ours.close()
            self.stop()
            raise WorkerStartError(f"it did not start within {_LONGEST_START:g} s")
        return ours


def serve(pipe: Connection) -> None:
    """What a worker does: one call after the other, until the pipe is closed."""
    max_bytes, errors = pipe.recv()
    _limit(max_bytes)
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    pipe.send(True)
    while True:
        try:
            timeout_s, call = pipe.recv(), pipe.recv_bytes()
        except EOFError:
            return
        _limit_processor(timeout_s)
        pipe.send_bytes(_outcome(call, errors))


def _outcome(call: bytes, errors: tuple[type[Exception], ...]) -> bytes:
    """Pickled: whether it went well, and the result or the exception."""
    try:
        function, args = pickle.loads(call)  # noqa: S301 - from the process that started this one
        return pickle.dumps((True, function(*args)))
    except MemoryError:
        return pickle.dumps((False, MemoryError()))
    except errors as error:
        carried = pickle.dumps((False, error))
        return (
            carried
            if len(carried) <= _LONGEST_ERROR
            else pickle.dumps((False, WorkerError(type(error).__name__)))
        )
    except BaseException as error:  # noqa: BLE001 - the boundary of a parser, which may raise anything, or leave
        return pickle.dumps((False, WorkerError(type(error).__name__)))


def _limit(max_bytes: int) -> None:
    """Let an exploding document end in a MemoryError, not in a machine out of memory."""
    import resource

    for limit, most in ((resource.RLIMIT_AS, max_bytes), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # macOS limits no address space
            resource.setrlimit(limit, (most, most))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("1000")


def _limit_processor(timeout_s: float) -> None:
    """End by itself what hangs so that not even `_end_with` gets a turn, should nobody be left to kill it."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime + 10 * timeout_s + 60)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
