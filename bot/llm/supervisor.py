"""The child process in which the model runs: started, watched, restarted, ended.

The bot outlives its model. A child that dies is started again after 1, 2, 4 … 30 s; after five deaths
without being ready in between, or when the child says that the model cannot be used, it stays down until
somebody asks for it a minute later. Requests in flight are lost with the child; nobody asks them again
here.
"""

import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import httpx

import bot
from bot.errors import ModelUnavailableError
from bot.llm import quirks
from bot.llm.models import ModelInfo, inspect

_log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "bot.llm.server")
EXIT_UNUSABLE = 78  # bot.llm.server says the same; importing it would load uvicorn here

_DEATHS = {
    signal.SIGKILL: "was killed (out of memory?): choose a smaller model or lower llm.context",
    signal.SIGILL: "used an instruction this CPU does not have: reinstall llama-cpp-python on this machine",
    signal.SIGSEGV: "crashed (SIGSEGV): try another model file or another version of llama-cpp-python",
    signal.SIGBUS: "crashed (SIGBUS): the model file was changed or its disk failed while it was in use",
    signal.SIGABRT: "gave up (SIGABRT): try another model file or lower llm.context",
}


@dataclass(frozen=True, slots=True)
class State:
    name: Literal["starting", "ready", "restarting", "failed", "closed"]
    reason: str = ""
    """Why it is not ready, as a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient the supervisor is, in seconds."""

    first_wait: float = 1.0
    longest_wait: float = 30.0
    give_up_after: int = 5
    """Deaths in a row without being ready."""
    try_again_after: float = 60.0
    start_within: float = 600.0
    end_within: float = 3.0


