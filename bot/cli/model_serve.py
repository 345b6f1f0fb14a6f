"""`parley model serve`: the model server alone, for other machines; restarted when it dies."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.context import configure_logging, err, working

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.llm.supervisor import ModelProcess


def serve(
    *,
    model: Annotated[
        str | None, typer.Option(help="`starter` or a GGUF file. Without it: the one of parley.toml.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 8080,
    parallel: Annotated[
        int, typer.Option(min=0, max=256, help="Answers at once; 0: as many as memory allows.")
    ] = 0,
    context: Annotated[
        int, typer.Option(min=0, help="Tokens of one answer and its prompt; 0: as trained, at most 8192.")
    ] = 0,
    gpu_layers: Annotated[int, typer.Option(min=-1, help="-1: all, when there is a GPU.")] = -1,
    threads: Annotated[int, typer.Option(min=0, help="0: the physical cores.")] = 0,
    queue: Annotated[int, typer.Option(min=1, help="Requests that may wait.")] = 64,
    lora: Annotated[list[str] | None, typer.Option(help="A LoRA adapter: FILE or FILE=SCALE.")] = None,
    name: Annotated[
        str | None, typer.Option(help="What the model is called in requests; the file's name.")
    ] = None,
) -> None:
    """Serve a model to other programs in OpenAI's protocol, at http://HOST:PORT/v1, until stopped.

    PARLEY_MODEL_API_KEY (or PARLEY_MODEL_API_KEY_FILE) is the key that they must show; without one, only this
    machine can use it.
    """
    from bot.llm.access import check_exposure, key_from
    from bot.llm.lora import parse_lora
    from bot.llm.models import resolve
    from bot.llm.supervisor import Load, ModelProcess

    check_exposure(host, key_from())
    loaded = _settings(needed=model is None)
    if model is None and loaded is not None:
        path = resolve(str(loaded.llm.model), base=loaded.file.parent)
    else:
        path = resolve(model, base=Path.cwd())
    load = Load(
        context=context,
        parallel=parallel,
        queue_size=queue,
        threads=threads,
        gpu_layers=gpu_layers,
        lora=tuple(parse_lora(text, base=Path.cwd()) for text in lora or ()),
    )
    process = ModelProcess(
        path, load=load, listen=(host, port), model_id=name, state_file=_state_file(loaded)
    )
    asyncio.run(_run(process, f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"))


async def _run(process: "ModelProcess", address: str) -> None:
    """Raises `ModelUnavailableError` when the model cannot be served; returns when told to stop."""
    from bot.errors import ModelUnavailableError

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    stop = asyncio.create_task(stopped.wait())
    async with process:
        loading = asyncio.create_task(process.ready())
        with working(f"Loading {process.path.name}"):
            await asyncio.wait({stop, loading}, return_when=asyncio.FIRST_COMPLETED)
        if not loading.done():
            loading.cancel()
            return
        loading.result()
        err().print(f"{process.model_id} is served at {address}; Ctrl-C ends it.")
        ending = asyncio.create_task(process.given_up())
        await asyncio.wait({stop, ending}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            raise ModelUnavailableError(ending.result())
        ending.cancel()


def _settings(*, needed: bool) -> "Settings | None":
    """The settings of this place; a machine that only serves a model needs none."""
    from bot.config import find_file, load_settings

    configure_logging()
    return load_settings() if needed or find_file().exists() else None


def _state_file(loaded: "Settings | None") -> Path:
    from bot.app import quirks_file

    return quirks_file(loaded) if loaded else Path("~/.cache/parley/llama-quirks.json").expanduser()
