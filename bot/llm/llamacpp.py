"""A GGUF model loaded with llama.cpp's low-level API: weights, adapters, vocabulary, one context for many.

The low-level API because `llama_cpp.Llama` serves one request at a time, cannot set `use_extra_bufts` and keeps
a float matrix of batch × vocabulary that nobody here reads. The module is passed in, so that `bot.llm.engine` is
the one place that imports it. Not safe for threads, except `vocabulary`.
"""

import ctypes
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bot.errors import ModelFileError
from bot.llm.capacity import Capacity, choose
from bot.llm.context import Context
from bot.llm.lookup import MAX_DRAFT
from bot.llm.machine import available_memory
from bot.llm.models import DEFAULT_CONTEXT_LIMIT, inspect
from bot.llm.sampler import Candidates
from bot.llm.vocabulary import Vocabulary

BATCH = 512
"""Tokens of a step at most; llama.cpp reads a prompt no faster in larger ones."""

_ATTENTION_BLOCK = 64
"""GGML_FA_TILE_Q in ggml-cpu/common.h."""

MOST_PARALLEL = 128
"""llama.cpp knows 256 sequences."""
_KEPT = 32
"""Sequences that may be kept for later beside the running ones."""
_KEPT_STATES = 4
"""As many where each needs a state of its own, of fixed size (recurrent models)."""
_COPIES_SHARE = 8
"""The part of the memory (1/8) that is free with all loaded, which copies of finished sequences may take."""
_MOST_COPIES = 4 * 2**30
"""Bytes."""
_LOG_ERROR = 4  # GGML_LOG_LEVEL_ERROR in ggml.h


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """See `bot.llm.engine.Engine`."""

    context: int
    threads: int
    gpu_layers: int
    use_extra_bufts: bool
    parallel: int = 0
    lora: Sequence[tuple[Path, float]] = ()
    cells: int = 0
    """Tokens in the cache; 0 takes what memory allows."""


