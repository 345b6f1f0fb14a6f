"""A model as llama.cpp loads it: how much its cache may hold, and what is said when it fails."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import llama_cpp
import pytest

from bot.llm import llamacpp
from bot.llm.llamacpp import Llama, LoadOptions
from bot.llm.models import inspect
from tests.llm.stepped import load

ERROR = 4  # GGML_LOG_LEVEL_ERROR


@pytest.fixture
def llama(tiny: Path) -> Iterator[Llama]:
    loaded = load(tiny, context=256, parallel=1, cells=256)
    yield loaded
    loaded.free()


@pytest.mark.parametrize("bytes_per_token", [1024, 4096])
def test_the_cache_is_as_large_as_the_files_own_measure_allows(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, bytes_per_token: int
) -> None:
    # As of a hybrid model, of whose layers only some keep keys and values.
    info = replace(inspect(tiny), kv_bytes_per_token=bytes_per_token)
    monkeypatch.setattr(llamacpp, "inspect", lambda path: info if path == tiny else None)
    monkeypatch.setattr(llamacpp, "available_memory", lambda: 4 * 4096 * 1000)
    options = LoadOptions(context=256, threads=1, gpu_layers=0, use_extra_bufts=True, parallel=20)
    llama = Llama(llama_cpp, tiny, options)
    try:
        assert llama.capacity.cells == 4096 * 1000 // bytes_per_token
    finally:
        llama.free()


@pytest.mark.parametrize(("free", "idle", "copies"), [(0, 256, 0), (2**24, 0, 2**21), (2**50, 0, 4 * 2**30)])
def test_threads_stay_in_the_cache_where_there_is_no_memory_for_copies(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, free: int, idle: int, copies: int
) -> None:
    monkeypatch.setattr(llamacpp, "available_memory", lambda: free)
    loaded = load(tiny, context=256, parallel=2, cells=1024)
    try:
        assert (loaded.idle_cells, loaded.copies_bytes) == (idle, copies)
    finally:
        loaded.free()


def test_the_reason_is_that_of_the_last_step_and_errors_do_not_pile_up(llama: Llama) -> None:
    for number in range(100):
        llama._log(ERROR, f"parse: error {number}".encode(), None)
    assert len(llama._errors) <= 20
    llama.context.batch.clear()
    llama.context.batch.add(0, 0, [1], outputs="last")
    assert llama.decode() == 0
    assert llama.reason() == "it gave no reason"
    llama._log(ERROR, b"decode: no memory", None)
    assert llama.reason() == "no memory"
