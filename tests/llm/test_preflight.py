"""What is refused before anything is loaded, and with which sentence."""

from pathlib import Path

import gguf
import pytest

from bot.errors import ModelFileError
from bot.llm import machine
from bot.llm.models import inspect
from bot.llm.preflight import WORK_BYTES, check_file, check_memory
from tests.llm import gguf_factory


def _header(path: Path, architecture: str = "llama", **kind: str | bool) -> Path:
    """A file with a header and no tensors."""
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_uint32(f"{architecture}.context_length", 512)
    for key, value in kind.items():
        name = key.replace("__", ".")
        writer.add_bool(name, value) if isinstance(value, bool) else writer.add_string(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 1_000_000_000)
    monkeypatch.setattr(machine, "gpu_backends", list)


def test_a_good_file_passes(tiny: Path) -> None:
    assert check_file(tiny) == inspect(tiny)


@pytest.mark.parametrize(
    ("architecture", "kind", "sentence"),
    [
        ("llama", {"general__type": "adapter"}, "is a LoRA adapter: set llm.lora"),
        ("clip", {"general__type": "mmproj"}, "sees pictures: choose the text model"),
        ("bert", {"bert__attention__causal": False}, "is an embedding model, which cannot write"),
        ("brandnew", {}, "does not know the architecture 'brandnew' .*update llama-cpp-python"),
    ],
)
def test_what_is_no_language_model_is_named(
    tmp_path: Path, architecture: str, kind: dict[str, str | bool], sentence: str
) -> None:
    with pytest.raises(ModelFileError, match=sentence):
        check_file(_header(tmp_path / "x.gguf", architecture, **kind))


def test_adapters_must_be_adapters_for_this_kind_of_model(tiny: Path, tmp_path: Path) -> None:
    fitting = _header(tmp_path / "style.gguf", general__type="adapter")
    assert check_file(tiny, lora=[fitting]).path == tiny
    with pytest.raises(ModelFileError, match=r"style-2\.gguf is an adapter for qwen2"):
        check_file(tiny, lora=[_header(tmp_path / "style-2.gguf", "qwen2", general__type="adapter")])
    with pytest.raises(ModelFileError, match="is no LoRA adapter"):
        check_file(tiny, lora=[tiny])
    with pytest.raises(ModelFileError, match="There is no model file"):
        check_file(tiny, lora=[tmp_path / "none.gguf"])


@pytest.mark.usefixtures("free")
def test_memory_is_weights_and_cache(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = inspect(tiny)
    check_memory(info, context=4096, gpu_layers=0)
    monkeypatch.setattr(machine, "available_memory", lambda: WORK_BYTES + info.memory_bytes(1000))
    check_memory(info, context=1000, gpu_layers=0)
    with pytest.raises(ModelFileError, match=r"context of 1001 tokens\).* choose a smaller file\."):
        check_memory(info, context=1001, gpu_layers=0)


@pytest.mark.usefixtures("free")
def test_a_model_that_is_too_big_says_what_it_needs(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 50_000_000)
    with pytest.raises(ModelFileError, match=r"tiny\.gguf needs about 10\d MB .*and 50 MB are free"):
        check_memory(inspect(tiny), context=0, gpu_layers=-1)
    monkeypatch.setattr(machine, "gpu_backends", lambda: ["CUDA"])
    check_memory(inspect(tiny), context=0, gpu_layers=-1)
    with pytest.raises(ModelFileError):
        check_memory(inspect(tiny), context=0, gpu_layers=0)
    monkeypatch.setattr(machine, "available_memory", lambda: None)
    check_memory(inspect(tiny), context=0, gpu_layers=0)


def test_parts_are_one_model(tmp_path: Path) -> None:
    whole = gguf_factory.build(tmp_path / "whole.gguf")
    paths = [tmp_path / f"m-0000{n}-of-00002.gguf" for n in (1, 2)]
    for path in paths:
        _header(path)
    data = [path.read_bytes() for path in paths]
    assert inspect(paths[0]).size_bytes == len(data[0])  # by its header it is whole
    for path in paths:
        writer = gguf.GGUFWriter(str(path), "llama")
        writer.add_uint16("split.count", 2)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    assert inspect(paths[0]).size_bytes == sum(path.stat().st_size for path in paths)
    with pytest.raises(ModelFileError, match=r"is part 2 of 2: choose the first, m-00001-of-00002\.gguf"):
        inspect(paths[1])
    paths[1].unlink()
    with pytest.raises(ModelFileError, match=r"first of 2 files, and m-00002-of-00002\.gguf is not beside"):
        inspect(paths[0])
    assert inspect(whole).parameters > 0
