"""The command line, run in this process: what it prints and the code it exits with."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from bot.cli.context import state


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Parley = Callable[..., Result]

DOCUMENTS = {
    "travel.md": "# Travel policy\n\n## Hotels\n\nA hotel room in Vienna may cost up to 148 EUR per night.\n\n"
    "## Expenses\n\nHand in your receipts within 30 days of the end of the trip.\n",
    "leave.md": "# Leave\n\nFull-time employees get 28 days of paid leave a year.\n\n"
    "Part-time employees get paid leave in proportion to their hours.\n",
    "contacts.csv": "Team,E-mail\nHelp desk,help@nest.example\nTravel desk,travel@nest.example\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with documents and settings without a model; the current one."""
    documents = tmp_path / "docs"
    documents.mkdir()
    for name, text in DOCUMENTS.items():
        (documents / name).write_text(text, encoding="utf-8")
    (tmp_path / "parley.toml").write_text(
        '[llm]\nenabled = false\n[[sources]]\nname = "docs"\npath = "docs"\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    for variable in ("PARLEY_CONFIG", "PARLEY_DATA_DIR", "PARLEY_DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.fixture
def parley(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Parley:
    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["parley", *arguments])
        state.debug = False
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        printed = capsys.readouterr()
        return Result(exit_.value.code if isinstance(exit_.value.code, int) else 1, *printed)

    return run


def lines(text: str) -> Sequence[str]:
    return [line for line in text.splitlines() if line.strip()]
