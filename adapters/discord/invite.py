"""The invitation of the bot: `parley discord invite` prints the address, with the permissions that it needs.

Imports discord.py only when it is used, so that commands start fast.
"""

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.config import DiscordSettings, find_file, load_settings
from bot.errors import SettingsError, UsageError

if TYPE_CHECKING:
    import discord

NEEDED = {
    "view_channel": "hear what is said in the channels that it may see",
    "send_messages": "answer",
    "send_messages_in_threads": "answer in threads and forums",
    "embed_links": "show the sources below an answer",
    "read_message_history": "refer to the question, know what was said before, and look up what it missed",
}
"""What the bot may do, and what for."""
FOR_THREADS = {"create_public_threads": "go on in a thread when a talk becomes long"}
"""Needed only with `discord.open_threads`."""
SCOPES = ("bot", "applications.commands")
PORTAL = "https://discord.com/developers/applications"


def needed(settings: DiscordSettings) -> dict[str, str]:
    return NEEDED | FOR_THREADS if settings.open_threads else NEEDED


def permissions(settings: DiscordSettings) -> "discord.Permissions":
    import discord

    return discord.Permissions(**dict.fromkeys(needed(settings), True))


def invitation(application_id: int, settings: DiscordSettings) -> str:
    """The address at which somebody who manages a server adds the bot to it."""
    import discord

    return discord.utils.oauth_url(application_id, permissions=permissions(settings), scopes=SCOPES)


def application_of(token: str) -> int:
    """The id of the application, which is the first part of its token; raises `SettingsError`."""
    first = token.partition(".")[0]
    try:
        number = base64.b64decode(first + "=" * (-len(first) % 4)).decode("ascii")
        return int(number)
    except (binascii.Error, ValueError) as error:
        raise SettingsError(
            "PARLEY_DISCORD_TOKEN is not the token of a bot; copy it from the page of the application, under Bot."
        ) from error


commands = typer.Typer(help="Connect Parley to Discord.", no_args_is_help=True)


@commands.callback()
def _group() -> None:
    """Connect Parley to Discord."""


@commands.command("invite")
def print_invitation(
    *,
    application: Annotated[
        int | None,
        typer.Option("--application", metavar="ID", help="Instead of the one to which the token belongs."),
    ] = None,
) -> None:
    """Print the address that adds the bot to a server, with the permissions that it needs."""
    import os

    from bot.config import parse_settings

    file = find_file()
    settings = load_settings() if file.exists() else parse_settings("", file=file, environ=os.environ)
    if application is None:
        if settings.discord.token is None:
            raise UsageError(
                "PARLEY_DISCORD_TOKEN is not set; set it, or give the id of the application with --application."
            )
        application = application_of(settings.discord.token.get_secret_value())
    typer.echo(invitation(application, settings.discord))


def setup(_: Path) -> str:
    """For `parley init`: what is to do."""
    return f"""\
To connect Discord:
  1. Open {PORTAL}, choose "New Application", and under "Bot":
       - switch on "Message Content Intent", so that it hears what does not name it (it works without, see the docs);
       - switch off "Public Bot" unless others may add it to their servers, where `everyone` is everyone;
       - "Reset Token", and put the token into the environment, never into parley.toml:
         export PARLEY_DISCORD_TOKEN=…
  2. Open the address that `parley discord invite` prints, and choose your server.
  3. Run `parley doctor`, then `parley serve`, and write `@Parley` and a question in a channel."""
