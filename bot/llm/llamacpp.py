"""A GGUF model in llama.cpp's low-level API: load, apply the chat template, tokenise, generate.

The low-level API because `llama_cpp.Llama` cannot set `use_extra_bufts` and keeps a float matrix of batch ×
vocabulary that nobody here reads (100 MB for the starter model). The module is passed in, so that
`bot.llm.engine` is the one place that imports it. Not safe for threads, except where a method says so.
"""

import ctypes
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bot.errors import ModelError, ModelFileError
from bot.llm.generation import Piece, Sampling, Usage
from bot.llm.models import DEFAULT_CONTEXT_LIMIT
from bot.llm.protocol import ChatMessage
from bot.llm.text import TextDecoder

BATCH = 512
"""Tokens of a prompt read at once."""
PENALTY_WINDOW = 64
"""Tokens that the repeat penalty looks back on."""
RANDOM_SEED = 0xFFFFFFFF  # LLAMA_DEFAULT_SEED: llama.cpp draws one

_LOG_ERROR = 4  # GGML_LOG_LEVEL_ERROR in ggml.h

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """See `bot.llm.engine.Engine`."""

    context: int
    threads: int
    gpu_layers: int
    use_extra_bufts: bool


class Llama:
    """One model with one context, in which one sequence lives."""

    def __init__(self, api: Any, path: Path, options: LoadOptions) -> None:
        """
        Raises:
            ModelFileError: llama.cpp refuses the file, or there is no memory for the context.
        """
        self._api = api
        self.warnings: list[str] = []
        self._errors: list[str] = []
        self._on_log = api.llama_log_callback(self._log)
        api.llama_log_set(self._on_log, None)
        api.llama_backend_init()
        self._model = self._load_model(path, options)
        self._vocab = api.llama_model_get_vocab(self._model)
        self.context_window = self._choose_context(options.context)
        self._context = self._open_context(options.threads)
        self._memory = api.llama_get_memory(self._context)
        self._cached: list[int] = []
        """Tokens whose keys and values are in the context now."""
        self._control = self._control_tokens()
        self._bos = self._text_of(api.llama_vocab_bos(self._vocab))
        self._format = self._formatter(self._meta("tokenizer.chat_template"))

    def free(self) -> None:
        self._api.llama_free(self._context)
        self._api.llama_model_free(self._model)

    def tokens_of(self, messages: Sequence[ChatMessage]) -> list[int]:
        """The prompt, chat template included. Safe from any thread: it only reads the vocabulary.

        Control tokens written in a message (`<|im_end|>` in a document) are broken up, so that no text can
        close its own turn and speak as the system.
        """
        safe = [{"role": m.role, "content": self._control.sub(_broken, m.content)} for m in messages]
        try:
            prompt: str = self._format(messages=safe).prompt
        except Exception as error:  # the template is a program from the model's file
            raise ModelError(f"The model's chat template refuses these messages ({error}).") from error
        if self._api.llama_vocab_get_add_bos(self._vocab):  # the tokeniser adds it; most templates do, too
            prompt = prompt.removeprefix(self._bos)
        return self._tokenize(prompt)

    def generate(
        self, tokens: Sequence[int], sampling: Sampling, *, cancelled: threading.Event
    ) -> Iterator[Piece]:
        """Answer a prompt; ends without a last piece when cancelled.

        Raises:
            ModelError: llama.cpp cannot compute.
        """
        reused = self._read(tokens, cancelled)
        room = self.context_window - len(tokens)
        limit = room if sampling.max_tokens is None else min(sampling.max_tokens, room)
        text = TextDecoder(sampling.stop)
        reason: Literal["stop", "length"] = "length"
        written = 0
        with self._sampler(sampling) as sampler:
            while written < limit and not cancelled.is_set():
                token = self._api.llama_sampler_sample(sampler, self._context, -1)
                if self._api.llama_vocab_is_eog(self._vocab, token):
                    reason = "stop"
                    break
                written += 1
                if piece := text.feed(self._bytes_of(token)):
                    yield Piece(piece)
                if text.stopped:
                    reason = "stop"
                    break
                if written < limit:
                    self._decode([token])
        if not cancelled.is_set():
            usage = Usage(prompt_tokens=len(tokens), cached_tokens=reused, completion_tokens=written)
            yield Piece(text.end(), reason, usage)

    def _read(self, tokens: Sequence[int], cancelled: threading.Event) -> int:
        """Bring the context to this prompt; the number of tokens that were there already."""
        keep = _common(self._cached, tokens[:-1])  # the last one is read again: its logits are needed
        if not self._api.llama_memory_seq_rm(self._memory, 0, keep, -1):
            self._api.llama_memory_clear(self._memory, True)  # recurrent models cannot forget a part
            keep = 0
        del self._cached[keep:]
        with self._abortable(cancelled):
            for start in range(keep, len(tokens), BATCH):
                if not cancelled.is_set():
                    self._decode(tokens[start : start + BATCH], cancelled)
        return keep

    def _decode(self, tokens: Sequence[int], cancelled: threading.Event | None = None) -> None:
        array = (self._api.llama_token * len(tokens))(*tokens)
        code = self._api.llama_decode(self._context, self._api.llama_batch_get_one(array, len(tokens)))
        if code == 0:
            self._cached += tokens
        elif not (cancelled and cancelled.is_set()):
            self._api.llama_memory_clear(self._memory, True)
            self._cached.clear()
            raise ModelError(f"llama.cpp could not compute (code {code}, {self._reason()}).")

    @contextmanager
    def _abortable(self, cancelled: threading.Event) -> Iterator[None]:
        """Let a cancellation end a slice of the prompt, which may take seconds.

        Only there: llama.cpp asks at every node of its graph, and a single token would notice.
        """
        callback = self._api.ggml_abort_callback(lambda _: cancelled.is_set())
        self._api.llama_set_abort_callback(self._context, callback, None)
        try:
            yield
        finally:
            self._api.llama_set_abort_callback(self._context, self._api.ggml_abort_callback(), None)

    @contextmanager
    def _sampler(self, sampling: Sampling) -> Iterator[Any]:
        api = self._api
        chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
        steps = []
        if sampling.repeat_penalty != 1.0:
            size = api.llama_vocab_n_tokens(self._vocab)
            steps.append(
                api.llama_sampler_init_penalties(size, PENALTY_WINDOW, sampling.repeat_penalty, 0.0, 0.0)
            )
        if sampling.temperature <= 0:
            steps.append(api.llama_sampler_init_greedy())
        else:
            seed = RANDOM_SEED if sampling.seed is None else sampling.seed & RANDOM_SEED
            steps += [
                api.llama_sampler_init_top_p(sampling.top_p, 1),
                api.llama_sampler_init_min_p(sampling.min_p, 1),
                api.llama_sampler_init_temp(sampling.temperature),
                api.llama_sampler_init_dist(seed),
            ]
        for step in steps:
            api.llama_sampler_chain_add(chain, step)
        try:
            yield chain
        finally:
            api.llama_sampler_free(chain)

    def _tokenize(self, text: str) -> list[int]:
        data = text.encode()
        size = len(data) + 2  # a token is at least a byte; BOS and EOS
        array = (self._api.llama_token * size)()
        count = self._api.llama_tokenize(self._vocab, data, len(data), array, size, True, True)
        if count < 0:
            raise ModelError("llama.cpp could not tokenise the prompt.")
        return list(array[:count])

    def _bytes_of(self, token: int) -> bytes:
        for size in (64, 1024):
            buffer = ctypes.create_string_buffer(size)
            count = self._api.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if count >= 0:
                return buffer.raw[:count]
        return b""

    def _text_of(self, token: int) -> str:
        """How a special token is written in templates; empty where the model has none."""
        return (
            ""
            if token < 0
            else bytes(self._api.llama_vocab_get_text(self._vocab, token)).decode(errors="replace")
        )

    def _formatter(self, template: str) -> Any:
        def compiled(source: str) -> Any:
            eos = self._text_of(self._api.llama_vocab_eos(self._vocab))
            formatter = self._api.llama_chat_format.Jinja2ChatFormatter
            return formatter(template=source, bos_token=self._bos, eos_token=eos)

        try:
            if template:
                return compiled(template)
            self.warnings.append("The model file has no chat template: ChatML is used; answers may be poor.")
        except Exception as error:  # noqa: BLE001 - the template is a program from the model's file
            self.warnings.append(f"The model's chat template is broken ({error}): ChatML is used instead.")
        return compiled(CHATML)

    def _control_tokens(self) -> re.Pattern[str]:
        api, vocab = self._api, self._vocab
        ids = (
            token
            for token in range(api.llama_vocab_n_tokens(vocab))
            if api.llama_vocab_is_control(vocab, token)
        )
        texts = sorted(
            (text for token in ids if len(text := self._text_of(token)) > 1), key=len, reverse=True
        )
        return re.compile("|".join(map(re.escape, texts)) or r"(?!)")

    def _meta(self, key: str) -> str:
        size = self._api.llama_model_meta_val_str(self._model, key.encode(), None, 0)
        if size < 0:
            return ""
        buffer = ctypes.create_string_buffer(size + 1)
        self._api.llama_model_meta_val_str(self._model, key.encode(), buffer, size + 1)
        return buffer.value.decode(errors="replace")

    def _load_model(self, path: Path, options: LoadOptions) -> Any:
        params = self._api.llama_model_default_params()
        params.n_gpu_layers = options.gpu_layers
        params.use_extra_bufts = options.use_extra_bufts
        model = self._api.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            raise ModelFileError(f"llama.cpp cannot run {path} ({self._reason()}): choose another file.")
        return model

    def _choose_context(self, wanted: int) -> int:
        trained: int = self._api.llama_model_n_ctx_train(self._model) or DEFAULT_CONTEXT_LIMIT
        if wanted > trained:
            self.warnings.append(
                f"llm.context is {wanted}, but the model was trained on {trained}, which is used."
            )
        return min(wanted or DEFAULT_CONTEXT_LIMIT, trained)

    def _open_context(self, threads: int) -> Any:
        params = self._api.llama_context_default_params()
        params.n_ctx = self.context_window
        params.n_batch = params.n_ubatch = min(BATCH, self.context_window)
        params.n_threads = params.n_threads_batch = threads
        context = self._api.llama_init_from_model(self._model, params)
        if not context:
            self._api.llama_model_free(self._model)
            raise ModelFileError(
                f"llama.cpp cannot open a context of {self.context_window} tokens ({self._reason()}): lower"
                " llm.context."
            )
        return context

    def _log(self, level: int, text: bytes, _user_data: object) -> None:
        if level == _LOG_ERROR:
            self._errors.append(text.decode(errors="replace").strip())

    def _reason(self) -> str:
        """What llama.cpp said first, without its function's name; what follows only repeats it."""
        said, self._errors = self._errors, []
        return said[0].split(": ", 1)[-1] if said else "it gave no reason"


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Length of the common beginning."""
    for at, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return at
    return min(len(first), len(second))


def _broken(control: re.Match[str]) -> str:
    return f"{control[0][0]} {control[0][1:]}"
