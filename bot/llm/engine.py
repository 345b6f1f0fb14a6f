"""The engine: llama.cpp on a thread of its own, requests in a bounded queue, first come, first served.

The only module that imports llama_cpp, and only when a model is loaded. One request is served at a time; the
part of a prompt that the last request already had is not read again. It does not guard against a crash inside
llama.cpp: run it in a child process (see `bot.llm.supervisor`).
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from bot.errors import ModelBusyError, ModelError, ModelUnavailableError, QuestionTooLongError
from bot.llm.generation import Generation, Sampling
from bot.llm.llamacpp import Llama, LoadOptions
from bot.llm.protocol import ChatMessage

_log = logging.getLogger(__name__)


class Engine:
    """A model that answers: `async with Engine(path) as engine` loads and tests it."""

    def __init__(
        self,
        path: Path,
        *,
        context: int = 0,
        threads: int = 1,
        gpu_layers: int = 0,
        use_extra_bufts: bool = True,
        queue_size: int = 32,
    ) -> None:
        """
        Args:
            path: the GGUF file.
            context: tokens of prompt and answer together; 0 takes what the model was trained on, at most 8192.
            threads: see `bot.llm.cores`.
            gpu_layers: layers to put on the GPU, -1 for all.
            use_extra_bufts: let llama.cpp repack weights for AMX and the like; off where that dies with SIGILL.
            queue_size: requests that may wait.
        """
        self._path = path
        self._options = LoadOptions(
            context=context, threads=threads, gpu_layers=gpu_layers, use_extra_bufts=use_extra_bufts
        )
        self._queue_size = queue_size
        self._llama: Llama | None = None
        self._thread: threading.Thread | None = None
        self._wake = threading.Condition()  # guards the three below
        self._waiting: deque[Generation] = deque()
        self._running: Generation | None = None
        self._closing = False

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    @property
    def _loaded(self) -> Llama:
        if self._llama is None:
            raise ModelUnavailableError("The model is not loaded; try again in a moment.")
        return self._llama

    @property
    def warnings(self) -> list[str]:
        """What an operator should know about the loaded model, as sentences."""
        return list(self._loaded.warnings)

    @property
    def context_window(self) -> int:
        return self._loaded.context_window

    @property
    def queued(self) -> int:
        """Requests waiting, the running one not counted."""
        return len(self._waiting)

    async def start(self) -> None:
        """Load the model and let it answer one short prompt.

        Raises:
            ModelFileError: llama.cpp refuses the file.
            ModelError: it loads but cannot compute.
        """
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[None] = loop.create_future()

        def settle(error: Exception | None) -> None:
            if not loaded.done():
                loaded.set_exception(error) if error else loaded.set_result(None)

        def report(error: Exception | None) -> None:
            loop.call_soon_threadsafe(settle, error)

        self._thread = threading.Thread(target=self._run, args=(report,), name="llama.cpp", daemon=True)
        self._thread.start()
        await loaded
        await self.self_test()

    async def self_test(self) -> None:
        """One prompt through the whole model: a CPU that cannot run it dies here and not in a question."""
        async for _ in await self.submit([ChatMessage("user", "Say yes.")], Sampling(max_tokens=2)):
            pass

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """Tokens of the prompt, chat template included; answered beside a running generation."""
        return len(await asyncio.to_thread(self._loaded.tokens_of, messages))

    async def submit(self, messages: Sequence[ChatMessage], sampling: Sampling) -> Generation:
        """Queue a request. Its pieces come from the `Generation`, which must be closed if left early.

        Raises:
            QuestionTooLongError: the prompt leaves no room for an answer.
            ModelBusyError: the queue is full.
            ModelError: the model's template refuses the messages.
        """
        tokens = await asyncio.to_thread(self._loaded.tokens_of, messages)
        if len(tokens) >= self.context_window:
            raise QuestionTooLongError(
                f"The prompt has {len(tokens)} tokens and the model's context is {self.context_window}:"
                " shorten the question, or raise llm.context."
            )
        generation = Generation(tokens, sampling, withdraw=self._withdraw)
        with self._wake:
            if self._closing:
                raise ModelUnavailableError("The model is being stopped.")
            if len(self._waiting) >= self._queue_size:
                raise ModelBusyError("The model's queue is full; try again in a moment.")
            self._waiting.append(generation)
            self._wake.notify()
        return generation

    async def aclose(self) -> None:
        """Cancel everything and free the model; waits for the slice of work in progress."""
        with self._wake:
            self._closing = True
            ended = [*self._waiting, *([self._running] if self._running else [])]
            self._waiting.clear()
            self._wake.notify()
        for generation in ended:
            generation.cancelled.set()
            generation.post(ModelUnavailableError("The model was stopped."))
        if self._thread:
            await asyncio.to_thread(self._thread.join)

    def _withdraw(self, generation: Generation) -> None:
        with self._wake:
            if generation in self._waiting:
                self._waiting.remove(generation)

    def _run(self, report: Callable[[Exception | None], None]) -> None:
        """The thread. The context of llama.cpp is made, used and freed here and nowhere else."""
        try:
            import llama_cpp

            self._llama = llama = Llama(llama_cpp, self._path, self._options)
        except Exception as error:  # noqa: BLE001 - raised again by `start`
            report(error)
            return
        report(None)
        while (generation := self._next()) is not None:
            self._serve(llama, generation)
        self._llama = None
        llama.free()

    def _next(self) -> Generation | None:
        with self._wake:
            self._running = None
            self._wake.wait_for(lambda: self._waiting or self._closing)
            if self._closing:
                return None
            self._running = self._waiting.popleft()
            return self._running

    @staticmethod
    def _serve(llama: Llama, generation: Generation) -> None:
        try:
            for piece in llama.generate(
                generation.tokens, generation.sampling, cancelled=generation.cancelled
            ):
                generation.post(piece)
            generation.post(None)
        except ModelError as error:
            generation.post(error)
        except Exception:  # noqa: BLE001 - one bad request must not end the thread
            _log.exception("the engine failed on a request")
            generation.post(ModelError("The model failed on this question; the log says more."))
