"""Whether the estimate of relevance is the probability that it claims to be.

    python -m benchmarks.calibration [--squad FILE...] [--questions 1190]

Asks the development half of the example handbook, and reading-comprehension sets in SQuAD's form when given, each
question as it is and once more with the passages that answer it hidden (`benchmarks.fit_ranking`). Prints, by tenths of
the estimate, how many questions were estimated so and how many of them could be answered; the expected calibration
error (the mean distance of the two, weighted by questions; Guo et al. 2017); and what the stored thresholds do.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.fit_ranking import (
    HANDBOOK,
    Case,
    handbook_cases,
    indexed,
    squad_cases,
    write_paragraphs,
)
from bot import ranking, relevance

BINS = 10
CONSOLE = Console(width=120)

Shares = npt.NDArray[np.float64]


def estimates(cases: Sequence[Case]) -> tuple[Shares, npt.NDArray[np.bool_]]:
    """What is estimated for each case, and whether it could be answered; shape (n,) both."""
    estimated = [relevance.probability(ranking.scores(case.features)) for case in cases]
    return np.array(estimated), np.array([case.answerable for case in cases])


def calibration_error(estimated: Shares, true: npt.NDArray[np.bool_], *, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal width, 0 to 1; 0 for no cases."""
    if not len(estimated):
        return 0.0
    of = np.minimum((estimated * bins).astype(int), bins - 1)
    gaps = [abs(estimated[of == n].sum() - true[of == n].sum()) for n in range(bins)]
    return float(sum(gaps) / len(estimated))


def area_under_curve(estimated: Shares, true: npt.NDArray[np.bool_]) -> float:
    """The probability that an answerable case is estimated above one that is not; a tie is half."""
    pairs = estimated[true][:, None] - estimated[~true][None, :]
    return float(((pairs > 0) + 0.5 * (pairs == 0)).mean()) if pairs.size else 0.5


def show(name: str, cases: Sequence[Case]) -> None:
    """Print what was found of one set."""
    estimated, true = estimates(cases)
    table = Table("estimate", "questions", "mean estimate", "could be answered", title=name)
    of = np.minimum((estimated * BINS).astype(int), BINS - 1)
    for n in range(BINS):
        own = of == n
        if own.any():
            span = f"{n / BINS:.1f}–{(n + 1) / BINS:.1f}"
            table.add_row(span, str(own.sum()), f"{estimated[own].mean():.2f}", f"{true[own].mean():.2f}")
    CONSOLE.print(table)
    CONSOLE.print(
        f"{name}: {true.sum()} answerable, {(~true).sum()} not; expected calibration error "
        f"{calibration_error(estimated, true):.3f}, area under the curve {area_under_curve(estimated, true):.3f}"
    )
    for threshold in (relevance.SHOW, relevance.ANSWER):
        kept, declined = (estimated[true] >= threshold).mean(), (estimated[~true] < threshold).mean()
        CONSOLE.print(
            f"  from {threshold} on: {kept:.1%} of the answerable, and {declined:.1%} of the others below"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--squad", type=Path, nargs="*", default=[], help="files in SQuAD's form")
    parser.add_argument("--questions", type=int, default=1190, help="of each file")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory(prefix="parley-calibration-") as name:
        folder = Path(name)
        with indexed(folder / "handbook", HANDBOOK) as library:
            show("handbook, development half", list(handbook_cases(library)))
        for file in args.squad:
            write_paragraphs(file, folder / f"{file.stem}-paragraphs")
            with indexed(folder / file.stem, folder / f"{file.stem}-paragraphs") as library:
                show(file.name, list(squad_cases(library, file, number=args.questions)))


if __name__ == "__main__":
    main()
