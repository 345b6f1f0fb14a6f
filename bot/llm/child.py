"""One child process of the model, from its start to its end: greeted, watched, heard out, ended.

A child that does not get ready in time, or that has work and takes no step for too long, is killed; `End` says so.
Whether another one is started is for `bot.llm.supervisor` to say.
"""

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

import bot

COMMAND = (sys.executable, "-P", "-m", "bot.llm.server")
EXIT_UNUSABLE = 78  # bot.llm.server says the same; importing it would load uvicorn here
KEY_VARIABLE = "PARLEY_MODEL_API_KEY"  # as does bot.llm.access

_POLL_TIMEOUT = 5.0
_DEATHS = {
    signal.SIGKILL: "was killed (out of memory?): choose a smaller model or lower llm.context",
    signal.SIGILL: "used an instruction this CPU does not have: reinstall llama-cpp-python on this machine",
    signal.SIGSEGV: "crashed (SIGSEGV): try another model file or another version of llama-cpp-python",
    signal.SIGBUS: "crashed (SIGBUS): the model file was changed or its disk failed while it was in use",
    signal.SIGABRT: "gave up (SIGABRT): try another model file or lower llm.context",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a child is waited for, in seconds."""

    start_within: float = 600.0
    hung_after: float = 120.0
    """Without a step while there is work. One step reads a slice of a prompt, which may take long on a weak machine."""
    end_within: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a child ended."""

    code: int
    """Exit status; negative: the signal."""
    was_ready: bool
    reason: str
    """Why, as a sentence with its fix."""


class Stillness:
    """How long a child has stood still while somebody looked.

    Between two looks no more than `most` seconds count: when this process or the whole machine was stopped in
    between, the child was, too.
    """

    def __init__(self, *, most: float, since: float) -> None:
        self.seconds = 0.0
        self._most = most
        self._looked_at = since

    def look(self, now: float, *, moved: bool) -> None:
        passed = min(now - self._looked_at, self._most)
        self.seconds = 0.0 if moved else self.seconds + passed
        self._looked_at = now


class Child:
    """Start it with `live`, once."""

    def __init__(self, command: Sequence[str], *, socket: Path, patience: Patience) -> None:
        """`socket`: where the child will listen."""
        self._command = command
        self._socket = socket
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: deque[str] = deque(maxlen=50)
        self._was_ready = False
        self._overdue = ""

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def stderr(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self._stderr)

    async def live(self, on_ready: Callable[[], Awaitable[None]]) -> End:
        """Run it to its end; `on_ready` is called when the model answers. Cancelled, it ends the child.

        Raises:
            OSError: the command cannot be started.
        """
        self._socket.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,  # held and never written: its end tells the child that we are gone
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
            start_new_session=True,  # Ctrl-C in a terminal is for us; we end the child in order
        )
        reading = asyncio.create_task(self._read_stderr(self._process))
        watching = asyncio.create_task(self._watch(self._process, on_ready))
        try:
            code = await self._process.wait()
            await reading
        finally:
            watching.cancel()
            await self._end(self._process)
            await asyncio.gather(reading, watching, return_exceptions=True)
        return End(
            code=code, was_ready=self._was_ready, reason=self._overdue or _obituary(code, self._stderr)
        )

    async def _watch(
        self, process: asyncio.subprocess.Process, on_ready: Callable[[], Awaitable[None]]
    ) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(self._socket), verify=False)  # no TLS there
        async with httpx.AsyncClient(
            transport=transport, base_url="http://model", timeout=_POLL_TIMEOUT
        ) as client:
            if await self._greet(client):
                self._was_ready = True
                await on_ready()
                await self._wait_until_it_hangs(client)
        with suppress(ProcessLookupError):
            process.kill()  # one that hangs does not hear anything gentler

    async def _greet(self, client: httpx.AsyncClient) -> bool:
        """Ask /health until it says ready; False when that takes too long."""
        give_up = time.monotonic() + self._patience.start_within
        while time.monotonic() < give_up:
            with suppress(httpx.HTTPError):
                if (await client.get("/health")).is_success:
                    return True
            await asyncio.sleep(0.05)
        self._overdue = (
            f"The model was not ready within {self._patience.start_within:g} s: choose a smaller one."
        )
        return False

    async def _wait_until_it_hangs(self, client: httpx.AsyncClient) -> None:
        """Return when it had work for `hung_after` and took no step, or did not even answer for as long."""
        between, steps = min(2.0, self._patience.hung_after / 10), -1
        still = Stillness(most=2 * between + _POLL_TIMEOUT, since=time.monotonic())
        while still.seconds < self._patience.hung_after:
            await asyncio.sleep(between)
            moved = False
            with suppress(httpx.HTTPError, ValueError, KeyError, TypeError):
                health = (await client.get("/health")).json()
                moved = health["steps"] != steps or not (health["running"] or health["queued"])
                steps = health["steps"]
            still.look(time.monotonic(), moved=moved)
        self._overdue = f"The model stood still for {self._patience.hung_after:g} s while it had work."

    async def _read_stderr(self, process: asyncio.subprocess.Process) -> None:
        while process.stderr:
            try:
                line = await process.stderr.readline()
            except ValueError:  # a line longer than the buffer
                continue
            if not line:
                return
            self._stderr.append(line.decode(errors="replace").rstrip())

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), self._patience.end_within)
            except (TimeoutError, asyncio.CancelledError):
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def _environment() -> dict[str, str]:
    """Ours without our secrets: the chat template of a model is a program of a stranger."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PARLEY_") or name.startswith(KEY_VARIABLE)
    }
    return {
        **ours,
        "PYTHONPATH": str(Path(bot.__file__).parents[1]),
        # The embedding model checks sentences while this one writes them; threads that spin at barriers
        # would take the cores from it (answers came about three times slower on two cores).
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"),
    }


def _obituary(code: int, stderr: Sequence[str]) -> str:
    """Why the child ended, as a sentence with its fix."""
    last = next((line for line in reversed(stderr) if line.strip()), "")
    if code < 0:
        known = _DEATHS.get(signal.Signals(-code), f"was ended by {signal.Signals(-code).name}")
        return f"The model's process {known}."
    if code == EXIT_UNUSABLE and last:
        return last
    return f"The model's process ended ({last or f'exit status {code}'}); the log says more."
