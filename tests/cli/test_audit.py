"""`parley audit`, as a person and a program use it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.audit import Audit
from bot.config import load_settings
from bot.database import migrate, open_database
from bot.messages import IncomingMessage
from tests.cli.conftest import Parley

NOW = datetime.now(UTC)
MESSAGE = IncomingMessage(
    platform="slack", event_id="E1", conversation_id="C1", thread_id="t", user_id="U1", text="status"
)


@pytest.fixture
def audit(folder: Path) -> Iterator[None]:
    """Two commands, ten days and an hour old."""
    assert (folder / "parley.toml").exists()
    engine = open_database(load_settings().database_url)
    migrate(engine)
    at = [NOW - timedelta(days=10)]
    written = Audit(engine, now=lambda: at[0])
    written.record(MESSAGE, "forget <@U9> [bold]", "refused", "U1 is no admin.")
    at[0] = NOW - timedelta(hours=1)
    written.record_in_terminal("ann", "reindex", "done")
    yield
    engine.dispose()


def test_an_empty_record_says_so(parley: Parley, folder: Path) -> None:
    assert "no command for admins on record." in parley("audit").out
    assert (
        "with the outcome refused in the last 7 days."
        in parley("audit", "--outcome", "refused", "--days", "7").out
    )
    assert parley("audit", "--json").json == []


@pytest.mark.usefixtures("audit")
def test_the_table_shows_who_where_what_and_what_became_of_it(
    parley: Parley, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = parley("audit").out
    for text in (
        "slack:U1",
        "slack:C1",
        "forget <@U9> [bold]",
        "refused: U1 is no admin.",
        "console:ann",
        "done",
    ):
        assert text in shown
    assert shown.index("reindex") < shown.index("forget")


@pytest.mark.usefixtures("audit")
def test_json_can_be_filtered(parley: Parley) -> None:
    def commands(*options: str) -> list[str]:
        return [entry["command"] for entry in parley("audit", "--json", *options).json]

    assert commands() == ["reindex", "forget <@U9> [bold]"]
    assert commands("--days", "7") == commands("--limit", "1") == ["reindex"]
    assert commands("--outcome", "refused") == ["forget <@U9> [bold]"]
    (entry,) = parley("audit", "--json", "--outcome", "refused").json
    assert set(entry) == {
        "at", "platform", "workspace_id", "conversation_id", "user_id", "command", "outcome", "detail"
    }  # fmt: skip
    assert datetime.fromisoformat(entry["at"]).utcoffset() == timedelta(0)


def test_a_wrong_outcome_is_wrong_usage(parley: Parley, folder: Path) -> None:
    assert parley("audit", "--outcome", "maybe").code == 2


def test_what_is_done_in_the_terminal_is_on_record_too(parley: Parley, folder: Path) -> None:
    assert parley("reindex", "--dry-run").code == 0
    assert parley("reindex").code == 0
    assert parley("rollback").code == 1
    written = parley("audit", "--json").out
    assert '"command": "reindex"' in written
    assert '"outcome": "failed"' in written
    assert written.count('"command": "reindex"') == 1
