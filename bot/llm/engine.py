"""The engine: llama.cpp on a thread of its own, many requests at once, a bounded queue before it.

The only module that imports llama_cpp, and only when a model is loaded. Requests join and leave between the
steps of the model (`bot.llm.batcher`, `bot.llm.scheduler`); beginnings of prompts that are in the cache are not
read again (`bot.llm.cache`). It does not guard against a crash inside llama.cpp: run it in a child process (see
`bot.llm.supervisor`).
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from bot.errors import ModelError, ModelUnavailableError, QuestionTooLongError
from bot.llm.batcher import Batcher
from bot.llm.generation import EngineStats, Generation, Sampling, deliver
from bot.llm.llamacpp import Llama, LoadOptions
from bot.llm.protocol import ChatMessage
from bot.llm.sampler import Sampler
from bot.llm.waiting import Request, WaitingLine

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
        parallel: int = 0,
        lora: Sequence[tuple[Path, float]] = (),
        speculation: bool = True,
        slice_tokens: int = 0,
    ) -> None:
        """
        Args:
            path: the GGUF file.
            context: tokens of prompt and answer together that one request may use; 0 takes what the model was
                trained on, at most 8192. What all may use together follows from it (`bot.llm.capacity`).
            threads: see `bot.llm.cores`.
            gpu_layers: layers to put on the GPU, -1 for all.
            use_extra_bufts: let llama.cpp repack weights for AMX and the like; off where that dies with SIGILL.
            queue_size: requests that may wait.
            parallel: answers written at once; 0 takes what memory allows, at most 8.
            lora: adapters to apply for everybody, each with its scale (1.0 as trained).
            speculation: guess tokens from the prompt where that pays; never changes a greedy answer.
            slice_tokens: of prompts to read in a step while answers are written, about; 0 takes what the machine
                reads in a second.
        """
        self._path = path
        self._options = LoadOptions(
            context=context,
            threads=threads,
            gpu_layers=gpu_layers,
            use_extra_bufts=use_extra_bufts,
            parallel=parallel,
            lora=tuple(lora),
        )
        self._slice_tokens = slice_tokens
        self._speculation = speculation
        self._line = WaitingLine(size=queue_size)
        self._api: object = None
        self._llama: Llama | None = None
        self._batcher: Batcher | None = None
        self._thread: threading.Thread | None = None
        self._counting = asyncio.Lock()

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
        """Tokens of prompt and answer together that one request may use."""
        return self._loaded.context_window

    @property
    def template(self) -> str:
        """The chat template as the file has it; empty where it has none."""
        return self._loaded.vocabulary.template

    @property
    def queued(self) -> int:
        """Requests waiting, the running ones not counted."""
        return len(self._line)

    @property
    def stats(self) -> EngineStats:
        """What the engine is doing now."""
        return EngineStats() if self._batcher is None else self._batcher.stats()

    async def start(self) -> None:
        """Load the model and let it answer one short prompt.

        Raises:
            ModelFileError: llama.cpp refuses the file or an adapter.
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
        """Tokens of the prompt, chat template included; answered beside running generations, one after the other."""
        async with self._counting:  # many at once would take the threads on which requests are prepared
            return len(await asyncio.to_thread(self._loaded.vocabulary.tokens_of, messages))

    async def submit(
        self, prompt: Sequence[ChatMessage] | str, sampling: Sampling, *, deadline: float | None = None
    ) -> Generation:
        """Queue a request. Its pieces come from the `Generation`, which must be closed if left early.

        Args:
            prompt: messages for the chat template, or text to be continued as it is.
            deadline: seconds from now after which the answer is of no use: it then ends with `ModelBusyError`
                while it waits, `ModelUnavailableError` when it has begun.

        Raises:
            QuestionTooLongError: the prompt leaves no room for an answer.
            ModelBusyError: the queue is full.
            ModelUnavailableError: the model is not loaded, or is being stopped.
            ModelError: the request itself cannot be served: the template refuses the messages, the grammar or
                the schema cannot be used, the prompt is empty.
        """
        due = None if deadline is None else time.monotonic() + deadline
        stats = self.stats
        self._line.check(free=stats.parallel - stats.running)  # before a core is put to work on the prompt
        tokens, sampler = await asyncio.to_thread(self._prepare, prompt, sampling)
        room = self.context_window - len(tokens)
        if room <= 0:
            raise QuestionTooLongError(
                f"The prompt has {len(tokens)} tokens and the model's context is {self.context_window}:"
                " shorten the question, or raise llm.context."
            )
        generation = Generation(withdraw=self._line.withdraw, place=self._line.position)
        stats = self.stats
        if self._batcher and not stats.running and not stats.queued:
            self._batcher.woke()
        self._line.add(
            Request(
                generation=generation,
                tokens=tokens,
                sampling=sampling,
                sampler=sampler,
                max_tokens=room if sampling.max_tokens is None else min(sampling.max_tokens, room),
                deadline=due,
            ),
            free=stats.parallel - stats.running,
        )
        return generation

    async def aclose(self) -> None:
        """Cancel everything and free the model; waits for the step in progress."""
        for request in self._line.close():
            deliver([(request.generation, ModelUnavailableError("The model was stopped."))])
        if self._thread:
            await asyncio.to_thread(self._thread.join)

    def _prepare(self, prompt: Sequence[ChatMessage] | str, sampling: Sampling) -> tuple[list[int], Sampler]:
        llama = self._loaded
        tokens = llama.vocabulary.tokens_of(prompt, window=llama.context_window)
        if not tokens:
            raise ModelError("The prompt is empty: give it at least one word.")
        return tokens, Sampler(self._api, llama.vocabulary.handle, sampling)

    def _run(self, report: Callable[[Exception | None], None]) -> None:
        """The thread. The context of llama.cpp is made, used and freed here and nowhere else."""
        try:
            import llama_cpp

            self._api = llama_cpp
            self._llama = llama = Llama(llama_cpp, self._path, self._options)
            batcher = Batcher(
                llama, self._line, slice_tokens=self._slice_tokens, speculation=self._speculation
            )
        except Exception as error:  # noqa: BLE001 - raised again by `start`
            report(error)
            return
        self._batcher = batcher
        report(None)
        while not self._line.closed:
            try:
                if not batcher.running:
                    self._line.wait()
                batcher.step()
            except Exception:  # noqa: BLE001 - one bad request must not end the thread
                _log.exception("the engine failed on a request")
                batcher.fail(ModelError("The model failed on this question; the log says more."))
        batcher.fail(ModelUnavailableError("The model was stopped."))
        self._llama = None
        llama.free()
