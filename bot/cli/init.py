"""`parley init`."""

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.context import out


def register(app: typer.Typer) -> None:
    app.command()(init)


def init(
    documents: Annotated[
        Path | None, typer.Option("--documents", help="The folder of documents; asked for when not given.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What to call that source.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="`starter`, a GGUF file, or the URL of a server.")
    ] = None,
    *,
    connect: Annotated[
        list[str] | None,
        typer.Option("--connect", metavar="PLATFORM", help="Prepare a chat platform, such as `slack`."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a parley.toml that is there.")] = False,
) -> None:
    """Ask a few questions, write parley.toml and say what is next."""
    import re

    from bot.config import NAME, load_settings, new_settings_text
    from bot.errors import UsageError
    from bot.plugins import setups

    platforms = dict(setups())
    if unknown := set(connect or ()) - platforms.keys():
        raise UsageError(f"{unknown.pop()} cannot be prepared; there are: {', '.join(platforms) or 'none'}.")
    asks = documents is None or name is None or model is None
    file = Path("parley.toml")
    if file.exists() and not force:
        raise UsageError(f"{file.resolve()} is there already; edit it, or use --force to replace it.")
    if documents is None:
        documents = Path(typer.prompt("Folder of documents to answer from", default="docs"))
    if not documents.expanduser().is_dir():
        raise UsageError(f"{documents} is not a folder; give the folder that holds the documents.")
    if name is None:
        suggestion = re.sub(r"[^a-z0-9]+", "-", documents.resolve().name.lower()).strip("-") or "documents"
        name = typer.prompt("Name of this source", default=suggestion)
    if not re.fullmatch(NAME, name):
        raise UsageError(f"{name!r} is no name for a source; use lower-case letters, digits, - and _.")
    if model is None:
        model = typer.prompt("Model: starter, a GGUF file, or the URL of a server", default="starter")
    text = new_settings_text(name=name, path=str(documents), model=model)
    file.write_text(text, encoding="utf-8")
    loaded = load_settings(file)
    console = out()
    console.print(f"Wrote {loaded.file}.")
    for platform, prepare in platforms.items():
        if platform in (connect or ()) or (asks and typer.confirm(f"Connect {platform.capitalize()}?")):
            console.print(prepare(loaded.file.parent), markup=False, soft_wrap=True)
    console.print("Next:")
    console.print("  parley reindex    read the documents")
    console.print("  parley chat       ask them")
    console.print("  parley doctor     see whether everything is well")
