"""How much the key-value cache holds, and how many answers share it.

`context` is what one request may use. The cache is shared: a cell holds one token of one sequence, or of many
with the same beginning, and cells are given out as tokens come. So the cache need not be as large as all
requests at their longest; where it is smaller, requests wait until those before them leave room.
"""

from dataclasses import dataclass

MOST_PARALLEL = 8
"""Answers at once by default: beyond that, decoding on a CPU gains little and each answer gets slower."""
_USUAL_LENGTH = 3072
"""Tokens that a request is expected to need at most: question, retrieved text, thread and answer."""
_CONTEXTS = 3
"""Requests of full length that the cache holds when there is memory: one very long one holds up nobody."""
_SHARE = 4
"""The part of the free memory (1/4) that the cache may take, beyond the one context it needs."""


@dataclass(frozen=True, slots=True)
class Capacity:
    parallel: int
    cells: int
    """Tokens in the cache."""


def choose(*, context: int, parallel: int, cell_bytes: int, free_bytes: int | None) -> Capacity:
    """The cache for requests of `context` tokens.

    Args:
        context: tokens of one request; the cache holds at least that many.
        parallel: answers at once; 0 takes as many as fit at their usual length, at most `MOST_PARALLEL`.
        cell_bytes: of the cache for one token; 0 for models that keep a state of fixed size.
        free_bytes: memory that is free with the weights loaded; None when unknown.
    """
    wanted, usual = parallel or MOST_PARALLEL, min(context, _USUAL_LENGTH)
    cells = max(wanted * usual, min(wanted, _CONTEXTS) * context)
    if free_bytes is not None and cell_bytes:
        cells = min(cells, free_bytes // _SHARE // cell_bytes)
    cells = max(cells, context)
    return Capacity(parallel or min(cells // usual, MOST_PARALLEL), cells)
