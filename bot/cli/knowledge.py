"""`parley search`, `parley reindex` and `parley sources`."""

from typing import Annotated, Any

import typer

from bot.cli.context import out, print_json, settings, sync_progress


def register(app: typer.Typer) -> None:
    app.command()(search)
    app.command()(reindex)
    app.command()(sources)


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    *,
    top: Annotated[int, typer.Option("--top", min=1, max=50, help="How many passages.")] = 6,
    as_json: AsJson = False,
) -> None:
    """Show the passages that a question would be answered from."""
    from bot.errors import UsageError
    from bot.library import open_library
    from bot.reports import hit_json

    if not query.strip():
        raise UsageError(
            'There is nothing to look for: give a few words, as in `parley search "hotel limit"`.'
        )
    with open_library(settings()) as library:
        hits = library.search(query, sources=library.visible_to_everyone, top_k=top)
    if as_json:
        print_json([hit_json(hit) for hit in hits])
        return
    console = out()
    if not hits:
        console.print("Nothing was found. `parley sources` shows what is indexed.")
    for hit in hits:
        console.print(f"[bold]{hit.score:.3f}[/]  ", end="")
        console.print(hit.chunk.context, style="bold", markup=False)
        console.print(hit.chunk.uri, style="dim", markup=False)
        console.print(hit.chunk.text + "\n", markup=False)


def reindex(
    *,
    source: Annotated[str | None, typer.Option("--source", help="Only this source.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read the sources again: what changed is embedded, what is gone is removed."""
    from bot.library import open_library
    from bot.reports import sync_json, sync_lines

    with open_library(settings()) as library, sync_progress(quiet=as_json) as on_progress:
        report = library.sync(only=source, dry_run=dry_run, retry_failed=True, on_progress=on_progress)
    if as_json:
        print_json(sync_json(report))
    else:
        for line in sync_lines(report):
            out().print(line, markup=False)


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
                "place": str(source.path),
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
