"""The Slack app as Slack wants to have it described, and `parley slack manifest`, which prints it.

Everything that the adapter listens to and calls has to stand here; `tests/adapters/slack/test_manifest.py` compares.
Imports nothing of Slack's, so that the command answers at once.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from adapters.slack.events import ASK, ASK_ABOUT_THIS, COMMAND
from bot.config import find_file, load_settings
from bot.errors import UsageError

Json = dict[str, Any]

SCOPES = {
    "app_mentions:read": "hear when it is named",
    "assistant:write": "be an agent: suggested prompts, a stop button",
    "channels:history": "read messages and threads of public channels that it was invited to",
    "channels:read": "know who can read a public channel",
    "chat:write": "answer",
    "commands": "/ask, /parley and the entry in a message's menu",
    "files:read": "read files that come with a question",
    "groups:history": "the same in private channels",
    "groups:read": "the same for private channels",
    "im:history": "read what people write to it directly",
    "im:read": "know with whom it is talking",
    "mpim:history": "the same in conversations of several people",
    "mpim:read": "the same for conversations of several people",
    "reactions:read": "count 👍 and 👎 on its answers",
    "users:read": "tell members from guests, and know names and admins",
}
"""What the bot may do, and what for."""

EVENTS = (
    "agent_session_stopped",
    "app_home_opened",
    "app_mention",
    "app_uninstalled",
    "channel_shared",
    "channel_unshared",
    "member_joined_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "reaction_added",
    "reaction_removed",
    "tokens_revoked",
    "user_change",
)

EVENTS_PATH, INSTALL_PATH, REDIRECT_PATH = "/slack/events", "/slack/install", "/slack/oauth_redirect"
FILE_NAME = "slack-manifest.yaml"
_NAME = 35
_SHORTCUT = 24
"""Characters of a name in the menu of a message."""


def manifest(*, name: str = "Parley", url: str | None = None, prompts: tuple[str, ...] = ()) -> Json:
    """The app for Socket Mode, or for requests to `url`, the public address of the HTTP port, https and all."""
    requests = {} if url is None else {"request_url": url.rstrip("/") + EVENTS_PATH}
    return {
        "display_information": {
            "name": name,
            "description": "Answers questions from your team's own documents, with sources.",
            "background_color": "#2f3e46",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": False,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": name, "always_online": True},
            "agent_view": {
                "agent_description": "Ask your team's documents. Every answer shows where it comes from.",
                **({"suggested_prompts": [{"title": p, "message": p} for p in prompts]} if prompts else {}),
            },
            "shortcuts": [
                {
                    "name": _shortcut(name),
                    "type": "message",
                    "callback_id": ASK_ABOUT_THIS,
                    "description": "Answers the message in its thread.",
                }
            ],
            "slash_commands": [
                _command(ASK, "Ask the documents; only you see the answer.", "your question", url),
                _command(COMMAND, "Commands of the bot; `help` lists them.", "help", url),
            ],
        },
        "oauth_config": {
            "scopes": {"bot": sorted(SCOPES)},
            **({} if url is None else {"redirect_urls": [url.rstrip("/") + REDIRECT_PATH]}),
        },
        "settings": {
            "event_subscriptions": {**requests, "bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": True, **requests},
            "org_deploy_enabled": False,
            "socket_mode_enabled": url is None,
            "token_rotation_enabled": False,
        },
    }


def bot_name(assistant_name: str) -> str:
    """What the bot is called in Slack, where names have limits."""
    return assistant_name[:_NAME]


def as_yaml(app: Json) -> str:
    return yaml.safe_dump(app, sort_keys=False, allow_unicode=True, width=120)


def _shortcut(name: str) -> str:
    wanted = f"Ask {name} about this"
    return wanted if len(wanted) <= _SHORTCUT else "Ask about this"


def _command(command: str, description: str, hint: str, url: str | None) -> Json:
    return {
        "command": command,
        "description": description,
        "usage_hint": hint,
        "should_escape": True,
        **({} if url is None else {"url": url.rstrip("/") + EVENTS_PATH}),
    }


def _configured(url: str | None) -> Json:
    """The manifest with the name and prompts of the settings, when there are settings."""
    if not find_file().exists():
        return manifest(url=url)
    settings = load_settings()
    return manifest(
        name=bot_name(settings.chat.assistant_name), url=url, prompts=settings.slack.suggested_prompts
    )


commands = typer.Typer(help="Connect Parley to Slack.", no_args_is_help=True)


@commands.callback()
def _group() -> None:
    """Connect Parley to Slack."""


@commands.command("manifest")
def print_manifest(
    *,
    http: Annotated[
        str | None,
        typer.Option(
            "--http", metavar="URL", help="For requests to this public address instead of Socket Mode."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Print the manifest to paste at api.slack.com/apps under "From a manifest"."""
    if http is not None and not http.startswith("https://"):
        raise UsageError(f"{http} is no public address; Slack wants one that begins with https://.")
    app = _configured(http)
    typer.echo(json.dumps(app, indent=2, ensure_ascii=False) if as_json else as_yaml(app).rstrip())


def setup(folder: Path) -> str:
    """For `parley init`: writes the manifest into the folder and returns what is left to do."""
    file, app = folder / FILE_NAME, _configured(None)
    file.write_text(as_yaml(app), encoding="utf-8")
    return f"""\
Wrote {file}. To connect Slack:
  1. Open https://api.slack.com/apps, choose "Create New App", "From a manifest", your workspace, and paste the file.
  2. Under "Basic Information", "App-Level Tokens", generate one with the scope connections:write:
         export PARLEY_SLACK_APP_TOKEN=xapp-…
  3. Under "Install App", install it and copy the Bot User OAuth Token:
         export PARLEY_SLACK_BOT_TOKEN=xoxb-…
     Tokens belong in the environment (or in files that PARLEY_SLACK_…_TOKEN_FILE name), never in parley.toml.
  4. Run `parley doctor`, then `parley serve`, and invite the bot to a channel:
         /invite @{app["features"]["bot_user"]["display_name"]}"""
