"""The engine's work, step by step: let requests in and out, evaluate a batch, choose the next tokens.

Everything here happens on the engine's thread. A request that is cancelled or late leaves between two steps. A
step in progress is never aborted: what was computed of the others would be lost with it, and a step lasts no
longer than a slice of a prompt. When llama.cpp fails in the middle of a step, nobody knows what is in its
memory: everything running ends with an error, and the cache begins anew.
"""

import logging
import time
from collections.abc import Sequence

from bot.errors import ModelBusyError, ModelError, ModelUnavailableError
from bot.llm.cache import Cache
from bot.llm.context import NO_ROOM, Context, Outputs
from bot.llm.generation import EngineStats, Generation, Item, deliver
from bot.llm.llamacpp import Llama
from bot.llm.pace import Pace
from bot.llm.running import Running
from bot.llm.sampler import Candidates, Logits
from bot.llm.scheduler import Part, Scheduler
from bot.llm.waiting import WaitingLine

_log = logging.getLogger(__name__)

_LEAST_SLICE = 16
"""Tokens of a prompt from which on a step says something about the speed of reading."""


class Batcher:
    """Serves the requests of a line, many at once."""

    def __init__(
        self,
        llama: Llama,
        line: WaitingLine,
        *,
        slice_tokens: int = 0,
        speculation: bool = True,
        pace: Pace | None = None,
    ) -> None:
        """
        Args:
            slice_tokens: see `Scheduler`.
            speculation: guess tokens where it pays and the model allows it.
            pace: what is known of the model's speed.
        """
        self._llama = llama
        self._context: Context = llama.context
        self._line = line
        self._parallel = llama.capacity.parallel
        self.cache = Cache(
            llama.context,
            sequences=llama.sequences,
            block=llama.block,
            idle=llama.idle_cells,
            copies=llama.copies_bytes,
            whole=llama.whole,
        )
        self._pace = pace or Pace()
        self._candidates: Candidates = llama.candidates()
        self._scheduler = Scheduler(
            line,
            self.cache,
            self._pace,
            llama.vocabulary,
            parallel=self._parallel,
            batch=llama.context.batch.size,
            block=llama.block,
            slice_tokens=slice_tokens,
            speculation=speculation and not llama.whole,
        )
        self._apart = llama.apart
        self._outgoing: list[tuple[Generation, Item]] = []
        self._steps = self._batch_tokens = self._batch_tokens_total = 0
        self._prompt = self._cached = self._completion = self._drafted = self._accepted = 0
        self._decode_seconds = self._python_seconds = 0.0
        self._last_step_at = time.monotonic()

    @property
    def requests(self) -> Sequence[Running]:
        """Those that are being served."""
        return self._scheduler.running

    @property
    def running(self) -> int:
        return len(self._scheduler.running)

    def stats(self) -> EngineStats:
        """From any thread; the figures may be of two different steps."""
        return EngineStats(
            parallel=self._parallel,
            running=self.running,
            queued=len(self._line),
            steps=self._steps,
            batch_tokens=self._batch_tokens,
            batch_tokens_total=self._batch_tokens_total,
            prompt_tokens=self._prompt,
            cached_tokens=self._cached,
            completion_tokens=self._completion,
            draft_tokens=self._drafted,
            accepted_tokens=self._accepted,
            last_step_at=self._last_step_at,
            decode_seconds=self._decode_seconds,
            python_seconds=self._python_seconds,
            cells=self._context.cells,
            cells_used=self.cache.tree.cells + self._loose(),
            cached_sequences=self.cache.tree.kept + len(self.cache.copies),
        )

    def woke(self) -> None:
        """Work begins after a rest."""
        self._last_step_at = time.monotonic()

    def step(self) -> None:
        """One step for everybody who runs or can be let in."""
        started, decoding = time.perf_counter(), 0.0
        try:
            self._let_go()
            before = len(self._scheduler.running)
            parts = self._scheduler.next_step()
            for running in self._scheduler.running[before:]:
                self._prompt += running.prompt
                self._cached += running.cached
            self._steps += bool(parts)
            for together in self._groups(parts):
                decoding += self._evaluate(
                    [part for part in together if part.running in self._scheduler.running]
                )
                self._deliver()
        finally:
            self._deliver()
            self._last_step_at = time.monotonic()
            self._decode_seconds += decoding
            self._python_seconds += time.perf_counter() - started - decoding

    def fail(self, error: ModelError) -> None:
        """End everything that runs, and forget what is in the cache."""
        for running in self._scheduler.running:
            self._outgoing.append((running.request.generation, error))
        self._scheduler.running.clear()
        self.cache.clear()
        self._deliver()

    def _groups(self, parts: list[Part]) -> list[list[Part]]:
        """The parts that are evaluated in one call of llama.cpp."""
        if not self._apart:
            return [parts]
        reading = [part for part in parts if part.running.reading]
        return [[part for part in parts if not part.running.reading], reading]

    def _evaluate(self, parts: list[Part]) -> float:
        """Seconds that llama.cpp took."""
        if not parts:
            return 0.0
        firsts = self._fill(parts)
        batch = self._context.batch
        self.cache.reserve(batch.tokens, loose=self._loose())
        begun = time.perf_counter()
        code = self._llama.decode()
        while code == NO_ROOM and self.cache.evict():
            code = self._llama.decode()
        seconds = time.perf_counter() - begun
        if code == NO_ROOM:  # not foreseen by the books: the last one in has to go
            last = self._scheduler.running[-1]
            self._leave(last, ModelError("The model's memory is full: ask a shorter question."))
        elif code != 0:
            reason = f"code {code}, {self._llama.reason()}"
            _log.error("llama.cpp could not compute (%s)", reason)
            self.fail(ModelError(f"llama.cpp could not compute ({reason})."))
        else:
            self._last_step_at = time.monotonic()
            self._batch_tokens = batch.tokens
            self._batch_tokens_total += batch.tokens
            self._measure(parts, seconds)
            self._choose(parts, firsts)
        return seconds

    def _fill(self, parts: list[Part]) -> list[int]:
        """Write the batch; the first row of logits of each part."""
        batch = self._context.batch
        batch.clear()
        firsts = []
        for part in parts:
            running, at = part.running, part.running.evaluated
            wanted: Outputs = "all"
            if running.reading:
                wanted = "last" if len(part.tokens) == running.reading else "none"
            firsts.append(batch.add(running.sequence, at, part.tokens + part.guess, outputs=wanted))
        return firsts

    def _choose(self, parts: list[Part], firsts: list[int]) -> None:
        logits = self._context.logits() if self._context.batch.outputs else None
        for part, first in zip(parts, firsts, strict=True):
            running = part.running
            was_reading = running.reading > 0
            running.evaluated += len(part.tokens)
            if was_reading:
                self.cache.read(running.sequence, part.tokens)
                if running.evaluated == running.mark:
                    self.cache.mark(running.sequence)
            if running.reading or logits is None:
                continue
            self._write(part, logits[first : first + 1 + len(part.guess)])
            if piece := running.piece():
                self._outgoing.append((running.request.generation, piece))
            if running.finish_reason is not None:
                self._leave(running, None)

    def _write(self, part: Part, logits: Logits) -> None:
        """Choose a token, and one more for each guess that came true."""
        running, written = part.running, part.running.written
        for row in range(len(logits)):
            token = running.choose(logits[row], self._candidates)
            right = row < len(part.guess) and token == part.guess[row]
            running.evaluated += right
            running.accepted += right
            self._accepted += right
            if not right or running.finish_reason is not None:
                break
        self._completion += running.written - written
        if part.guess:
            running.drafted += len(part.guess)
            self._drafted += len(part.guess)
            self.cache.cut(running.sequence, running.evaluated)

    def _let_go(self) -> None:
        """Those who were cancelled, and those whose time is up."""
        now = time.monotonic()
        for running in list(self._scheduler.running):
            if running.request.generation.cancelled:
                self._leave(running, None)
            elif running.request.late(now):
                self._leave(
                    running,
                    ModelUnavailableError("The answer was not finished in time; ask for a shorter one."),
                )
        for request in self._line.overdue(now):
            error = ModelBusyError(
                f"The model did not come to this question in time ({len(self._line)} are waiting);"
                " try again in a moment."
            )
            self._outgoing.append((request.generation, error))

    def _leave(self, running: Running, end: ModelError | None) -> None:
        self._scheduler.running.remove(running)
        self.cache.keep(running.sequence, running.tokens[running.prompt : running.evaluated])
        self._outgoing.append((running.request.generation, end))

    def _measure(self, parts: list[Part], seconds: float) -> None:
        rows = self._context.batch.tokens
        read = sum(len(part.tokens) for part in parts if part.running.reading)
        if read >= _LEAST_SLICE:
            beside = any(not running.reading for running in self._scheduler.running)
            self._pace.read(tokens=rows, seconds=seconds, beside=beside)
        elif not read:
            self._pace.wrote(rows=rows, seconds=seconds)

    def _loose(self) -> int:
        return sum(running.beyond_prompt for running in self._scheduler.running)

    def _deliver(self) -> None:
        if self._outgoing:
            deliver(self._outgoing)
            self._outgoing = []
