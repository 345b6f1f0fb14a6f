"""What a reindex does, did or would do, in Markdown for chat. Pure functions."""

from typing import TYPE_CHECKING

from bot.administration.naming import ELSEWHERE, MayName

if TYPE_CHECKING:
    from knowledge.errors import EvaluationDropError
    from knowledge.planning import Progress, SourceReport, SyncReport
    from knowledge.rollback import Rollback, SourceRollback

_BAR = 20
"""Characters of a full bar."""
_NAMED = 10
"""Files and questions that are named; of more, the number is told."""
_DONE = {
    "read": "files compared",
    "index": "files read",
    "evaluate": "questions tried",
    "clean up": "files read",
}


def progress_text(progress: "Progress", *, is_open: bool = True) -> str:
    """A line with a bar: `▓▓▓▓▓░░░░░ 48% · 24 of 50 files · travel/hotels.md`; the bar alone unless it `is_open`.

    How many files a source has is told to nobody who may not know of the source.
    """
    detail = progress.detail if is_open else ""
    if not progress.total:
        return f"{progress.stage.capitalize()} {detail or 'the sources'} …"
    share = progress.done / progress.total
    bar = "▓" * round(share * _BAR) + "░" * (_BAR - round(share * _BAR)) + f" {share:.0%}"
    if not is_open:
        return bar
    file = f" · in `{detail.replace('`', '')}`" if detail else ""
    return f"{bar} · {progress.done:,} of {progress.total:,} {_DONE[progress.stage]}{file}"


def described(report: "SyncReport", *, may_name: MayName, asked: str | None = None) -> str:
    """What was done, or would be: a line for each source, then the files that could not be read.

    Nothing is told of sources that may not be named to those who read this, but for the one that was `asked` for by
    its name, of which no file is named.
    """
    told = [source for source in report.sources if source.name == asked or may_name(source.name)]
    removed = [name for name in report.removed_sources if may_name(name)]
    is_whole = len(told) + len(removed) == len(report.sources) + len(report.removed_sources)
    blocks = [_source(source, dry_run=report.dry_run, names=may_name(source.name)) for source in told]
    verb = "would be removed" if report.dry_run else "removed"
    blocks += [f"- `{name}` is no longer a source: {verb}" for name in removed]
    lines = "\n".join(blocks)
    if not is_whole:
        lines = f"{lines}\n\n{ELSEWHERE}".lstrip()
    elif not lines:
        lines = "- nothing to read: there is no source, or all are paused"
    if report.rebuilt:
        lines += (
            "\n\nEverything is read anew, as the embedding model or the way of cutting documents changed."
        )
    if report.dry_run:
        return f"{lines}\n\n{_cost(report) if is_whole else ''}".rstrip()
    embedded = f", {report.embedded:,} passages embedded" if is_whole else ""
    return f"{lines}\n\nDone in {_duration(report.seconds)}{embedded}."


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


def dropped(error: "EvaluationDropError", *, may_name: MayName, asked: str | None = None) -> str:
    """Why a new state is not shown, with the questions that it finds no more; who is named as in `described`."""
    if not may_name(error.source):
        why = (
            str(error)
            if error.source == asked
            else "A source finds its documents less often in its new state."
        )
        return f"{why}\n\nPeople still see the state before. `parley reindex` in the terminal names the questions."
    missed = "\n".join(f"- {question}" for question in error.missed[:_NAMED])
    if (more := len(error.missed) - _NAMED) > 0:
        missed += f"\n- and {more} more"
    return (
        f"{error}\n\nNo longer found:\n\n{missed}\n\nPeople still see the state before. Mend the documents and "
        "`reindex` again, or show the new state anyway."
    )


def rolled(back: "Rollback", *, may_name: MayName) -> str:
    """What going back changes, a line for each source that may be named."""
    lines = [_back(source) for source in back.sources if may_name(source.name)]
    return "\n".join(lines if len(lines) == len(back.sources) else [*lines, ELSEWHERE])


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