class Llama:
    """One model with one context, in which many sequences live."""

    def __init__(self, api: Any, path: Path, options: LoadOptions) -> None:
        """
        Raises:
            ModelFileError: llama.cpp refuses the file or an adapter, or there is no memory for the context.
        """
        self._api = api
        self._errors: deque[str] = deque(maxlen=20)
        self._on_log = api.llama_log_callback(self._log)
        api.llama_log_set(self._on_log, None)
        api.llama_backend_init()
        self._model = self._load_model(path, options)
        try:
            self.vocabulary = Vocabulary(api, self._model)
            self.warnings = list(self.vocabulary.warnings)
            """What an operator should know, as sentences."""
            self.context_window = self._choose_context(options.context)
            """Tokens that one request may use."""
            recurrent = self._recurrent()
            self._on_gpu = bool(options.gpu_layers and api.llama_supports_gpu_offload())
            self.apart = not self._on_gpu
            """Answers and prompts are better evaluated one after the other. On a CPU, attention works on blocks
            of 64 tokens, each over all cells that any of them sees: four answers with 1,500 tokens each added
            1.36 s to a slice of 128 tokens of a 0.5B model, and took 0.23 s on their own."""
            self.block = _ATTENTION_BLOCK if self.apart else 1
            """Tokens of a prompt from which on a step reads them fast. On a CPU, attention over fewer works row by row:
            behind 4,000 tokens, 63 took a 0.5B model 2.9 s, and 64 took 1.1 s."""
            cell_bytes = inspect(path).kv_bytes_per_token
            self.capacity = self._choose_capacity(options, cell_bytes)
            self.sequences = self.capacity.parallel + (_KEPT_STATES if recurrent else _KEPT)
            self.context = self._open_context(options)
            self._apply_adapters(options.lora)
            self.copies_bytes = min((available_memory() or 0) // _COPIES_SHARE, _MOST_COPIES)
            self.idle_cells = self._choose_idle(cell_bytes)
            """How much may be kept in the cache for requests to come while others run."""
            self.whole = api.llama_model_n_swa(self._model) > 0 or not self.context.can_cut()
            """Sequences can only be used as they are: their ends cannot be dropped (recurrent models), or their
            beginnings may be missing (sliding windows)."""
        except BaseException:
            api.llama_model_free(self._model)
            raise

    def candidates(self) -> Candidates:
        return Candidates(self._api, self.vocabulary.size)

    def reason(self) -> str:
        """What llama.cpp said first, without its function's name; what follows only repeats it."""
        said = list(self._errors)
        self._errors.clear()
        return said[0].split(": ", 1)[-1] if said else "it gave no reason"

    def decode(self) -> int:
        """See `Context.decode`; `reason` then tells of this alone, and not of a grammar that was refused before."""
        self._errors.clear()
        return self.context.decode()

    def free(self) -> None:
        self.context.close()
        self._api.llama_model_free(self._model)  # and its adapters

    def _load_model(self, path: Path, options: LoadOptions) -> Any:
        params = self._api.llama_model_default_params()
        params.n_gpu_layers = options.gpu_layers
        params.use_extra_bufts = options.use_extra_bufts
        model = self._api.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            raise ModelFileError(f"llama.cpp cannot run {path} ({self.reason()}): choose another file.")
        return model

    def _choose_context(self, wanted: int) -> int:
        trained: int = self._api.llama_model_n_ctx_train(self._model) or DEFAULT_CONTEXT_LIMIT
        if wanted > trained:
            self.warnings.append(
                f"llm.context is {wanted}, but the model was trained on {trained}, which is used."
            )
        return min(wanted or DEFAULT_CONTEXT_LIMIT, trained)

    def _recurrent(self) -> bool:
        api, model = self._api, self._model
        return bool(api.llama_model_is_recurrent(model) or api.llama_model_is_hybrid(model))

    def _choose_capacity(self, options: LoadOptions, cell_bytes: int) -> Capacity:
        """Memory is asked for on the CPU only; on a GPU the cache is made smaller when it does not fit."""
        if options.parallel > MOST_PARALLEL:
            self.warnings.append(f"llm.parallel is {options.parallel}; {MOST_PARALLEL} is the most.")
            options = replace(options, parallel=MOST_PARALLEL)
        if options.cells:
            return Capacity(options.parallel or 1, options.cells)
        free = None if self._on_gpu else available_memory()
        return choose(
            context=self.context_window,
            parallel=options.parallel,
            cell_bytes=cell_bytes,
            free_bytes=free,
        )

    def _choose_idle(self, cell_bytes: int) -> int:
        """On a CPU, attention passes over every cell in use, whoever's it is: what nobody needs now is better laid
        aside (see `Copies`), where there is memory for it."""
        if not self.apart:
            return self.capacity.cells
        return 0 if self.copies_bytes >= self.context_window * cell_bytes else self.context_window

    def _open_context(self, options: LoadOptions) -> Context:
        cells = self.capacity.cells
        while not (handle := self._try_context(cells, options.threads)):
            if cells <= self.context_window:
                raise ModelFileError(
                    f"llama.cpp cannot open a context of {cells} tokens ({self.reason()}): lower llm.context."
                )
            cells = max(cells // 2, self.context_window)
        if not self._api.llama_get_memory(handle):
            self._api.llama_free(handle)
            raise ModelFileError(
                "This model writes no text (it has no key-value cache): choose another file."
            )
        batch = int(self._api.llama_n_batch(handle))
        return Context(self._api, handle, batch=batch, vocabulary=self.vocabulary.size)

    def _try_context(self, cells: int, threads: int) -> Any:
        parallel = self.capacity.parallel
        params = self._api.llama_context_default_params()
        params.n_ctx = cells
        params.n_batch = params.n_ubatch = min(BATCH, cells)
        params.n_seq_max = self.sequences
        params.n_outputs_max = max(self.sequences, parallel * (1 + MAX_DRAFT))
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = threads
        return self._api.llama_init_from_model(self._model, params)

    def _apply_adapters(self, lora: Sequence[tuple[Path, float]]) -> None:
        adapters = []
        for path, _ in lora:
            adapter = self._api.llama_adapter_lora_init(self._model, str(path).encode())
            if not adapter:
                self.context.close()
                raise ModelFileError(
                    f"llama.cpp cannot use the adapter {path} ({self.reason()}): choose one made for this model."
                )
            adapters.append(adapter)
        if adapters:
            handles = (type(adapters[0]) * len(adapters))(*adapters)
            scales = (ctypes.c_float * len(adapters))(*(scale for _, scale in lora))
            self.context.adapt(handles, scales)

    def _log(self, level: int, text: bytes, _user_data: object) -> None:
        if level == _LOG_ERROR:
            self._errors.append(text.decode(errors="replace").strip())
