"""The manifest asks for what the adapter uses: no event, command or scope is missing, and none is idle."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from slack_sdk.web.async_client import AsyncWebClient
from typer.testing import CliRunner

from adapters import slack as package
from adapters.slack import manifest as made
from adapters.slack.listeners import Listeners
from adapters.slack.manifest import SCOPES, commands, manifest, setup
from bot.cli import app
from bot.errors import UsageError
from tests.platforms.slack_web_api import METHODS

CHANNELS = ("channels", "groups", "im", "mpim")
NEEDED = {
    "conversations.info": {f"{kind}:read" for kind in CHANNELS},
    "conversations.members": {f"{kind}:read" for kind in CHANNELS},
    "conversations.history": {f"{kind}:history" for kind in CHANNELS},
    "conversations.replies": {f"{kind}:history" for kind in CHANNELS},
    "users.list": {"users:read"},
}
"""Scopes that depend on the arguments, and those of methods that the local Slack does not have."""
BY_THEMSELVES = {"app_mentions:read", "commands", "files:read", "reactions:read"}
"""For events, commands and downloads; not for methods."""


def listeners() -> Listeners:
    nothing: Any = None
    return Listeners(desk=nothing, feedback=nothing, workspaces=nothing, share=nothing)


def methods() -> set[str]:
    """Methods of the Web API that the package calls, by name or through the client."""
    found: set[str] = set()
    named = {name.replace(".", "_"): name for name in (*METHODS, *NEEDED)}
    for file in Path(str(package.__file__)).parent.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        found |= {name for name in named.values() if f'"{name}"' in text}
        called = set(re.findall(r"\.([a-z]+_[a-zA-Z_]+)\(", text))
        found |= {named[name] for name in called if name in named}
        # A method that neither list knows would be overlooked here.
        assert {
            name for name in called if hasattr(AsyncWebClient, name) and name != "api_call"
        } <= named.keys()
    return found


def test_every_event_that_is_listened_to_is_subscribed_to() -> None:
    subscribed = {
        event.partition(".")[0] for event in manifest()["settings"]["event_subscriptions"]["bot_events"]
    }
    assert subscribed == set(listeners().events)


def test_every_command_and_menu_entry_is_there() -> None:
    features = manifest()["features"]
    assert {command["command"] for command in features["slash_commands"]} == set(listeners().commands)
    assert {shortcut["callback_id"] for shortcut in features["shortcuts"]} == set(listeners().shortcuts)


def test_people_in_a_command_come_as_their_ids() -> None:
    assert all(command["should_escape"] for command in manifest()["features"]["slash_commands"])


def test_every_method_has_its_scope_and_every_scope_its_method() -> None:
    used = methods()
    assert {"auth.test", "chat.postMessage", "conversations.info", "users.info", "views.open"} <= used
    needed = set().union(*(NEEDED.get(name) or set(METHODS[name][1]) for name in used))
    assert needed | BY_THEMSELVES == set(SCOPES)
    assert manifest()["oauth_config"]["scopes"]["bot"] == sorted(SCOPES)


def test_socket_mode_and_http() -> None:
    socket, http = manifest(), manifest(url="https://bot.example/")
    assert socket["settings"]["socket_mode_enabled"]
    assert "request_url" not in str(socket)
    assert not http["settings"]["socket_mode_enabled"]
    address = "https://bot.example/slack/events"
    assert http["settings"]["event_subscriptions"]["request_url"] == address
    assert http["settings"]["interactivity"]["request_url"] == address
    assert {command["url"] for command in http["features"]["slash_commands"]} == {address}
    assert http["oauth_config"]["redirect_urls"] == ["https://bot.example/slack/oauth_redirect"]


def test_limits_of_slack() -> None:
    long = manifest(name="The Assistant of the Whole Company", prompts=("How do I get leave?",))
    assert len(long["features"]["shortcuts"][0]["name"]) <= 24
    assert len(long["display_information"]["description"]) <= 140
    assert long["features"]["agent_view"]["suggested_prompts"][0]["message"] == "How do I get leave?"


def test_the_command_prints_yaml_or_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARLEY_CONFIG", raising=False)
    run = CliRunner()
    assert yaml.safe_load(run.invoke(commands, ["manifest"]).stdout) == manifest()
    told = run.invoke(commands, ["manifest", "--json", "--http", "https://bot.example"]).stdout
    assert json.loads(told) == manifest(url="https://bot.example")
    assert isinstance(run.invoke(commands, ["manifest", "--http", "bot.example"]).exception, UsageError)
    settings = '[chat]\nassistant_name = "Nest"\n[slack]\nsuggested_prompts = ["Leave?"]\n'
    (tmp_path / "parley.toml").write_text(settings, encoding="utf-8")
    assert yaml.safe_load(run.invoke(commands, ["manifest"]).stdout) == manifest(
        name="Nest", prompts=("Leave?",)
    )


def test_init_is_told_what_is_left_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARLEY_CONFIG", raising=False)
    steps = setup(tmp_path)
    written = cast("dict[str, Any]", yaml.safe_load((tmp_path / made.FILE_NAME).read_text(encoding="utf-8")))
    assert written == manifest()
    for word in (made.FILE_NAME, "PARLEY_SLACK_BOT_TOKEN", "PARLEY_SLACK_APP_TOKEN", "never in parley.toml"):
        assert word in steps


def test_the_command_line_brings_it_without_slacks_libraries(tmp_path: Path) -> None:
    code = """
import sys
from typer.testing import CliRunner
from bot.cli import app
told = CliRunner().invoke(app, ["--help"]).stdout
assert " slack " in told and "adapters" not in sys.modules, told
told = CliRunner().invoke(app, ["slack", "manifest"]).stdout
assert "app_mention" in told and not {"slack_bolt", "slack_sdk", "aiohttp"} & sys.modules.keys(), told
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_init_prepares_slack_when_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARLEY_CONFIG", raising=False)
    (tmp_path / "docs").mkdir()
    given = ["init", "--documents", "docs", "--name", "docs", "--model", "starter", "--force"]
    assert "Slack" not in CliRunner().invoke(app, given).output
    assert not (tmp_path / made.FILE_NAME).exists()
    assert "PARLEY_SLACK_APP_TOKEN" in CliRunner().invoke(app, [*given, "--connect", "slack"]).output
    assert (tmp_path / made.FILE_NAME).exists()
    # Yes to every platform, whichever there are.
    asked = CliRunner().invoke(app, ["init", "--force"], input="docs\ndocs\nstarter\n" + "y\n" * 9).output
    assert "Connect Slack?" in asked
    assert "PARLEY_SLACK_APP_TOKEN" in asked
