"""What the commands share: the settings, the running app, and how to print."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

    from bot.app import App
    from bot.config import Settings
    from knowledge.planning import Progress, ProgressCallback

T = TypeVar("T")


@dataclass
class State:
    """Options given before the command."""

    debug: bool = False


state = State()


def settings() -> "Settings":
    """The settings of the current folder or `PARLEY_CONFIG`; raises `SettingsError`."""
    from bot.config import load_settings

    configure_logging()
    return load_settings()


def configure_logging() -> None:
    """The log on standard error with `--debug`; without it the sentences of errors are enough."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if state.debug else logging.CRITICAL,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.captureWarnings(capture=True)


def run_app(command: "Callable[[App], Coroutine[Any, Any, T]]") -> T:
    """Open the app, run one coroutine with it, close it again."""
    loaded = settings()

    async def run() -> T:
        from bot.app import open_app

        async with open_app(loaded) as app:
            return await command(app)

    return asyncio.run(run())


@contextmanager
def audited(loaded: "Settings", command: str) -> Iterator[None]:
    """Write into the audit log that somebody does this in the terminal, and whether it fails."""
    import getpass

    from bot.audit import Audit
    from bot.database import migrate, open_database
    from bot.errors import EXPLAINED

    engine = open_database(loaded.database_url.get_secret_value())
    try:
        migrate(engine)
        audit = Audit(engine)
        try:
            yield
        except EXPLAINED as error:
            audit.record_in_terminal(getpass.getuser(), command, "failed", str(error))
            raise
        audit.record_in_terminal(getpass.getuser(), command, "done")
    finally:
        engine.dispose()


def out() -> "Console":
    """Results: standard output, plain text in a pipe."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def err() -> "Console":
    """Progress: standard error; shows nothing that moves when it is not a terminal."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner on standard error while the block runs, when that is a terminal."""
    console = err()
    if not console.is_terminal:
        yield
        return
    with console.status(f"{what} …"):
        yield


@contextmanager
def sync_progress(*, quiet: bool) -> Iterator["ProgressCallback | None"]:
    """A progress bar for a reindex, on standard error; nothing in a pipe or when `quiet`."""
    console = err()
    if quiet or not console.is_terminal:
        yield None
        return
    from rich import progress as rich_progress

    columns = (
        rich_progress.SpinnerColumn(),
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeElapsedColumn(),
    )
    with rich_progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Looking for documents", total=None)

        def show(progress: "Progress") -> None:
            what = f"{progress.stage.capitalize()} {progress.detail[-40:]}"
            bar.update(task, description=what, completed=progress.done, total=progress.total or None)

        yield show


def print_json(value: object) -> None:
    """One JSON value on standard output, for programs."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()
