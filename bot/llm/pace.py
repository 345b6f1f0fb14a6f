"""What the steps of the engine cost, measured as it works: for the size of a slice and the price of a guess.

A step in which only answers are written takes about `base + row * rows` seconds, where a row is one token of
one answer: reading the weights costs the same for all rows together, computing costs for each. Both change
with the machine's load, so that newer steps count more.
"""

SLICE_SECONDS = 1.0
"""About how long a slice of a prompt may hold up the answers that are being written."""
STEP_SECONDS = 10.0
"""How long a slice may take while nobody writes: a step that takes minutes looks like one that hangs."""
SLICE_UNIT = 64
"""Slices are multiples of this; llama.cpp's kernels work on blocks of about as many."""

_FADING = 0.95  # of what was measured, with each new step
_HALF = 256  # tokens of a slice that count for half of the speed of reading
_AGEING = 0.01  # towards the usual cost, with each step that teaches nothing
_OUTLIER = 3.0  # a step that took so many times what was expected is counted as that
_USUAL_ROW = 0.3  # cost of a further row, as a share of a step with one row, before it is measured
_SPREAD = 0.3  # variance of the number of rows from which on the two costs can be told apart


class Pace:
    """Running measurements of one model on one machine."""

    def __init__(self) -> None:
        self._token_seconds = {False: 0.0, True: 0.0}  # of a prompt's token, beside answers or not
        self._weight = self._rows = self._seconds = self._rows2 = self._product = 0.0
        self._row_share = _USUAL_ROW  # cost of a row over cost of a step with one

    def read(self, *, tokens: int, seconds: float, beside: bool) -> None:
        """A step had a slice with that many tokens in it, beside answers that are being written or not."""
        each, before = seconds / tokens, self._token_seconds[beside]
        if before:
            each = min(each, _OUTLIER * before)
            each = before + (each - before) * tokens / (tokens + _HALF)
        self._token_seconds[beside] = each

    def wrote(self, *, rows: int, seconds: float) -> None:
        """A step had only rows of answers in it."""
        if self._weight:
            seconds = min(seconds, _OUTLIER * self._expected(rows))
        self._weight = self._weight * _FADING + 1
        self._rows = self._rows * _FADING + rows
        self._seconds = self._seconds * _FADING + seconds
        self._rows2 = self._rows2 * _FADING + rows * rows
        self._product = self._product * _FADING + rows * seconds
        mean, time = self._rows / self._weight, self._seconds / self._weight
        variance = self._rows2 / self._weight - mean * mean
        if variance > _SPREAD:
            row = (self._product / self._weight - mean * time) / variance
            single = time - row * (mean - 1)  # a step with one row
            if single > 0:
                self._row_share = min(max(row / single, 0.0), 1.0)
        else:  # what was learnt gets old, so that a guess is tried again some day
            self._row_share += (_USUAL_ROW - self._row_share) * _AGEING

    def slice_tokens(self, most: int, *, beside: bool) -> int:
        """Tokens of a prompt for the next step: `SLICE_SECONDS` of reading beside answers, else `STEP_SECONDS`.

        The two speeds are measured apart: a small slice and one deep in a long prompt cost more for each token.
        What nothing is known of begins small.
        """
        unit = min(SLICE_UNIT, most)
        each = self._token_seconds[beside]
        if not each:
            return unit if beside else min(2 * SLICE_UNIT, most)
        tokens = int((SLICE_SECONDS if beside else STEP_SECONDS) / each) // SLICE_UNIT * SLICE_UNIT
        return max(min(tokens, most), unit)

    def price(self, width: int) -> float:
        """What a further row costs while `width` answers are written, as a share of what a token costs then.

        A guess pays when it is likelier to come true than this. The wider the step, the nearer to 1.
        """
        width = max(width, 1)
        return width * self._row_share / (1 + (width - 1) * self._row_share)

    def _expected(self, rows: int) -> float:
        mean, time = self._rows / self._weight, self._seconds / self._weight
        share = self._row_share
        return time * (1 + (rows - 1) * share) / (1 + (mean - 1) * share)
