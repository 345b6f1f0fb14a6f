"""The engine without its thread: a test submits, cancels and evicts between the steps it takes itself."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import gguf
import llama_cpp
import numpy as np

from bot.errors import ModelError
from bot.llm.batcher import Batcher
from bot.llm.context import Context
from bot.llm.generation import Generation, Piece, Sampling, TokenLogprob
from bot.llm.llamacpp import Llama, LoadOptions
from bot.llm.pace import Pace
from bot.llm.sampler import Sampler
from bot.llm.waiting import Request, WaitingLine

CLEAR = 0.02
"""Logarithms of probability by which the likeliest token has to lead for its choice to count as certain.

Batches of different widths are computed by different kernels, some of which round the query to 16 bits: on the
tiny model this moves logits by some 0.002. Where the lead is smaller, either token is right.
"""


class Now:
    """In place of an event loop: runs what it is given at once."""

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: object) -> None:
        callback(*args)


class Heard(Generation):
    """A generation whose pieces a test reads at once."""

    def __init__(self, line: WaitingLine) -> None:
        super().__init__(
            withdraw=line.withdraw, place=line.position, loop=cast("asyncio.AbstractEventLoop", Now())
        )
        self.pieces: list[Piece] = []
        self.ended = False
        self.error: ModelError | None = None

    def post(self, item: Piece | ModelError | None) -> None:
        if isinstance(item, Piece):
            self.pieces.append(item)
        else:
            self.ended, self.error = True, item

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def tokens(self) -> list[TokenLogprob]:
        return [token for piece in self.pieces for token in piece.logprobs]


class Eager(Pace):
    """Guesses whenever there is something to guess."""

    def price(self, width: int) -> float:
        return 0.0


@dataclass
class Stepped:
    """A model with a small cache; few things fit into it."""

    llama: Llama
    line: WaitingLine
    batcher: Batcher
    asked: list[Heard] = field(default_factory=list)

    @classmethod
    def over(cls, llama: Llama, **options: Any) -> "Stepped":
        llama.context.clear()
        line = WaitingLine(size=100)
        return cls(llama, line, Batcher(llama, line, **options))

    def ask(self, prompt: str, *, deadline: float | None = None, **sampling: Any) -> Heard:
        chosen = Sampling(**{"max_tokens": 12, "logprobs": 2, **sampling})
        generation = Heard(self.line)
        tokens = self.llama.vocabulary.tokens_of(prompt)
        room = self.llama.context_window - len(tokens)
        self.line.add(
            Request(
                generation=generation,
                tokens=tokens,
                sampling=chosen,
                sampler=Sampler(llama_cpp, self.llama.vocabulary.handle, chosen),
                max_tokens=min(chosen.max_tokens or room, room),
                deadline=None if deadline is None else time.monotonic() + deadline,
            )
        )
        self.asked.append(generation)
        return generation

    def finish(self) -> None:
        while self.line.first() or self.batcher.running:
            self.batcher.step()

    def agrees_with_memory(self) -> None:
        """The books say what llama.cpp has: the positions of each sequence."""
        cache, context = self.batcher.cache, self.llama.context
        written = {running.sequence: running.beyond_prompt for running in self.batcher.requests}
        for sequence in range(self.llama.sequences):
            length = 0
            if sequence in cache.tree:
                length = cache.tree.length(sequence) + written.get(sequence, 0)
            first, last = context.span(sequence)
            assert last == length - 1
            if not self.llama.whole:
                assert first == (0 if length else -1)

    def free_cells(self) -> int:
        """How many tokens llama.cpp still takes, found out by trying; nothing stays behind."""
        context, tree = self.llama.context, self.batcher.cache.tree
        spare = next(number for number in range(self.llama.sequences) if number not in tree)
        least, most = 0, context.cells + 1
        while most - least > 1:
            tokens = (least + most) // 2
            if self._fits(context, spare, tokens):
                least = tokens
            else:
                most = tokens
            context.remove(spare)
        return least

    @staticmethod
    def _fits(context: Context, sequence: int, tokens: int) -> bool:
        for start in range(0, tokens, context.batch.size):
            context.batch.clear()
            count = min(context.batch.size, tokens - start)
            context.batch.add(sequence, start, [1] * count, outputs="none")
            if context.decode() != 0:
                return False
        return True


def load(path: Path, *, context: int, parallel: int, cells: int) -> Llama:
    """A model with exactly this capacity."""
    options = LoadOptions(
        context=context, threads=1, gpu_layers=0, use_extra_bufts=True, parallel=parallel, cells=cells
    )
    return Llama(llama_cpp, path, options)


def repetitive(path: Path) -> Path:
    """Change a model of `gguf_factory` so that it writes in circles, now and then another way round.

    What the layers add to a token's own vector is made small: the next token depends mostly on the last one.
    """
    for tensor in gguf.GGUFReader(path, "r+").tensors:
        if tensor.name.endswith(("attn_output.weight", "ffn_down.weight")):
            tensor.data[:] *= np.float32(0.35)
    return path
