"""`parley model list|pull|use`; `check` and `serve` have modules of their own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli import model_check, model_serve
from bot.cli.context import audited, err, out, print_json, settings

if TYPE_CHECKING:
    from rich.table import Table

    from bot.config import Settings

commands = typer.Typer(
    help="Language models: which there are, get one, look into it, use it, serve it.", no_args_is_help=True
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="model")


@commands.command("list")
def list_models(*, as_json: AsJson = False) -> None:
    """List the models that are here (the starter, and the `models` folder of the data directory) and a few to pull."""
    loaded = settings()
    installed = list(_installed(loaded))
    names = {Path(row["path"]).name for row in installed}
    offers = list(_offers(names))
    if as_json:
        print_json({"installed": installed, "available": offers})
        return
    if installed:
        out().print(_installed_table(installed))
    else:
        out().print("No model is here yet: `parley model pull NAME` gets one of these.")
    out().print(_offers_table(offers))
    if loaded.llm.urls:
        out().print(f"In use: {loaded.llm.name or 'the model'} at {', '.join(loaded.llm.urls)}")


def _installed(loaded: "Settings") -> Iterator[dict[str, Any]]:
    from bot.errors import ModelFileError
    from bot.llm import models

    for path in models.installed(loaded.data_dir / "models"):
        used = not loaded.llm.urls and _configured(str(loaded.llm.model), base=loaded.file.parent) == path
        row: dict[str, Any] = {"path": str(path), "used": used}
        try:
            info = models.inspect(path)
        except ModelFileError as error:
            yield row | {"error": str(error)}
            continue
        yield row | {
            "name": info.name,
            "architecture": info.architecture,
            "quantisation": info.file_type,
            "parameters": info.parameters,
            "bytes": info.size_bytes,
            "memory_bytes": info.memory_bytes(loaded.llm.context),
            "context": info.context_length,
        }


def _offers(installed: set[str]) -> Iterator[dict[str, Any]]:
    from bot.llm.catalogue import CATALOGUE

    for offer in CATALOGUE:
        yield {
            "name": offer.name,
            "repository": offer.repo,
            "file": offer.file,
            "bytes": offer.size_bytes,
            "memory_bytes": offer.memory_bytes,
            "licence": offer.licence,
            "suits": offer.suits,
            "installed": offer.file in installed,
        }


def _installed_table(rows: list[dict[str, Any]]) -> "Table":
    from rich.table import Table

    from bot.llm.models import human_size

    table = Table("", "here", "size", "memory", "parameters", "context", "file")
    for row in rows:
        if "error" in row:
            table.add_row("●" if row["used"] else "", f"[red]{row['error']}[/]", "", "", "", "", row["path"])
            continue
        table.add_row(
            "●" if row["used"] else "",
            row["name"],
            human_size(row["bytes"]),
            human_size(row["memory_bytes"]),
            f"{row['parameters'] / 1e6:,.0f} M {row['quantisation']}",
            str(row["context"]),
            row["path"],
        )
    return table


def _offers_table(rows: list[dict[str, Any]]) -> "Table":
    from rich.table import Table

    from bot.llm.models import human_size

    table = Table("", "to pull", "size", "memory", "licence", "suits")
    for row in rows:
        table.add_row(
            "✓" if row["installed"] else "",
            row["name"],
            human_size(row["bytes"]),
            human_size(row["memory_bytes"]),
            row["licence"],
            row["suits"],
        )
    return table


@commands.command()
def pull(
    model: Annotated[
        str,
        typer.Argument(help="A name from `parley model list`, or `repository:file` on the Hugging Face hub."),
    ],
    *,
    to: Annotated[
        Path | None, typer.Option(help="Folder. Without it: `models` in the data directory.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download a GGUF file, going on where an earlier download broke off, and check it."""
    from bot.llm import hub
    from bot.llm.models import human_size
    from bot.llm.preflight import check_file

    folder = to or settings().data_dir / "models"
    file = hub.wanted(model)
    with _download(file.file) as on_progress:
        path = hub.pull(file, folder, on_progress=on_progress)
    info = check_file(path)
    if as_json:
        print_json({"path": str(path), "name": info.name, "bytes": info.size_bytes})
        return
    out().print(f"{path} is here and whole: {info.name}, {info.file_type}, {human_size(info.size_bytes)}.")
    out().print(f"`parley model use {path}` lets it write the answers.")


@contextmanager
def _download(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, when that is a terminal."""
    from rich import progress

    console = err()
    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name[-40:], total=None)
        yield lambda have, total: bar.update(task, completed=have, total=total)


@commands.command()
def use(
    model: Annotated[
        str,
        typer.Argument(
            help="`starter`, a pulled name, a GGUF file, or the URL of an OpenAI-compatible server."
        ),
    ],
) -> None:
    """Write the model to use into parley.toml, after looking at it."""
    loaded = settings()
    with audited(loaded, f"model use {model}"):
        _use(loaded, model)


def _use(loaded: "Settings", model: str) -> None:
    from bot.config import set_key
    from bot.llm.models import resolve
    from bot.llm.preflight import check_file

    if model.startswith(("http://", "https://")):
        set_key(loaded.file, ("llm", "url"), model)
        out().print(f"{loaded.file.name} now uses the server at {model}; `parley model check` tries it.")
        return
    path = _pulled(model, loaded.data_dir / "models") or resolve(model, base=Path.cwd())
    info = check_file(path)
    if loaded.llm.urls:
        set_key(loaded.file, ("llm", "url"), None)
    set_key(loaded.file, ("llm", "model"), model if model == "starter" else str(path.resolve()))
    out().print(f"{loaded.file.name} now uses {info.name}; `parley model check` tries it.")


def _pulled(name: str, folder: Path) -> Path | None:
    """The file of a short name, if it was pulled."""
    from bot.errors import UsageError
    from bot.llm.catalogue import offer_of

    offer = offer_of(name)
    if offer is None or Path(name).exists():
        return None
    if not (folder / offer.file).is_file():
        raise UsageError(f"{name} is not here yet: run `parley model pull {name}` first.")
    return folder / offer.file


def _configured(setting: str | None, *, base: Path) -> Path | None:
    from bot.errors import ModelFileError
    from bot.llm.models import resolve

    try:
        return resolve(setting, base=base)
    except ModelFileError:
        return None


commands.command("check")(model_check.check)
commands.command("serve")(model_serve.serve)
