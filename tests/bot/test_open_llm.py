"""From the settings to what writes the answers."""

from pathlib import Path

import pytest

from bot.app import load_of, open_llm
from bot.config import Settings, parse_settings
from bot.errors import ModelUnavailableError
from bot.llm.balance import Balanced
from bot.llm.client import OpenAIClient
from bot.llm.local import Unavailable
from bot.llm.supervisor import Load


def _settings(folder: Path, text: str) -> Settings:
    return parse_settings(text, file=folder / "parley.toml", environ={})


def test_the_model_is_loaded_as_the_settings_say(tmp_path: Path) -> None:
    settings = _settings(
        tmp_path,
        '[llm]\nparallel = 3\nthreads = 2\nspeculation = false\nlora = ["style.gguf=0.5", "/abs/tone.gguf"]\n'
        "[queue]\nparallel = 50\n",
    )
    assert load_of(settings) == Load(
        context=4096,
        parallel=3,
        queue_size=50,
        threads=2,
        gpu_layers=-1,
        lora=((tmp_path / "style.gguf", 0.5), (Path("/abs/tone.gguf"), 1.0)),
        speculation=False,
    )


@pytest.mark.parametrize(("queue", "expected"), [(2, 0), (8, 0), (20, 20)])
def test_without_a_number_memory_decides_unless_more_are_worked_on_at_once(
    tmp_path: Path, queue: int, expected: int
) -> None:
    assert load_of(_settings(tmp_path, f"[queue]\nparallel = {queue}\n")).parallel == expected


async def test_urls_are_a_server_or_several(tmp_path: Path) -> None:
    async with open_llm(_settings(tmp_path, "[llm]\nurl = 'http://a/v1'\n")) as llm:
        assert isinstance(llm, OpenAIClient)
    async with open_llm(_settings(tmp_path, "[llm]\nurl = ['http://a/v1', 'http://b/v1']\n")) as llm:
        assert isinstance(llm, Balanced)


async def test_a_model_switched_off_says_so(tmp_path: Path) -> None:
    async with open_llm(_settings(tmp_path, "[llm]\nenabled = false\n")) as llm:
        assert isinstance(llm, Unavailable)
        with pytest.raises(ModelUnavailableError, match=r"switched off \(llm\.enabled"):
            await llm.ready()
