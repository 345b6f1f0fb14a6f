"""`parley serve`."""

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

import typer

from bot.cli.context import err, run_app

if TYPE_CHECKING:
    from bot.app import App

log = logging.getLogger(__name__)


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve() -> None:
    """Run every configured chat platform, and keep the index fresh, until stopped."""
    run_app(_serve)


async def _serve(app: "App") -> None:
    from filelock import FileLock, Timeout

    from bot.errors import UsageError

    folder = app.settings.data_dir
    try:
        with FileLock(folder / "serve.lock", blocking=False):
            await _serve_alone(app)
    except Timeout as error:
        raise UsageError(
            f"Another `parley serve` is using {folder}; stop it first, or give this one another data_dir."
        ) from error


async def _serve_alone(app: "App") -> None:
    from bot.errors import SettingsError
    from bot.plugins import adapters

    logging.getLogger().setLevel(logging.INFO)
    for chatty in ("httpx", "uvicorn.access", "apscheduler"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    running = [adapter for adapter in adapters(app) if adapter.configured]
    if not running:
        raise SettingsError(
            f"No chat platform is configured in {app.settings.file}: set the tokens of the Slack app (`parley slack "
            "manifest` begins one) or PARLEY_DISCORD_TOKEN, add a [web] section with `port = 8080`, or use "
            "`parley chat` in the terminal."
        )
    app.start()
    app.jobs.start()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    err().print(f"Serving {', '.join(adapter.name for adapter in running)}; Ctrl-C stops.")
    tasks = {asyncio.create_task(adapter.run(), name=adapter.name) for adapter in running}
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            task.result()  # an adapter that fails takes the service down with its reason, for the supervisor to restart
    finally:
        await app.jobs.aclose()
        await app.desk.close(grace=app.settings.shutdown_grace)
        for task in {*tasks, stopping}:
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)
