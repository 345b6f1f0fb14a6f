"""Tokens come back with the key, and only with the key."""

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from bot import tables, vault
from bot.errors import SettingsError
from bot.vault import Vault


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "_COST", 2)


def open_vault(engine: sa.Engine, key: str | None = "correct horse") -> Vault:
    return Vault(engine, SecretStr(key) if key else None)


def test_tokens_come_back_after_a_restart(engine: sa.Engine) -> None:
    open_vault(engine).put("slack:T1", "xoxb-1")
    open_vault(engine).put("slack:T1", "xoxb-2 ü")
    assert open_vault(engine).get("slack:T1") == "xoxb-2 ü"
    assert open_vault(engine).get("slack:T2") is None


def test_the_database_alone_does_not_give_them_away(engine: sa.Engine) -> None:
    open_vault(engine).put("slack:T1", "xoxb-1")
    with engine.connect() as connection:
        assert "xoxb-1" not in connection.execute(sa.select(tables.secrets.c.value)).scalar_one()


def test_another_key_is_a_sentence(engine: sa.Engine) -> None:
    open_vault(engine).put("slack:T1", "xoxb-1")
    with pytest.raises(SettingsError, match="another PARLEY_SECRET_KEY"):
        open_vault(engine, "wrong horse").get("slack:T1")


def test_without_a_key_names_can_be_listed_and_deleted(engine: sa.Engine) -> None:
    open_vault(engine).put("slack:T1", "xoxb-1")
    keyless = open_vault(engine, None)
    with pytest.raises(SettingsError, match="set PARLEY_SECRET_KEY"):
        keyless.put("slack:T2", "xoxb-2")
    with pytest.raises(SettingsError, match="set PARLEY_SECRET_KEY"):
        keyless.get("slack:T1")
    assert keyless.names("slack:") == ["slack:T1"]
    keyless.delete("slack:T1")
    keyless.delete("slack:T1")
    assert keyless.names("") == []


def test_names_by_their_beginning(engine: sa.Engine) -> None:
    made = open_vault(engine)
    for name in ("slack:T2", "slack:T1", "Slack:T3", "slack_T4", "discord:1"):
        made.put(name, "x")
    assert made.names("slack:") == ["slack:T1", "slack:T2"]
    assert made.names("slack_") == ["slack_T4"]
    assert len(made.names("")) == 5
