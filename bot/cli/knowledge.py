"""`parley search`, `parley reindex`, `parley rollback`, `parley eval` and `parley sources`."""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.context import audited, err, out, print_json, settings, sync_progress, working


def register(app: typer.Typer) -> None:
    app.command()(search)
    app.command()(reindex)
    app.command()(rollback)
    app.command()(sources)
    measures = typer.Typer(help="Measure how well questions are served.", no_args_is_help=True)
    measures.command()(retrieval)
    measures.callback()(_measures)
    app.add_typer(measures, name="eval")


_PLACES = 5
"""Of a text that stands in many documents, so many others are named."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def search(
    query: Annotated[
        str,
        typer.Argument(help="What to look for; `in:handbook tag:policy since:2026-01 …` narrows it down."),
    ],
    *,
    top: Annotated[int, typer.Option("--top", min=1, max=50, help="How many passages.")] = 6,
    as_json: AsJson = False,
) -> None:
    """Show the passages that a question would be answered from."""
    from datetime import date

    from bot.errors import UsageError
    from bot.library import open_library
    from bot.reports import hit_json, other_places
    from knowledge.filters import parse, without_filters

    if not without_filters(query).strip():
        raise UsageError(
            'There is nothing to look for: give a few words, as in `parley search "hotel limit"`.'
        )
    with open_library(settings()) as library:
        visible = library.visible_to_everyone
        tags = {name: library.source_tags.get(name, frozenset()) for name in sorted(visible)}
        text, where = parse(query, sources=tags, today=date.today())  # noqa: DTZ011 - the person's day
        hits = library.search(text, sources=visible, top_k=top, where=where)
    if as_json:
        print_json([hit_json(hit) for hit in hits])
        return
    console = out()
    if where:
        console.print(where.sentence + "\n", markup=False)
    if not hits:
        console.print("Nothing was found. `parley sources` shows what is indexed.")
    for hit in hits:
        console.print(f"[bold]{hit.score:.3f}[/]  ", end="")
        console.print(hit.chunk.context, style="bold", markup=False)
        console.print(hit.chunk.uri, style="dim", markup=False)
        others = other_places(hit)
        for uri in others[:_PLACES]:
            console.print(f"also in {uri}", style="dim", markup=False)
        if len(others) > _PLACES:
            console.print(f"and in {len(others) - _PLACES} more", style="dim", markup=False)
        console.print(hit.chunk.text + "\n", markup=False)


def reindex(
    *,
    source: Annotated[str | None, typer.Option("--source", help="Only this source.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Show the new state even if its questions find less than before.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read the sources again: what changed is embedded, what is gone is removed."""
    from bot.library import open_library
    from bot.reports import sync_json, sync_lines
    from knowledge.errors import EvaluationDropError

    loaded = settings()
    said = " ".join(filter(None, ("reindex", source, "--force" if force else "")))
    with open_library(loaded) as library:
        try:
            with (
                nullcontext() if dry_run else audited(loaded, said),
                sync_progress(quiet=as_json) as on_progress,
            ):
                report = library.sync(
                    only=source, dry_run=dry_run, retry_failed=True, force=force, on_progress=on_progress
                )
        except EvaluationDropError as error:
            err().print("No longer found:", *(f"- {one}" for one in error.missed), sep="\n", markup=False)
            err().print("`parley reindex --force` shows the new state anyway.", markup=False)
            raise
    if as_json:
        print_json(sync_json(report))
        return
    for line in sync_lines(report):
        out().print(line, markup=False)


