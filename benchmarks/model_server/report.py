"""The table: one row for each claim, with its target and whether it is met."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from rich.table import Table

from benchmarks.model_server.measure import Figures

LLAMA_SERVER = "llama-server"
LOCKED = "Llama behind a lock"
TWO_SLICES = "two slices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    people: int
    what: str
    unit: Literal["s", "tokens/s", "%"]
    parley: float
    other: float | None = None
    against: str = ""
    target: tuple[Literal["≤", "≥", "<"], float] | None = None
    """For `compared`."""

    @property
    def compared(self) -> float:
        """Parley's figure in multiples of the other one, or itself where there is none to compare with."""
        return self.parley if self.other is None else self.parley / self.other if self.other else float("inf")

    @property
    def met(self) -> bool | None:
        match self.target:
            case ("≤", limit):
                return self.compared <= limit
            case ("≥", limit):
                return self.compared >= limit
            case ("<", limit):
                return self.compared < limit
        return None

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "compared": self.compared, "met": self.met}

    @property
    def cells(self) -> tuple[str, ...]:
        """The row in words."""
        of = "" if self.other is None else f"{_amount(self.other)} {self.unit} ({self.against})"
        sign = "%" if self.other is None else "×"
        target = "" if self.target is None else f"{self.target[0]} {self.target[1]:g}{sign}"
        met = {None: "", True: "met", False: "MISSED"}[self.met]
        ratio = "" if self.other is None else f"{self.compared:.2f}×"
        return (
            str(self.people),
            self.what,
            f"{_amount(self.parley)} {self.unit}",
            of,
            ratio,
            target,
            met,
        )


def rows(parley: Figures, other: Figures, *, locked: float, people: Sequence[int]) -> list[Row]:
    """All rows of one model file; `locked` is the rate of writing of `Llama` behind a lock, in tokens/s."""
    most = max(people)
    found = [row for number in people for row in _beside_llama_server(parley, other, people=number)]
    if (1, "slice") in parley:
        found.append(
            Row(
                people=1,
                what="longest gap, a long prompt arriving",
                unit="s",
                parley=parley[1, "gap"],
                other=2 * parley[1, "slice"],
                against=TWO_SLICES,
                target=("≤", 1.0),
            )
        )
    found.append(_plain(parley, other, 1, "gap", "longest gap, a long prompt arriving", "s"))
    found.append(_plain(parley, other, most, "writing", "writing alone", "tokens/s"))
    found.append(
        Row(
            people=most,
            what="writing alone",
            unit="tokens/s",
            parley=parley[most, "writing"],
            other=locked,
            against=LOCKED,
            target=("≥", 1.8),
        )
    )
    if (most, "python_share") in parley:
        share = 100 * parley[most, "python_share"]
        found.append(
            Row(people=most, what="Python's share of a step", unit="%", parley=share, target=("<", 5.0))
        )
    return found


def _beside_llama_server(parley: Figures, other: Figures, *, people: int) -> list[Row]:
    if people == 1:
        return [
            _plain(parley, other, 1, "throughput", "output", "tokens/s"),
            _plain(parley, other, 1, "first", "first token", "s", target=("≤", 1.05)),
            _plain(parley, other, 1, "follow_up", "first token of a follow-up", "s", target=("≤", 1.1)),
        ]
    return [
        _plain(parley, other, people, "throughput", "output", "tokens/s", target=("≥", 1.0)),
        _plain(parley, other, people, "first_median", "first token, median", "s", target=("≤", 0.85)),
        _plain(parley, other, people, "first_p95", "first token, 95th percentile", "s"),
        _plain(parley, other, people, "standstill", "longest standstill of a stream", "s", target=("<", 0.1)),
    ]


def _plain(
    parley: Figures,
    other: Figures,
    people: int,
    figure: str,
    what: str,
    unit: Literal["s", "tokens/s"],
    *,
    target: tuple[Literal["≤", "≥", "<"], float] | None = None,
) -> Row:
    return Row(
        people=people,
        what=what,
        unit=unit,
        parley=parley[people, figure],
        other=other[people, figure],
        against=LLAMA_SERVER,
        target=target,
    )


def notes(parley: Figures, other: Figures, *, people: Sequence[int]) -> list[str]:
    """What has to be known to judge the rows: whether both did the same work, and what they had not to read."""
    said = []
    for number in people:
        prompts, theirs = parley[number, "prompt_tokens"], other[number, "prompt_tokens"]
        line = f"{number} at once: {parley[number, 'answers']:.0f} answers to {prompts:.0f} tokens of prompts"
        if theirs != prompts:
            line += f" ({LLAMA_SERVER} counts {theirs:.0f}: NOT THE SAME WORK)"
        line += (
            f", of which {parley[number, 'cached_tokens']:.0f} were not read again"
            f" ({LLAMA_SERVER}: {other[number, 'cached_tokens']:.0f})"
        )
        for name, figures in (("Parley", parley), (LLAMA_SERVER, other)):
            if short := figures[number, "short_answers"]:
                line += f"; {name} ended {short:.0f} answers early"
        said.append(line)
    if (0, "stolen") in parley:
        said.append(
            f"meanwhile other processes took {parley[0, 'others']:.0%} of the CPU, and the host"
            f" {parley[0, 'stolen']:.0%}"
        )
    if (1, "slices") in parley:
        said.append(f"the long prompt was read in {parley[1, 'slices']:.0f} steps")
    return said


def table(title: str, found: Sequence[Row]) -> Table:
    drawn = Table(title=title, title_justify="left")
    for heading in ("people", "figure", "Parley", "compared with", "ratio", "target", ""):
        number = heading in {"people", "Parley", "ratio", "target"}
        drawn.add_column(heading, justify="right" if number else "left")
    previous = None
    for row in found:
        if previous is not None and previous != row.people:
            drawn.add_section()
        previous = row.people
        drawn.add_row(*row.cells, style="red" if row.met is False else None)
    return drawn


def _amount(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
