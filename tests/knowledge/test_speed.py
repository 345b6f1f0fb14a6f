from pathlib import Path

import pytest

from knowledge.speed import Speed


def test_later_runs_count_more(tmp_path: Path) -> None:
    speed = Speed(tmp_path / "speed.json", embedder="m")
    assert speed.expected("docs", 4) is None
    speed.note("docs", files=10, seconds=10)
    assert speed.expected("docs", 4) == pytest.approx(4)
    speed.note("docs", files=10, seconds=40)
    assert speed.expected("docs", 3) == pytest.approx(9)  # (5 + 40) / (5 + 10) for each
    assert speed.expected("other", 3) == pytest.approx(9)
    speed.note("other", files=1, seconds=1)
    assert speed.expected("other", 3) == pytest.approx(3)
    assert Speed(tmp_path / "speed.json", embedder="other").expected("docs", 3) is None


def test_nothing_was_loaded(tmp_path: Path) -> None:
    speed = Speed(tmp_path / "speed.json", embedder="m")
    speed.note("docs", files=0, seconds=1)
    assert speed.expected("docs", 0) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"embedder": "m", "sources": {"docs": 1}}', "\0"])
def test_a_damaged_file_costs_the_estimate_only(tmp_path: Path, text: str) -> None:
    (tmp_path / "speed.json").write_text(text)
    speed = Speed(tmp_path / "speed.json", embedder="m")
    assert speed.expected("docs", 4) is None
    speed.note("docs", files=1, seconds=1)
    assert speed.expected("docs", 4) == 4


def test_a_folder_that_cannot_be_written_costs_the_estimate_only(tmp_path: Path) -> None:
    speed = Speed(tmp_path / "missing" / "speed.json", embedder="m")
    speed.note("docs", files=1, seconds=1)
    assert speed.expected("docs", 1) is None
