"""The child process in which the model runs: started, watched, restarted, ended.

The bot outlives its model. A child that dies or hangs is started again after 1, 2, 4 … 30 s; after five deaths
without a minute of being ready in between, or when the model cannot be used or does not fit into memory, it stays
down until somebody asks for it a minute later. Requests in flight are lost with the child; nobody asks them again
here.
"""

import asyncio
import logging
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from bot.errors import ModelFileError, ModelUnavailableError
from bot.llm import quirks
from bot.llm.child import COMMAND, EXIT_UNUSABLE, Child, Patience
from bot.llm.lora import lora_options
from bot.llm.models import ModelInfo
from bot.llm.preflight import check_file, check_memory

_log = logging.getLogger(__name__)

QUEUE_SIZE = 32
"""Requests that may wait, beside those that are answered."""


@dataclass(frozen=True, slots=True)
class State:
    name: Literal["starting", "ready", "restarting", "failed", "closed"]
    reason: str = ""
    """Why it is not ready, as a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace(Patience):
    """How patient the supervisor is, in seconds."""

    first_wait: float = 1.0
    longest_wait: float = 30.0
    give_up_after: int = 5
    """Deaths in a row, each within `try_again_after` of being ready or before that."""
    try_again_after: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How to load a model; see `bot.llm.engine.Engine`. Zeros choose what suits the machine."""

    context: int = 0
    parallel: int = 0
    queue_size: int = QUEUE_SIZE
    threads: int = 0
    gpu_layers: int = -1
    lora: Sequence[tuple[Path, float]] = ()
    speculation: bool = True

    def options(self) -> list[str]:
        """Words for the command line of `bot.llm.server`."""
        numbers = {
            "--context": self.context,
            "--parallel": self.parallel,
            "--queue-size": self.queue_size,
            "--threads": self.threads,
            "--gpu-layers": self.gpu_layers,
        }
        words = [word for name, number in numbers.items() for word in (name, str(number))]
        return [*words, *lora_options(self.lora), *([] if self.speculation else ["--no-speculation"])]


class ModelProcess:
    """`async with ModelProcess(path) as process: await process.ready()`; requests go to `process.socket`."""

    def __init__(
        self,
        path: Path,
        *,
        load: Load | None = None,
        listen: tuple[str, int] | None = None,
        model_id: str | None = None,
        state_file: Path | None = None,
        command: Sequence[str] = COMMAND,
        pace: Pace | None = None,
    ) -> None:
        """
        Args:
            path: the GGUF file.
            load: how to load it.
            listen: host and port where others may use it, too; see `bot.llm.access` for their key.
            model_id: the name it is served under; None: the file's.
            state_file: where to remember what this machine's llama.cpp cannot do.
            command: what to start, for tests.
            pace: how patient to be.
        """
        self.path = path
        self.model_id = model_id or path.name
        self.socket = Path()
        """Where the child listens; known once started."""
        self.info: ModelInfo | None = None
        self._load = load or Load()
        self._listen = listen
        self._state_file = state_file
        self._command = tuple(command)
        self._pace = pace or Pace()
        self._state = State("starting", "The model is being loaded.")
        self._changed = asyncio.Event()
        self._failed_at = self._ready_at = 0.0
        self._safe = False
        self._child: Child | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        return self._state

    @property
    def pid(self) -> int | None:
        """The child's process id while one runs."""
        return self._child.pid if self._child else None

    @property
    def stderr(self) -> str:
        """The last lines that the child wrote."""
        return self._child.stderr if self._child else ""

    @property
    def without_extra_bufts(self) -> bool:
        """Whether the model is loaded without repacking its weights, because that died of SIGILL."""
        return self._safe

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Start the child and return at once; `ready` waits for it.

        Raises:
            ModelFileError: the file is missing, is no usable GGUF file, or llama.cpp does not know its kind.
        """
        adapters = [path for path, _ in self._load.lora]
        self.info = await asyncio.to_thread(check_file, self.path, lora=adapters)
        self._safe = await asyncio.to_thread(quirks.without_extra_bufts, self._state_file)
        # A short place of its own: the path of a Unix socket may have some 100 bytes, and this folder is
        # 0700.
        self.socket = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="parley-")) / "model"
        self._begin()

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

    async def given_up(self) -> str:
        """Wait until it stays down, restarts notwithstanding; the reason, as a sentence."""
        while self._state.name not in {"failed", "closed"}:
            self._changed.clear()
            await self._changed.wait()
        return self._state.reason

    def revive(self) -> None:
        """Start again after having given up, if that was long enough ago."""
        if self._state.name == "failed" and time.monotonic() - self._failed_at >= self._pace.try_again_after:
            self._set("starting", "The model is being loaded again.")
            self._begin()

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

    def _begin(self) -> None:
        self._watch = asyncio.create_task(self._supervise(), name=f"model {self.path.name}")

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
        except ModelFileError as error:
            _log.warning("%s", error)
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001 - the boundary of a task that nobody awaits while it works
            _log.exception("the model's process cannot be started")
            self._fail(f"The model's process cannot be started ({error}); the log says more.")

    async def _keep_alive(self) -> None:
        deaths = 0
        while True:
            await self._check_memory()
            self._child = Child(self._words(), socket=self.socket, patience=self._pace)
            end = await self._child.live(self._announce)
            _log.warning("%s\n%s", end.reason, self.stderr)
            if end.code == -signal.SIGILL and not self._safe:
                self._safe = True
                self._set("restarting", "The model is being loaded again without repacking its weights.")
                continue
            served = time.monotonic() - self._ready_at
            deaths = 1 if end.was_ready and served >= self._pace.try_again_after else deaths + 1
            if end.code == EXIT_UNUSABLE or deaths >= self._pace.give_up_after:
                self._fail(end.reason)
                return
            self._set("restarting", end.reason)
            await asyncio.sleep(min(self._pace.first_wait * 2 ** (deaths - 1), self._pace.longest_wait))

    async def _check_memory(self) -> None:
        if self.info is not None:
            await asyncio.to_thread(
                check_memory,
                self.info,
                context=self._load.context,
                gpu_layers=self._load.gpu_layers,
            )

    async def _announce(self) -> None:
        if self._safe:
            await asyncio.to_thread(quirks.remember_without_extra_bufts, self._state_file)
        self._ready_at = time.monotonic()
        self._set("ready")

    def _words(self) -> list[str]:
        """The child's command line."""
        words = [*self._command, "--model", str(self.path), "--model-id", self.model_id]
        words += ["--socket", str(self.socket), "--with-parent", *self._load.options()]
        if self._listen is not None:
            words += ["--host", self._listen[0], "--port", str(self._listen[1])]
        return [*words, *(["--no-extra-bufts"] if self._safe else [])]