def rollback(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take back the last reindex that changed anything; a second time, take that back."""
    from bot.library import open_library

    loaded = settings()
    with (
        open_library(loaded) as library,
        nullcontext() if dry_run else audited(loaded, "rollback"),
    ):
        done = library.rollback(dry_run=dry_run)
    if as_json:
        print_json(asdict(done))
        return
    verb = "would " if dry_run else ""
    for part in done.sources:
        counts = (
            (part.added, f"{verb}come back"),
            (part.changed, f"{verb}become what they were"),
            (part.deleted, f"{verb}go"),
        )
        told = ", ".join(f"{count} {what}" for count, what in counts if count)
        out().print(f"{part.name}: of its documents {told}", markup=False)
    if not dry_run:
        out().print(
            "The next reindex brings the new state again, unless you correct the files or pause the source "
            "(`paused = true` in parley.toml)."
        )


def _measures() -> None:
    """A command of its own for each measure, also while there is only one."""


def retrieval(
    source: Annotated[
        str | None, typer.Argument(help="Only this source; else all that have questions.")
    ] = None,
    *,
    beir: Annotated[
        Path | None,
        typer.Option(
            help="Not your sources, but a test collection: a folder with corpus.jsonl, queries.jsonl and qrels.tsv."
        ),
    ] = None,
    tradeoff: Annotated[
        bool,
        typer.Option(
            "--tradeoff", help='Also show what a threshold for "I don\'t know" would do to the questions.'
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Try a source's questions on what is indexed: is a right document among the first five passages?"""
    from bot.errors import UsageError
    from bot.library import open_library
    from bot.tradeoff import lines
    from feedback.evaluate import RECALL_K
    from feedback.metrics import Proportion

    if beir:
        if source:
            raise UsageError("Give the name of a source, or `--beir` with a folder, not both.")
        if tradeoff:
            raise UsageError("`--tradeoff` is for your own sources: leave out it or `--beir`.")
        _collection(beir, as_json=as_json)
        return
    with open_library(settings()) as library:
        names = [source] if source else [one.name for one in library.settings.sources if one.evaluation]
        if not names:
            raise UsageError(
                "No source has questions: give one `evaluation`, the path of a question set, in parley.toml."
            )
        with working("Searching"):
            results = [library.evaluate(name) for name in names]
            tradeoffs = {name: library.tradeoff(name) for name in names} if tradeoff else {}
    if as_json:
        print_json([
            asdict(result)
            | {"at": result.at.isoformat()}
            | ({"tradeoff": tradeoffs[result.source].rows_json} if tradeoff else {})
            for result in results
        ])  # fmt: skip
        return
    for result in results:
        span = Proportion(result.found, result.questions).interval
        out().print(
            f"{result.source}: {result.found} of {result.questions} questions find their document among the first "
            f"{RECALL_K} passages ({result.recall:.0%}, 95% interval {span.low:.0%} to {span.high:.0%}); "
            f"MRR {result.mrr:.2f}",
            markup=False,
        )
        if result.missed:
            out().print(f"  not found: {', '.join(result.missed)}", markup=False)
    for one in tradeoffs.values():
        out().print("\n" + "\n".join(lines(one)), markup=False, soft_wrap=True)


def _collection(folder: Path, *, as_json: bool) -> None:
    """Index and search a test collection in a throwaway folder, and show how well its documents are found."""
    from bot import beir
    from bot.config import find_file, parse_settings

    # Anybody may want to compare figures before there are any sources.
    file = find_file()
    loaded = settings() if file.exists() else parse_settings("", file=file, environ={})
    collection = beir.read_collection(folder)
    with sync_progress(quiet=as_json) as on_progress:
        run = beir.search(collection, knowledge=loaded.knowledge, on_progress=on_progress)
    figures = asdict(beir.Figures.of(collection, run.rankings))
    if as_json:
        print_json({
            "documents": run.documents,
            "passages": run.passages,
            "queries": len(run.rankings),
            "embedding_model": run.embedding_model,
            "figures": {
                name: {"value": figure["value"], **figure["interval"]} for name, figure in figures.items()
            },
        })  # fmt: skip
        return
    out().print(
        f"{len(run.rankings)} queries on {run.documents} documents in {run.passages} passages, "
        f"{run.embedding_model}; with 95% intervals:",
        markup=False,
    )
    for name, title in (
        ("ndcg_at_10", "nDCG@10"),
        ("recall_at_5", "recall@5"),
        ("recall_at_20", "recall@20"),
        ("mrr", "MRR"),
    ):
        figure = figures[name]
        low, high = figure["interval"]["low"], figure["interval"]["high"]
        out().print(f"  {title:<10} {figure['value']:.3f}  ({low:.3f} to {high:.3f})", markup=False)


def sources(*, as_json: AsJson = False) -> None:
    """List the sources: where they are, who may see them, and how much of them is indexed."""
    from rich.table import Table

    from bot.library import open_library

    with open_library(settings()) as library:
        counts = library.counts
        rows: list[dict[str, Any]] = [
            {
                "name": source.name,
                "kind": source.kind,
                "place": source.place,
                "visible_to": list(source.visible_to),
                "documents": counts.get(source.name, (0, 0))[0],
                "passages": counts.get(source.name, (0, 0))[1],
            }
            for source in library.settings.sources
        ]
    if as_json:
        print_json(rows)
        return
    if not rows:
        out().print(
            "There are no sources yet: add a [[sources]] section to parley.toml, or run `parley init`."
        )
        return
    table = Table("source", "kind", "place", "visible to", "documents", "passages")
    for row in rows:
        table.add_row(
            row["name"],
            row["kind"],
            row["place"],
            ", ".join(row["visible_to"]),
            str(row["documents"] or "none: run `parley reindex`"),
            str(row["passages"]),
        )
    out().print(table)