class ModelProcess:
    """`async with ModelProcess(path) as process: await process.ready()`; requests go to `process.socket`."""

    def __init__(
        self,
        path: Path,
        *,
        context: int = 0,
        threads: int = 0,
        gpu_layers: int = 0,
        state_file: Path | None = None,
        command: Sequence[str] = COMMAND,
        pace: Pace | None = None,
    ) -> None:
        self.path = path
        self.socket = Path()
        """Where the child listens; known once started."""
        self.info: ModelInfo | None = None
        self._options = [
            "--context",
            str(context),
            "--threads",
            str(threads),
            "--gpu-layers",
            str(gpu_layers),
        ]
        self._state_file = state_file
        self._command = tuple(command)
        self._pace = pace or Pace()
        self._state = State("starting", "The model is being loaded.")
        self._changed = asyncio.Event()
        self._failed_at = 0.0
        self._safe = False
        self._overdue = ""
        self._stderr: deque[str] = deque(maxlen=50)
        self._child: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        return self._state

    @property
    def pid(self) -> int | None:
        """The child's process id while one runs."""
        return self._child.pid if self._child and self._child.returncode is None else None

    @property
    def stderr(self) -> str:
        """The last lines that the child wrote."""
        return "\n".join(self._stderr)

    @property
    def without_extra_bufts(self) -> bool:
        """Whether weights are not repacked, because this machine's llama.cpp dies of it."""
        return self._safe

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Start the child and return at once; `ready` waits for it.

        Raises:
            ModelFileError: the file is missing, or is no usable GGUF file.
        """
        self.info = await asyncio.to_thread(inspect, self.path)
        self._safe = await asyncio.to_thread(quirks.without_extra_bufts, self._state_file)
        # A short place of its own: the path of a Unix socket may have some 100 bytes, and this folder is
        # 0700.
        self.socket = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="parley-")) / "model"
        self._watch = asyncio.create_task(self._supervise(), name=f"model {self.path.name}")

    async def ready(self) -> None:
        """Wait until the model answers.

        Raises:
            ModelUnavailableError: it never will; the message is the reason.
        """
        self.revive()
        while self._state.name != "ready":
            if self._state.name in {"failed", "closed"}:
                raise ModelUnavailableError(self._state.reason)
            self._changed.clear()
            await self._changed.wait()

    def revive(self) -> None:
        """Start again after having given up, if that was long enough ago."""
        if self._state.name == "failed" and time.monotonic() - self._failed_at >= self._pace.try_again_after:
            self._set("starting", "The model is being loaded again.")
            self._watch = asyncio.create_task(self._supervise(), name=f"model {self.path.name}")

    async def aclose(self) -> None:
        """End the child, politely at first, and remove its socket."""
        watch, self._watch = self._watch, None
        self._set("closed", "The model was stopped.")
        if watch is None:
            return
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await asyncio.to_thread(shutil.rmtree, self.socket.parent, ignore_errors=True)

    def _set(
        self, name: Literal["starting", "ready", "restarting", "failed", "closed"], reason: str = ""
    ) -> None:
        self._state = State(name, reason)
        self._changed.set()

    def _fail(self, reason: str) -> None:
        self._failed_at = time.monotonic()
        self._set("failed", reason)

    async def _supervise(self) -> None:
        try:
            await self._keep_alive()
        except Exception as error:  # noqa: BLE001 - the boundary of a task that nobody awaits while it works
            _log.exception("the model's process cannot be started")
            self._fail(f"The model's process cannot be started ({error}); the log says more.")

    async def _keep_alive(self) -> None:
        deaths = 0
        while True:
            code, was_ready = await self._live()
            reason = self._overdue or _obituary(code, self._stderr)
            _log.warning("%s\n%s", reason, self.stderr)
            if code == -signal.SIGILL and not self._safe:
                self._safe = True
                self._set("restarting", "The model is being loaded again without repacking its weights.")
                continue
            deaths = 1 if was_ready else deaths + 1
            if code == EXIT_UNUSABLE or deaths >= self._pace.give_up_after:
                self._fail(reason)
                return
            self._set("restarting", reason)
            await asyncio.sleep(min(self._pace.first_wait * 2 ** (deaths - 1), self._pace.longest_wait))

    async def _live(self) -> tuple[int, bool]:
        """One child from start to death: its exit status, and whether it was ready."""
        self._stderr.clear()
        self._overdue = ""
        self.socket.unlink(missing_ok=True)
        options = [*self._options, *(["--no-extra-bufts"] if self._safe else [])]
        child = await asyncio.create_subprocess_exec(
            *self._command,
            *("--model", str(self.path), "--socket", str(self.socket), "--with-parent", *options),
            stdin=asyncio.subprocess.PIPE,  # held and never written: its end tells the child that we are gone
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(bot.__file__).parents[1]),
                # The embedding model checks sentences while this one writes them; threads that spin at barriers
                # would take the cores from it (answers came about three times slower on two cores).
                "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"),
            },
            start_new_session=True,  # Ctrl-C in a terminal is for us; we end the child in order
        )
        self._child = child
        reading = asyncio.create_task(self._read_stderr(child))
        greeting = asyncio.create_task(self._greet(child))
        try:
            code = await child.wait()
            await reading
        finally:
            greeting.cancel()
            await self._end(child)
            await asyncio.gather(reading, greeting, return_exceptions=True)
        return (
            code,
            greeting.done()
            and not greeting.cancelled()
            and greeting.exception() is None
            and greeting.result(),
        )

    async def _greet(self, child: asyncio.subprocess.Process) -> bool:
        """Ask /health until it says ready; end a child that takes too long."""
        give_up = time.monotonic() + self._pace.start_within
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket), verify=False)  # no TLS there
        async with httpx.AsyncClient(transport=transport, base_url="http://model", timeout=5.0) as client:
            while time.monotonic() < give_up:
                with suppress(httpx.HTTPError):
                    if (await client.get("/health")).is_success:
                        if self._safe:
                            await asyncio.to_thread(quirks.remember_without_extra_bufts, self._state_file)
                        self._set("ready")
                        return True
                await asyncio.sleep(0.05)
        self._overdue = f"The model was not ready within {self._pace.start_within:g} s: choose a smaller one."
        with suppress(ProcessLookupError):
            child.kill()
        return False

    async def _read_stderr(self, child: asyncio.subprocess.Process) -> None:
        while child.stderr:
            try:
                line = await child.stderr.readline()
            except ValueError:  # a line longer than the buffer
                continue
            if not line:
                return
            self._stderr.append(line.decode(errors="replace").rstrip())

    async def _end(self, child: asyncio.subprocess.Process) -> None:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.terminate()
            try:
                await asyncio.wait_for(child.wait(), self._pace.end_within)
            except (TimeoutError, asyncio.CancelledError):
                with suppress(ProcessLookupError):
                    child.kill()
                await child.wait()


def _obituary(code: int, stderr: Sequence[str]) -> str:
    """Why the child ended, as a sentence with its fix."""
    last = next((line for line in reversed(stderr) if line.strip()), "")
    if code < 0:
        known = _DEATHS.get(signal.Signals(-code), f"was ended by {signal.Signals(-code).name}")
        return f"The model's process {known}."
    if code == EXIT_UNUSABLE and last:
        return last
    return f"The model's process ended ({last or f'exit status {code}'}); the log says more."
