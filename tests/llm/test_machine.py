"""What this machine offers, read from files that are written here."""

from pathlib import Path

import pytest

from bot.llm import machine

GIGA = 1_000_000_000


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight gigabytes free, no control group."""
    (tmp_path / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    (tmp_path / "cgroup").write_text("")
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_CGROUP", tmp_path / "fs")
    return tmp_path


def _group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_free_memory_is_what_the_system_says(system: Path) -> None:
    assert machine.available_memory() == 8_000_000 * 1024


def test_the_tightest_group_counts_and_cached_files_do_not(system: Path) -> None:
    (system / "cgroup").write_text("0::/box/inner\n")
    _group(system / "fs" / "box" / "inner", memory__max="max", memory__current=GIGA)
    _group(
        system / "fs" / "box",
        memory__max=3 * GIGA,
        memory__current=2 * GIGA,
        memory__stat=f"anon 5\ninactive_file {GIGA // 2}",
    )
    assert machine.available_memory() == 3 * GIGA - 2 * GIGA + GIGA // 2


def test_the_old_kind_of_group_counts_too(system: Path) -> None:
    (system / "cgroup").write_text("5:cpu,cpuacct:/x\n4:memory:/docker/abc\n")
    # Inside a container its own group is the root of what can be seen.
    _group(system / "fs" / "memory", memory__limit_in_bytes=2 * GIGA, memory__usage_in_bytes=GIGA)
    assert machine.available_memory() == GIGA
    _group(system / "fs" / "memory", memory__limit_in_bytes=(1 << 63) - 4096)
    assert machine.available_memory() == 8_000_000 * 1024


def test_pages_of_a_model_that_was_read_twice_count_as_free(system: Path) -> None:
    (system / "cgroup").write_text("0::/\n")
    _group(
        system / "fs",
        memory__max=3 * GIGA,
        memory__current=2 * GIGA,
        memory__stat=f"file {2 * GIGA}\nactive_file {GIGA}\ninactive_file {GIGA // 2}",
    )
    assert machine.available_memory() == 2 * GIGA + GIGA // 2
    _group(system / "fs", memory__stat=f"active_file {9 * GIGA}")
    assert machine.available_memory() == 3 * GIGA

    (system / "cgroup").write_text("4:memory:/\n")
    _group(
        system / "fs" / "memory",
        memory__limit_in_bytes=2 * GIGA,
        memory__usage_in_bytes=2 * GIGA,
        memory__stat=f"active_file 7\ntotal_inactive_file 5\ntotal_active_file {GIGA}",
    )
    assert machine.available_memory() == GIGA + 5


def test_a_group_that_is_full_leaves_nothing(system: Path) -> None:
    (system / "cgroup").write_text("0::/\n")
    _group(system / "fs", memory__max=GIGA, memory__current=2 * GIGA)
    assert machine.available_memory() == 0


def test_the_installed_llama_cpp_knows_what_it_can_load() -> None:
    assert machine.knows_architecture("llama")
    assert machine.knows_architecture("qwen2")
    assert machine.knows_architecture("no-such-architecture") is False


def test_without_a_library_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    assert machine.knows_architecture("llama") is None
    (tmp_path / "libllama.so").write_bytes(b"another way to write the table")
    assert machine.knows_architecture("llama") is None
    assert machine.gpu_backends() == []


def test_backends_are_found_by_their_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    for name in ("libggml-cuda.so", "libggml-cuda.so.0", "libggml-cpu.so", "libggml-vulkan.dylib"):
        (tmp_path / name).touch()
    assert machine.gpu_backends() == ["CUDA", "Vulkan"]


def test_gpus_are_named_as_nvidia_smi_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA L4, 23034 MiB'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert machine.gpus()[0] == "NVIDIA L4, 23034 MiB"
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert machine.gpus() == ["Apple GPU (Metal)"]
