"""`parley model` on a tiny model and a hub on this machine."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bot.llm.catalogue import CATALOGUE
from tests.cli.conftest import Parley
from tests.llm.conftest import tiny
from tests.llm.serving import free_port, until
from tests.platforms.hub import Hub

__all__ = ["tiny"]

OFFER = CATALOGUE[0]


@pytest.fixture
def hub(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with Hub().serving() as made:
        made.files[OFFER.repo, OFFER.file] = tiny.read_bytes()
        made.files["maker/other", "deep/other.gguf"] = tiny.read_bytes()
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        yield made


def test_a_model_is_offered_pulled_listed_and_used(parley: Parley, folder: Path, hub: Hub) -> None:
    assert not any(row["installed"] for row in parley("model", "list", "--json").json["available"])
    early = parley("model", "use", OFFER.name)
    assert (early.code, f"run `parley model pull {OFFER.name}` first" in early.err) == (2, True)
    pulled = parley("model", "pull", OFFER.name)
    assert (pulled.code, "is here and whole: Tiny, F32" in pulled.out.replace("\n", "")) == (0, True)
    assert parley("model", "pull", "maker/other:deep/other.gguf", "--json").json["name"] == "Tiny"
    listed = parley("model", "list", "--json").json
    assert {OFFER.file, "other.gguf"} <= {Path(row["path"]).name for row in listed["installed"]}
    assert [row["name"] for row in listed["available"] if row["installed"]] == [OFFER.name]
    assert parley("model", "use", OFFER.name).code == 0
    assert OFFER.file in (folder / "parley.toml").read_text()
    used = [row for row in parley("model", "list", "--json").json["installed"] if row["used"]]
    assert [Path(row["path"]).name for row in used] == [OFFER.file]
    assert OFFER.licence in parley("model", "list").out


def test_a_repository_alone_lists_its_files(parley: Parley, folder: Path, hub: Hub) -> None:
    asked = parley("model", "pull", "maker/other")
    assert (asked.code, "Write maker/other:FILE; there are: deep/other.gguf" in asked.err) == (2, True)


def test_without_a_network_the_fix_is_named(
    parley: Parley, folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    failed = parley("model", "pull", OFFER.name)
    assert (failed.code, "copy the GGUF file here by other means" in failed.err) == (1, True)


def test_check_says_what_it_is_and_how_fast(parley: Parley, folder: Path, tiny: Path) -> None:
    assert parley("model", "use", str(tiny)).code == 0
    text = (folder / "parley.toml").read_text().replace("enabled = false\n", "")
    (folder / "parley.toml").write_text(text)
    found = parley("model", "check", "--json").json
    assert (found["architecture"], found["quantisation"], found["trained_context"]) == ("llama", "F32", 4096)
    assert found["conversation"].startswith("system message and earlier turns are taken")
    assert found["prompt_tokens_per_s"] > 0
    assert found["output_tokens_per_s"] > 0
    assert "gpu" in found


def test_a_gpu_that_is_not_used_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.cli.model_check import _gpu
    from bot.llm import machine

    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA L4, 23034 MiB"])
    monkeypatch.setattr(machine, "gpu_backends", list)
    assert _gpu(-1).startswith(
        "NOT USED: NVIDIA L4, 23034 MiB is here, but llama.cpp was compiled for the processor"
    )
    monkeypatch.setattr(machine, "gpu_backends", lambda: ["CUDA"])
    assert _gpu(0) == "NOT USED: NVIDIA L4, 23034 MiB is here, but llm.gpu_layers is 0"
    assert _gpu(-1) == "NVIDIA L4, 23034 MiB, with CUDA, all layers"
    monkeypatch.setattr(machine, "gpus", list)
    assert _gpu(-1) == "none is here"


def test_serving_others_needs_a_key(
    parley: Parley, folder: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARLEY_MODEL_API_KEY", raising=False)
    refused = parley("model", "serve", "--model", str(tiny), "--host", "0.0.0.0")  # noqa: S104
    assert (refused.code, "set PARLEY_MODEL_API_KEY" in refused.err) == (1, True)


def test_a_file_that_cannot_be_served_ends_it_with_the_reason(parley: Parley, folder: Path) -> None:
    (folder / "no.gguf").write_bytes(b"not a model")
    failed = parley("model", "serve", "--model", "no.gguf")
    assert (failed.code, "is not a GGUF file" in failed.err) == (1, True)


async def test_a_model_is_served_outside_of_any_project_until_told_to_stop(
    tmp_path: Path, tiny: Path
) -> None:
    port = free_port()
    command = (sys.executable, "-m", "bot", "model", "serve", "--model", str(tiny), "--port", str(port))
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HOME": str(tmp_path),
        "PARLEY_MODEL_API_KEY": "k",
    }
    process = await asyncio.create_subprocess_exec(
        *command,
        "--name",
        "ours",
        "--threads",
        "1",
        cwd=tmp_path,
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": "Bearer k"}
    ) as http:

        async def answers() -> bool:
            try:
                return (await http.get("/health")).is_success
            except httpx.HTTPError:
                return False

        await until(answers, seconds=90)
        body = {"model": "ours", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
        answer = (await http.post("/v1/chat/completions", json=body)).json()
        assert answer["usage"]["completion_tokens"] == 3
        process.send_signal(signal.SIGTERM)
        _, said = await process.communicate()
    assert process.returncode == 0
    assert f"ours is served at http://127.0.0.1:{port}/v1" in said.decode()
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient() as client:
            await client.get(f"http://127.0.0.1:{port}/health")


def test_a_list_of_servers_is_shown(parley: Parley, folder: Path) -> None:
    text = (folder / "parley.toml").read_text()
    urls = ["http://gpu-1:8000/v1", "http://gpu-2:8000/v1"]
    (folder / "parley.toml").write_text(text.replace("[llm]\n", f"[llm]\nurl = {json.dumps(urls)}\n"))
    assert "http://gpu-1:8000/v1, http://gpu-2:8000/v1" in parley("model", "list").out.replace("\n", " ")
