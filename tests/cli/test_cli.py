"""Every command as a person or a program uses it, on real documents with the shipped embedding model."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chroma_server import free_port
from tests.cli.conftest import Parley, lines

HEAVY = (
    "torch",
    "llama_cpp",
    "chromadb",
    "sentence_transformers",
    "openai",
    "markitdown",
    "alembic",
    "pydantic",
)


def test_help_loads_nothing_slow() -> None:
    code = (
        "import sys; sys.argv = ['parley', '--help']\n"
        "from bot.cli import main\n"
        "try: main()\n"
        f"except SystemExit: print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "reindex" in done.stdout


def test_wrong_usage_is_exit_code_2(parley: Parley, folder: Path) -> None:
    assert parley("nonsense").code == 2
    assert parley("ask").code == 2
    empty = parley("ask", "  ")
    assert (empty.code, "There is no question" in empty.err) == (2, True)
    unknown = parley("reindex", "--source", "wiki")
    assert (unknown.code, "the sources are: docs" in unknown.err) == (2, True)


def test_without_settings_the_sentence_names_init(
    parley: Parley, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARLEY_CONFIG", raising=False)
    result = parley("sources")
    assert result.code == 1
    assert "parley init" in result.err
    assert len(lines(result.err)) == 1


def test_debug_shows_where_an_error_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parley: Parley
) -> None:
    from bot.cli import main
    from bot.errors import SettingsError

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARLEY_CONFIG", raising=False)
    monkeypatch.setattr(sys, "argv", ["parley", "--debug", "sources"])
    with pytest.raises(SettingsError):
        main()


def test_init_writes_settings_and_says_what_is_next(
    parley: Parley, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "parley.toml").unlink()
    result = parley("init", "--documents", "docs", "--name", "docs", "--model", "starter")
    assert result.code == 0
    assert "parley reindex" in result.out
    assert parley("sources", "--json").json[0]["name"] == "docs"
    again = parley("init", "--documents", "docs", "--name", "docs", "--model", "starter")
    assert (again.code, "--force" in again.err) == (2, True)


def test_init_refuses_what_is_no_folder(parley: Parley, folder: Path) -> None:
    (folder / "parley.toml").unlink()
    result = parley("init", "--documents", "nowhere", "--name", "docs", "--model", "starter")
    assert (result.code, "nowhere is not a folder" in result.err) == (2, True)
    assert not (folder / "parley.toml").exists()


def test_reindex_reports_what_changed_and_embeds_nothing_twice(parley: Parley, folder: Path) -> None:
    planned = parley("reindex", "--dry-run", "--json").json
    assert (planned["dry_run"], planned["sources"][0]["added"]) == (True, 3)
    first = parley("reindex", "--json").json
    assert (first["sources"][0]["added"], first["embedded"] > 0) == (3, True)
    assert parley("reindex", "--json").json["embedded"] == 0

    (folder / "docs" / "leave.md").unlink()
    (folder / "docs" / "travel.md").write_text("# Travel policy\n\nA hotel in Vienna may cost 150 EUR.\n")
    (folder / "docs" / "broken.pdf").write_bytes(b"%PDF-1.4 and then nothing")
    third = parley("reindex", "--json").json["sources"][0]
    assert (third["changed"], third["deleted"], third["unchanged"]) == (1, 1, 1)
    assert third["failures"][0]["path"] == "broken.pdf"
    aloud = parley("reindex")
    assert aloud.code == 0
    assert "not read: broken.pdf" in aloud.out
    assert not aloud.err, "a pipe gets no progress"


def test_search_finds_the_passage(parley: Parley, folder: Path) -> None:
    parley("reindex")
    hits = parley("search", "how much leave do I get", "--json").json
    assert set(hits[0]) == {"document", "heading", "uri", "also", "score", "text"}
    assert (hits[0]["document"], hits[0]["also"]) == ("Leave", [])
    assert "28 days" in parley("search", "how much leave do I get").out


def test_search_names_every_place_of_a_text(parley: Parley, folder: Path) -> None:
    (folder / "docs" / "old").mkdir()
    shutil.copy(folder / "docs" / "leave.md", folder / "docs" / "old" / "leave.md")
    parley("reindex")
    hit = parley("search", "how much leave do I get", "--json").json[0]
    places = [hit["uri"], *hit["also"]]
    assert sorted("old" in place for place in places) == [False, True]
    assert f"also in {hit['also'][0]}" in parley("search", "how much leave do I get").out.replace("\n", "")


def test_a_search_can_be_narrowed_down(parley: Parley, folder: Path) -> None:
    parley("reindex")
    told = parley("search", "in:docs how much leave do I get").out
    assert "I looked only in docs." in told
    assert "28 days" in told
    assert parley("search", "tag:nothing how much leave do I get", "--json").json == []
    assert "no source named 'legal'" in parley("search", "in:legal leave").err
    assert "There is nothing to look for" in parley("search", "in:docs").err


def test_ask_json_is_an_interface(parley: Parley, folder: Path) -> None:
    parley("reindex")
    result = parley("ask", "How much may a hotel room in Vienna cost per night?", "--json")
    answer = result.json
    assert set(answer) >= {"answer", "mode", "sources", "turn_id", "timings_ms", "model"}
    assert set(answer["timings_ms"]) == {"retrieve", "first_text", "total"}
    assert (answer["mode"], answer["model"]) == ("quotes", None)
    assert "148 EUR" in answer["answer"]
    assert set(answer["sources"][0]) == {"n", "title", "heading", "uri", "score", "text"}
    assert len(lines(result.out)) == 1


def test_ask_reads_a_question_a_line(parley: Parley, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parley("reindex")
    questions = "Within how many days are receipts handed in?\n\nWhat is the capital of Mongolia?\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(questions))
    answers = [json.loads(line) for line in lines(parley("ask", "-", "--json").out)]
    assert [answer["mode"] for answer in answers] == ["quotes", "unknown"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(questions))
    aloud = parley("ask", "-")
    assert aloud.code == 0
    assert "30 days" in aloud.out
    assert "I don't know" in aloud.out


def test_the_chat_plays_a_script(parley: Parley, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parley("reindex")
    script = "/good\nHow many days of paid leave do full-time employees get?\n/good\n/bad too late\n/cited\n"
    script += "and part-time employees?\n/new\n/nonsense\n/help\n/reindex\n/quit\nnever asked\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(script))
    result = parley("chat", "--echo")
    assert result.code == 0
    assert "There is no answer to vote on yet" in result.out
    assert "28 days" in result.out
    assert "in proportion to their hours" in result.out
    assert "[1] Leave" in result.out
    assert "3 unchanged" in result.out
    assert "There is no command nonsense" in result.out
    assert "never asked" not in result.out

    votes = parley("feedback", "list", "--json").json
    assert [(turn["up"], turn["down"], turn["reasons"]) for turn in votes] == [
        (0, 0, []),
        (0, 1, ["too late"]),
    ]
    assert "too late" in parley("feedback", "list", "--bad").out


def test_feedback_is_exported_whole(parley: Parley, folder: Path) -> None:
    parley("reindex")
    turn_id = parley("ask", "How much may a hotel room in Vienna cost?", "--json").json["turn_id"]
    exported = [json.loads(line) for line in lines(parley("feedback", "export").out)]
    assert [turn["id"] for turn in exported] == [turn_id]
    assert exported[0]["retrieved"]
    assert exported[0]["prompt_id"] == "answer-2"
    assert parley("feedback", "export", "--format", "csv", "--output", "out.csv").code == 0
    with (folder / "out.csv").open(newline="") as stream:
        assert next(csv.DictReader(stream))["id"] == turn_id
    nowhere = parley("feedback", "export", "--output", "no/such/folder.jsonl")
    assert (nowhere.code, "choose another --output" in nowhere.err) == (1, True)


def test_the_model_is_listed_and_changed(parley: Parley, folder: Path) -> None:
    (starter,) = parley("model", "list", "--json").json["installed"]
    assert "SmolLM2" in starter["path"]
    missing = parley("model", "use", "nowhere.gguf")
    assert (missing.code, "nowhere.gguf" in missing.err) == (1, True)
    assert parley("model", "use", "http://localhost:9/v1").code == 0
    assert 'url = "http://localhost:9/v1"' in (folder / "parley.toml").read_text()
    assert parley("model", "use", "starter").code == 0
    assert "url" not in (folder / "parley.toml").read_text()


def test_doctor_names_what_is_missing_and_then_is_content(parley: Parley, folder: Path) -> None:
    before = parley("doctor")
    assert (before.code, "run `parley reindex`" in before.out) == (1, True)
    parley("reindex")
    after = parley("doctor", "--json")
    assert after.code == 0
    assert all(finding["ok"] for finding in after.json)


def test_doctor_asks_the_chroma_server(parley: Parley, folder: Path) -> None:
    settings = folder / "parley.toml"
    url = f"http://127.0.0.1:{free_port()}"
    settings.write_text(settings.read_text().replace("[[", f"[knowledge]\nchroma_url = '{url}'\n[["))
    asked = parley("doctor", "--json")
    (found,) = [finding for finding in asked.json if finding["check"] == "vectors"]
    assert (asked.code, found["ok"]) == (1, False)
    assert f"No Chroma server answers at {url}" in found["detail"]


def test_serve_without_a_platform_says_what_to_add(parley: Parley, folder: Path) -> None:
    result = parley("serve")
    assert (result.code, "[web]" in result.err) == (1, True)
