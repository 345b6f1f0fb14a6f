"""The invitation."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import discord
import pytest
from typer.testing import CliRunner

from adapters.discord.api import BUDGETS
from adapters.discord.invite import application_of, commands, invitation, needed, setup
from bot.config import DiscordSettings, load_settings
from bot.errors import SettingsError
from tests.platforms.discord import LocalDiscord


def test_it_asks_for_what_is_needed_and_nothing_else() -> None:
    query = parse_qs(urlsplit(invitation(42, DiscordSettings())).query)
    assert query["client_id"] == ["42"]
    assert query["scope"] == ["bot applications.commands"]
    asked = discord.Permissions(int(query["permissions"][0]))
    assert asked == discord.Permissions(
        view_channel=True,
        send_messages=True,
        send_messages_in_threads=True,
        embed_links=True,
        read_message_history=True,
        create_public_threads=True,
    )
    assert "create_public_threads" not in needed(DiscordSettings(open_threads=False))


def test_the_token_says_whose_it_is() -> None:
    with_token = LocalDiscord()
    assert str(application_of(with_token.token)) == with_token.bot.id
    with pytest.raises(SettingsError, match="PARLEY_DISCORD_TOKEN"):
        application_of("not a token")


def test_it_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARLEY_DISCORD_TOKEN", LocalDiscord().token)
    printed = CliRunner().invoke(commands, ["invite"])
    assert printed.stdout.startswith("https://discord.com/")
    assert "client_id=7" in CliRunner().invoke(commands, ["invite", "--application", "7"]).stdout


def test_setting_up_names_the_steps(tmp_path: Path) -> None:
    steps = setup(tmp_path)
    assert "Message Content Intent" in steps
    assert "parley discord invite" in steps


def test_ids_are_texts_of_digits(tmp_path: Path) -> None:
    file = tmp_path / "parley.toml"
    file.write_text("[discord]\nforums = [112233445566778899]\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="in quotes"):
        load_settings(file, {})
    file.write_text('[discord]\nforums = ["112233445566778899"]\n', encoding="utf-8")
    assert load_settings(file, {"PARLEY_DISCORD_TOKEN": "x"}).discord.token
    file.write_text('[discord]\ntoken = "x"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="PARLEY_DISCORD_TOKEN"):
        load_settings(file, {})


def test_every_budget_is_one_that_requests_name() -> None:
    assert set(BUDGETS) == {"posting", "editing", "deleting", "reading", "typing"}
