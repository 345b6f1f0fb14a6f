"""The key-value cache: the prefix tree and llama.cpp's memory, changed together.

Each sequence is running or kept for later. What is kept is evicted, least recently used first, when its cells
or its number are needed, and laid aside as a copy, which comes back when somebody begins with the same; a
running sequence is never touched. Before a request is let in, the cells that all running ones may come to need
are counted, so that none of them can run out of room half-way.
"""

from collections.abc import Mapping, Sequence

from bot.llm.context import Context
from bot.llm.copies import Copies
from bot.llm.prefix import Match, PrefixTree

WORTH_A_MARK = 64
"""Tokens that have to be spared for a sequence to be kept at its branch."""
_DEEP = 1000
"""Tokens of a thread from which on half a block costs more than a whole one (0.5B model, 64 tokens in a block)."""
_WORTH_PASTING = 16
"""Tokens more than the cache has, from which on a copy is pasted."""


class Cache:
    """The sequences in one context."""

    def __init__(
        self, context: Context, *, sequences: int, block: int, idle: int, copies: int, whole: bool
    ) -> None:
        """
        Args:
            sequences: how many may exist, running and kept ones together.
            block: tokens below which reading them is slow (see `Llama.block`).
            idle: cells that may be kept for later while anything runs; what ran last stays until then.
            copies: bytes for copies of what is evicted.
            whole: the model cannot drop the end of a sequence (see `PrefixTree`).
        """
        self._block = block
        self._copies_bytes = copies
        self._context = context
        self._whole = whole
        self._count = sequences
        self._idle = idle
        self.clear()

    def clear(self) -> None:
        """Forget everything, running sequences too."""
        self._context.clear()
        self.tree = PrefixTree(whole=self._whole)
        self.copies = Copies(most=self._copies_bytes, whole=self._whole)
        self._free = list(range(self._count - 1, -1, -1))

    def known(self, prompt: Sequence[int]) -> int:
        """Tokens of a prompt that would not have to be read. The last one always is: its logits are needed."""
        match, copy = self.tree.match(prompt[:-1]), self.copies.match(prompt[:-1])
        return max(match.length if match else 0, copy.length if copy else 0)

    def open(
        self, prompt: Sequence[int], *, limit: int, running: Mapping[int, int]
    ) -> tuple[int, int] | None:
        """Begin a sequence with what is there of its prompt.

        Args:
            limit: tokens that it may have in the end.
            running: the running sequences, with the limit of each.

        Returns:
            Its number and how many tokens it has; None when it has to wait for one that is running.
        """
        sequence = self._number()
        if sequence is None:
            return None
        beginning = self._beginning(prompt)
        match = self.tree.match(beginning)
        self.tree.start(sequence, match)
        if self._needed({**running, sequence: limit}) > self._context.cells:
            self.tree.drop(sequence)
            self._free.append(sequence)
            return None
        if match is not None:
            self._share(match, sequence)
        self._bound()
        self._paste(sequence, beginning)
        return sequence, self.tree.length(sequence)

    def read(self, sequence: int, tokens: Sequence[int]) -> None:
        """Tokens were evaluated behind what the tree knows of a running sequence."""
        overlap = self.tree.extend(sequence, tokens)
        if overlap is None or self._whole:
            return
        # The cells of its own are given up for those of the other.
        if self._context.cut(sequence, overlap.start, overlap.end):
            self._context.share(overlap.holder, sequence, overlap.start, overlap.end)

    def cut(self, sequence: int, length: int) -> None:
        """Take back what was evaluated beyond `length`: guesses that did not come true."""
        self._context.cut(sequence, length)

    def branch(self, prompt: Sequence[int]) -> int:
        """Where a prompt leaves what others had, if only whole sequences can be used: a place for `mark`.

        0 where that is of no use.
        """
        if not self._whole:
            return 0
        common = max(self.tree.common(prompt[:-1]), self.copies.common(prompt[:-1]))
        return common if common >= self.known(prompt) + WORTH_A_MARK else 0

    def mark(self, sequence: int) -> None:
        """Keep what a running sequence has now as one of its own, for prompts that begin with the same."""
        number = self._number()
        if number is None:
            return
        self._context.share(sequence, number, -1, -1)
        self.tree.start(number, Match(sequence, self.tree.length(sequence)))
        self._release(number)

    def keep(self, sequence: int, written: Sequence[int]) -> None:
        """A running sequence ended, having evaluated these tokens behind its prompt."""
        self.read(sequence, written)
        self._release(sequence)

    def reserve(self, cells: int, *, loose: int) -> None:
        """Make room for a step.

        Args:
            cells: tokens that the step evaluates.
            loose: tokens in the cache that are not in the tree: answers being written.
        """
        while self.tree.cells + loose + cells > self._context.cells and self.evict():
            pass

    def evict(self) -> bool:
        """Lay aside what was used longest ago; False when nothing is kept."""
        oldest = self.tree.oldest()
        if oldest is None:
            return False
        tokens, size = self.tree.tokens(oldest), self._context.size(oldest)
        if self.copies.make_room(tokens, size):
            state = self._context.copy(oldest, size)
            if state is not None:
                self.copies.put(tokens, state)
        self.tree.drop(oldest)
        self._remove(oldest)
        return True

    def _beginning(self, prompt: Sequence[int]) -> Sequence[int]:
        """What of a prompt may be taken from what is there: not the last token, whose logits are needed, and not so
        much that, far down in a thread, a good part of a block is left, which takes longer to read than a whole one."""
        known = self.known(prompt)
        if known >= _DEEP and self._block // 2 < len(prompt) - known < self._block and not self._whole:
            return prompt[: -self._block]
        return prompt[:-1]

    def _release(self, sequence: int) -> None:
        for spare in self.tree.release(sequence):
            self._remove(spare)
        self._bound()

    def _bound(self) -> None:
        """Evict what is more than may be kept. What ran last stays while nothing runs: a follow-up is likely."""
        running = self.tree.running
        while self.tree.kept > (0 if running else 1):
            if self.tree.cells - self.tree.held(running) <= self._idle:
                break
            self.evict()

    def _needed(self, running: Mapping[int, int]) -> int:
        """Cells that these sequences may come to take, with the limit of each."""
        if self._whole:  # the same tokens may lie in cells of each
            return sum(running.values())
        growing = sum(limit - self.tree.length(sequence) for sequence, limit in running.items())
        return growing + self.tree.held(running)

    def _number(self) -> int | None:
        if not self._free and not self.evict():
            return None
        return self._free.pop()

    def _remove(self, sequence: int) -> None:
        self._context.remove(sequence)
        self._free.append(sequence)

    def _share(self, match: Match, sequence: int) -> None:
        """Share cells in llama.cpp's memory; where it does not have all of them, the sequence begins empty."""
        start, end = (-1, -1) if self._whole else (0, match.length)
        self._context.share(match.sequence, sequence, start, end)
        if not self._has(sequence, match.length):
            self._empty(sequence)

    def _paste(self, sequence: int, prompt: Sequence[int]) -> None:
        """Begin with a copy instead, where one has clearly more and may fit."""
        copy = self.copies.match(prompt)
        if copy is None or copy.length < self.tree.length(sequence) + _WORTH_PASTING:
            return
        others = [other for other in self.tree.running if other != sequence]
        if copy.held > self._context.cells - self.tree.held(others):
            return
        tokens, state = self.copies.take(copy)
        self._empty(sequence)
        pasted = self._context.paste(sequence, state)
        while not pasted and self.evict():
            pasted = self._context.paste(sequence, state)
        if pasted and copy.length < copy.held:
            self._context.cut(sequence, copy.length)
        if pasted and self._has(sequence, copy.length):
            self.read(sequence, tokens[: copy.length])
            return
        self.copies.drop(copy)
        self._context.remove(sequence)
        if (match := self.tree.match(prompt)) is not None:
            self.tree.drop(sequence)
            self.tree.start(sequence, match)
            self._share(match, sequence)

    def _has(self, sequence: int, length: int) -> bool:
        first, last = self._context.span(sequence)
        return last == length - 1 and (self._whole or first == 0)

    def _empty(self, sequence: int) -> None:
        self._context.remove(sequence)
        self.tree.drop(sequence)
        self.tree.start(sequence)
