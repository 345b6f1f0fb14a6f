"""Which sentences of the passages the model reads, within a budget of tokens.

Reading the prompt is most of what an answer costs on a CPU, and a small model finds the right one of few sentences
sooner. So the best statements are taken as far as they may hold the answer, then what stands around them, until the
budget is used. Passages keep their numbers and headings, and sentences their order; "…" stands for what was left out.
What is checked and quoted is still the whole of the passages.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bot.evidence import Evidence
from bot.prompt import Passage
from knowledge.documents import Hit
from knowledge.passages import Unit

BUDGET = 500
"""Tokens, with headings."""
REACH = 2.5
"""A statement further below the best score is the answer in one case of a hundred, see `bot.grounding.RIVAL`."""
AROUND = 1
"""Statements before and after a chosen one that are taken along to make sense of it."""
GAP = "…"

CountTokens = Callable[[Sequence[str]], list[int]]


def select(
    evidence: Evidence, scores: npt.NDArray[np.float64], *, count_tokens: CountTokens, budget: int = BUDGET
) -> list[Passage]:
    """The passages with what is worth reading of them, the one with the best statement first.

    `scores` are those of `bot.ranking.scores`. The best statement is always among them, whatever it costs.
    """
    if not evidence.statements:
        return []
    statements = evidence.statements
    own = count_tokens([f"{GAP} {_line(statement.unit)}" for statement in statements])
    frames = [(statement.n, _frame(statement.unit)) for statement in statements]
    framed = dict(zip(frames, count_tokens(["\n".join(lines) for _, lines in frames]), strict=True))
    titles = count_tokens([f"[{n}] {hit.chunk.context}" for n, hit in enumerate(evidence.hits, start=1)])
    chosen: set[int] = set()
    paid: set[tuple[int, tuple[str, ...]]] = set()
    opened: dict[int, None] = {}
    left = budget

    def take(index: int) -> None:
        nonlocal left
        n = statements[index].n
        cost = own[index] + framed[frames[index]] * (frames[index] not in paid)
        cost += titles[n - 1] * (n not in opened)
        if index not in chosen and (cost <= left or not chosen):
            left -= cost
            chosen.add(index)
            paid.add(frames[index])
            opened[n] = None

    order = [int(index) for index in np.argsort(-scores, kind="stable")]
    best = [index for index in order if scores[index] >= scores[order[0]] - REACH]
    for index in best:
        take(index)
    for index in best:
        for near in range(max(index - AROUND, 0), min(index + AROUND + 1, len(statements))):
            if index in chosen and statements[near].n == statements[index].n:
                take(near)
    return [(n, _shortened(evidence, n, chosen)) for n in opened]


def excerpt(units: Sequence[Unit], chosen: AbstractSet[int]) -> str:
    """The `chosen` of a passage's units, by their positions, as Markdown; rows under their header."""
    text = ""
    last: int | None = None
    for position in sorted(chosen):
        unit, before = units[position], units[last] if last is not None else None
        missing = position > (0 if last is None else last + 1)
        lines = [_line(unit)]
        same = before is not None and (before.kind, _frame(before)) == (unit.kind, _frame(unit))
        if not same:
            known = before.text if before else ""
            lines = [*(line for line in _frame(unit) if line != known), *lines]
        if same and unit.kind == "sentence":
            text += f" {GAP} " if missing else " "
        elif text:
            text += f"\n{GAP}\n" if missing and not same else "\n"
        text += "\n".join(lines)
        last = position
    return text


def _shortened(evidence: Evidence, n: int, chosen: AbstractSet[int]) -> Hit:
    hit = evidence.hits[n - 1]
    own = [index for index, statement in enumerate(evidence.statements) if statement.n == n]
    if chosen >= set(own):
        return hit
    units = [evidence.statements[index].unit for index in own]
    text = excerpt(units, {index - own[0] for index in own if index in chosen})
    return replace(hit, chunk=replace(hit.chunk, text=text))


def _line(unit: Unit) -> str:
    return f"- {unit.text}" if unit.kind == "item" else unit.text


def _frame(unit: Unit) -> tuple[str, ...]:
    """The lines above it without which it says less."""
    heading = (f"## {unit.heading}",) if unit.heading else ()
    lead_in = (unit.lead_in,) if unit.lead_in else ()
    if unit.kind != "row" or not any(unit.header):
        return (*heading, *lead_in)
    return (*heading, *lead_in, *unit.display.split("\n")[:2])
