"""What goes into the next step of the engine.

A step evaluates one token, or several guessed ones, for every answer that is being written, and at most one
slice of prompts besides, so that an answer never stands still for longer than a slice takes. Prompts are read
one after another in the order of their arrival: the first answer begins early, where reading all of them side
by side would let all begin late.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.llm.cache import Cache
from bot.llm.pace import Pace
from bot.llm.running import Running
from bot.llm.vocabulary import Vocabulary
from bot.llm.waiting import Request, WaitingLine

_SAME = 32
"""A prompt waits for one that is being read when they share at least so many tokens more than are cached."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one request has in a step."""

    running: Running
    tokens: list[int]
    """To evaluate: the last one written, or a slice of the prompt."""
    guess: list[int] = field(default_factory=list)


class Scheduler:
    """The running requests, in the order in which they were let in."""

    def __init__(
        self,
        line: WaitingLine,
        cache: Cache,
        pace: Pace,
        vocabulary: Vocabulary,
        *,
        parallel: int,
        batch: int,
        block: int,
        slice_tokens: int,
        speculation: bool,
    ) -> None:
        """
        Args:
            parallel: requests that may run at once.
            batch: tokens of a step at most.
            block: tokens of a prompt below which reading is slow (see `Llama.block`); slices leave no part of one.
            slice_tokens: of prompts, in a step that also writes, or up to a block more; 0 lets the measured pace
                decide.
            speculation: guess tokens where it pays.
        """
        self.running: list[Running] = []
        self._line = line
        self._cache = cache
        self._pace = pace
        self._vocabulary = vocabulary
        self._parallel = parallel
        self._batch = batch
        self._block = block
        self._slice = slice_tokens
        self._speculation = speculation

    def next_step(self) -> list[Part]:
        """The parts of the next step; empty when there is nothing to do."""
        writing = [running for running in self.running if not running.reading]
        parts = self._written(writing)
        most = self._batch - sum(len(part.tokens) + len(part.guess) for part in parts)
        fixed = self._slice if writing else 0
        room = min(most, fixed or self._pace.slice_tokens(self._batch, beside=bool(writing)))
        for running in self.running:
            if room > 0 and running.reading:
                parts.append(part := self._read(running, room, most=most))
                room, most = room - len(part.tokens), most - len(part.tokens)
        while room > 0 and (admitted := self._admitted(parts)) is not None:
            parts.append(part := self._read(admitted, room, most=most))
            room, most = room - len(part.tokens), most - len(part.tokens)
        return parts

    def _written(self, writing: Sequence[Running]) -> list[Part]:
        price = self._pace.price(len(writing))
        room = self._batch - len(writing)
        parts = []
        for running in writing:
            guess = running.guess(price=price, most=room) if self._speculation else []
            room -= len(guess)
            parts.append(Part(running, running.tokens[running.evaluated :], guess))
        return parts

    def _admitted(self, parts: Sequence[Part]) -> Running | None:
        """The next in the line, when there is a place and room in the cache for it."""
        while len(self.running) < self._parallel and (request := self._line.first()) is not None:
            if self._awaits(request, parts):
                return None
            limit = len(request.tokens) + request.max_tokens
            opened = self._cache.open(
                request.tokens, limit=limit, running={r.sequence: r.limit for r in self.running}
            )
            if opened is None:
                return None
            sequence, cached = opened
            if not self._line.take(request):  # it was withdrawn meanwhile
                self._cache.keep(sequence, ())
                continue
            running = Running(request, sequence=sequence, cached=cached, vocabulary=self._vocabulary)
            running.mark = self._cache.branch(request.tokens)
            self.running.append(running)
            return running
        return None

    def _awaits(self, request: Request, parts: Sequence[Part]) -> bool:
        """Whether this very step reads a beginning that the request could share in the next one."""
        reading = [part for part in parts if part.running.reading]
        if not reading:
            return False
        least = self._cache.known(request.tokens) + _SAME
        return any(
            part.running.tokens[:least] == request.tokens[:least]
            for part in reading
            if part.running.evaluated + len(part.tokens) >= least
        )

    def _read(self, running: Running, room: int, *, most: int) -> Part:
        """A slice of a prompt, `room` tokens or less. Where a block has room, it leaves whole ones, for which it may
        have up to a block more: what is odd is read first, while attention has little to look at."""
        start, reading = running.evaluated, running.reading
        count = min(room, reading)
        if room >= self._block:
            odd = reading % self._block
            count = odd + (room - odd) // self._block * self._block
            if count < self._block:
                count += self._block
            count = min(count, reading, most)
        if start < running.mark < start + count:
            count = running.mark - start
        return Part(running, running.tokens[start : start + count])
