"""What a reindex does, did or would do, in Markdown for chat. Pure functions."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knowledge.errors import EvaluationDropError
    from knowledge.planning import Progress, SourceReport, SyncReport
    from knowledge.rollback import Rollback, SourceRollback

_BAR = 20
"""Characters of a full bar."""
_FILE = " · in "
_NAMED = 10
"""Files and questions that are named; of more, the number is told."""
_DONE = {
    "read": "files compared",
    "index": "files read",
    "evaluate": "questions tried",
    "clean up": "files read",
}


def progress_text(progress: "Progress") -> str:
    """A line with a bar: `▓▓▓▓▓░░░░░ 48% · 24 of 50 files · travel/hotels.md`."""
    if not progress.total:
        return f"{progress.stage.capitalize()} {progress.detail} …"
    share = progress.done / progress.total
    bar = "▓" * round(share * _BAR) + "░" * (_BAR - round(share * _BAR))
    what = f"{progress.done:,} of {progress.total:,} {_DONE[progress.stage]}"
    return f"{bar} {share:.0%} · {what}{_FILE}`{progress.detail.replace('`', '')}`"


def without_file(text: str) -> str:
    """`progress_text`, with what may follow it, without the name of the file."""
    return re.sub(rf"{_FILE}`[^`\n]*`", "", text)


def described(report: "SyncReport", *, may_name: Callable[[str], bool]) -> str:
    """What was done, or would be: a line for each source, then the files that could not be read.

    `may_name` says of a source whether its files may be named to those who read this.
    """
    blocks = [
        _source(source, dry_run=report.dry_run, names=may_name(source.name)) for source in report.sources
    ]
    verb = "would be removed" if report.dry_run else "removed"
    blocks += [f"- `{name}` is no longer a source: {verb}" for name in report.removed_sources]
    lines = "\n".join(blocks) or "- nothing to read: there is no source, or all are paused"
    if report.rebuilt:
        lines += (
            "\n\nEverything is read anew, as the embedding model or the way of cutting documents changed."
        )
    if report.dry_run:
        return f"{lines}\n\n{_cost(report)}".rstrip()
    return f"{lines}\n\nDone in {_duration(report.seconds)}, {report.embedded:,} passages embedded."


def _source(source: "SourceReport", *, dry_run: bool, names: bool) -> str:
    if source.error:
        return f"- `{source.name}`: {source.error}"
    verb = "to be " if dry_run else ""
    counts = (
        (source.added, f"{verb}added"),
        (source.changed, f"{verb}changed"),
        (source.deleted, f"{verb}removed"),
        (source.unchanged, "unchanged"),
    )
    told = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "no documents"
    lines = [f"- `{source.name}`: {told}"]
    if source.note:
        lines.append(f"    - {source.note}")
    shown = source.failed[:_NAMED] if names else []
    for path, reason in shown:
        lines.append(f"    - not read: {reason if reason.startswith(path) else f'{path}: {reason}'}")
    if more := len(source.failed) - len(shown):
        lines.append(
            f"    - {more} {'more ' if shown else ''}not read; `parley reindex` in the terminal names all"
        )
    return "\n".join(lines)


def _cost(report: "SyncReport") -> str:
    seconds = report.expected_seconds
    return "" if seconds is None or not report.to_load else f"That would take about {_duration(seconds)}."


def dropped(error: "EvaluationDropError", *, may_name: Callable[[str], bool]) -> str:
    """Why a new state is not shown, with the questions that it finds no more; `may_name` as in `described`."""
    if not may_name(error.source):
        return f"{error}\n\nPeople still see the state before. `parley reindex` in the terminal names the questions."
    missed = "\n".join(f"- {question}" for question in error.missed[:_NAMED])
    if (more := len(error.missed) - _NAMED) > 0:
        missed += f"\n- and {more} more"
    return (
        f"{error}\n\nNo longer found:\n\n{missed}\n\nPeople still see the state before. Mend the documents and "
        "`reindex` again, or show the new state anyway."
    )


def rolled(back: "Rollback") -> str:
    return "\n".join(_back(source) for source in back.sources)


def _back(source: "SourceRollback") -> str:
    counts = (
        (source.added, "come back"),
        (source.changed, "are what they were"),
        (source.deleted, "go"),
    )
    told = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    return f"- `{source.name}`: of its documents {told}"


def _duration(seconds: float) -> str:
    minute = 60
    return f"{seconds:.1f} s" if seconds < minute else f"{seconds / minute:.0f} min"
