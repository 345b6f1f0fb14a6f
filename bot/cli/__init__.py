"""The command line: one module for each group of commands, one boundary for errors.

Results go to standard output; progress and errors go to standard error. Exit codes: 0 done, 1 failed, 2 wrong
usage. Commands import what they need when they run, so that `parley --help` answers at once.
"""

import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from bot.cli import ask, audit, doctor, feedback, init, knowledge, model, serve
from bot.cli.context import state
from bot.errors import EXPLAINED, UsageError


class PlatformGroup(TyperGroup):
    """Commands that a chat platform brings along; the platform is imported when one of them is looked at."""

    def list_commands(self, ctx: Any) -> list[str]:
        names: list[str] = self._loaded().list_commands(ctx)
        return names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return self._loaded().get_command(ctx, cmd_name)

    def _loaded(self) -> Any:
        from bot.plugins import command_group

        return typer.main.get_group(command_group(str(self.name)))


class Commands(TyperGroup):
    """Parley's own commands, then those of the platforms."""

    def list_commands(self, ctx: Any) -> list[str]:
        from bot.plugins import command_groups

        return [*super().list_commands(ctx), *command_groups()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from bot.plugins import command_groups

        if (own := super().get_command(ctx, cmd_name)) is not None or cmd_name not in command_groups():
            return own
        return PlatformGroup(
            name=cmd_name, help=f"What belongs to {cmd_name.capitalize()}.", no_args_is_help=True
        )


app = typer.Typer(
    name="parley",
    cls=Commands,
    help="Ask your team's documents. `parley init` sets it up, `parley chat` opens it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for module in (init, ask, knowledge, model, feedback, audit, doctor, serve):
    module.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"parley {version('parley-bot')}")
        raise typer.Exit


@app.callback()
def options(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, and the log.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - acts through its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    state.debug = debug


def main() -> NoReturn:
    """Entry point of `parley`: runs a command and turns every error into one sentence and an exit code."""
    code = 0
    try:
        app()  # ends in SystemExit, with typer's own message and code 2 for wrong usage
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader has left (`parley … | head`): nothing more can be said
        code = 1
    except Exception as error:
        if state.debug:
            raise
        code = _explain(error)
    sys.exit(code)


def _explain(error: Exception) -> int:
    if isinstance(error, EXPLAINED):
        typer.echo(f"parley: {error}", err=True)
        return 2 if isinstance(error, UsageError) else 1
    typer.echo(
        f"parley: something unexpected went wrong ({type(error).__name__}); "
        "run the command again as `parley --debug …` to see where.",
        err=True,
    )
    return 1
