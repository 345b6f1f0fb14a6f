"""How the next token is chosen from its logits: llama.cpp's sampler chain, grammars, log-probabilities.

Order of the chain: penalties, top-k, top-p, min-p, temperature, draw. A grammar is asked about the chosen token
first, and only when it refuses about the whole vocabulary, which takes much longer (as llama.cpp's own server
does). The module `llama_cpp` is passed in as `api`.
"""

import ctypes
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from bot.llm.generation import Sampling
from bot.llm.grammar import grammar_of

PENALTY_WINDOW = 64
"""Tokens of the answer that the penalties look back on."""
RANDOM_SEED = 0xFFFFFFFF  # LLAMA_DEFAULT_SEED: llama.cpp draws one

Logits = npt.NDArray[np.float32]


class Candidates:
    """llama.cpp's array of candidates over a whole vocabulary; one, used again for each choice."""

    def __init__(self, api: Any, vocabulary: int) -> None:
        self._ids = np.arange(vocabulary, dtype=np.int32)
        self._rows = np.empty(vocabulary, dtype=[("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])
        self._array = api.llama_token_data_array()
        self._data = self._rows.ctypes.data_as(api.llama_token_data_p)
        self._api = api

    def choose(self, logits: Logits, *samplers: Any) -> int | None:
        """The token that the samplers, applied one after another, select; None when they leave none."""
        self._rows["id"] = self._ids
        self._rows["logit"] = logits
        chosen, logit = self._apply(len(self._ids), samplers)
        return chosen if logit > -np.inf else None

    def allowed(self, token: int, grammar: Any) -> bool:
        self._rows[0] = (token, 1.0, 0.0)
        return self._apply(1, (grammar,))[1] > -np.inf

    def _apply(self, size: int, samplers: tuple[Any, ...]) -> tuple[int, float]:
        array = self._array
        array.data, array.size, array.selected, array.sorted = self._data, size, 0, False
        for sampler in samplers:
            self._api.llama_sampler_apply(sampler, ctypes.byref(array))
        chosen = array.data[array.selected]
        return chosen.id, chosen.logit


class Sampler:
    """The state of choosing for one answer; freed with the object. `choose` and `accept` need one thread."""

    def __init__(self, api: Any, vocab: Any, sampling: Sampling) -> None:
        """
        Raises:
            ModelError: the grammar or the JSON schema cannot be used.
        """
        self._api = api
        self._grammar = self._constraint(vocab, sampling)
        self._chain = self._steps(vocab, sampling)

    def choose(self, logits: Logits, candidates: Candidates) -> int | None:
        """The next token; None when the grammar allows nothing more."""
        if self._chain is None:
            return int(logits.argmax())
        token = candidates.choose(logits, self._chain)
        if self._grammar is None or (token is not None and candidates.allowed(token, self._grammar)):
            return token
        return candidates.choose(logits, self._grammar, self._chain)

    def accept(self, token: int) -> None:
        """Count a token as written. Never one that ends the answer: llama.cpp's grammars abort at it."""
        for sampler in (self._grammar, self._chain):
            if sampler is not None:
                self._api.llama_sampler_accept(sampler, token)

    def _steps(self, vocab: Any, sampling: Sampling) -> Any:
        """The chain; None where it would only take the largest logit, which numpy does faster."""
        api, greedy = self._api, sampling.temperature <= 0
        penalties = (sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty)
        steps = []
        if penalties != (1.0, 0.0, 0.0):
            size = api.llama_vocab_n_tokens(vocab)
            steps.append(api.llama_sampler_init_penalties(size, PENALTY_WINDOW, *penalties))
        if greedy:
            if not steps and self._grammar is None:
                return None
            steps.append(api.llama_sampler_init_greedy())
        else:
            seed = RANDOM_SEED if sampling.seed is None else sampling.seed & RANDOM_SEED
            if sampling.top_k > 0:
                steps.append(api.llama_sampler_init_top_k(sampling.top_k))
            if sampling.top_p < 1:
                steps.append(api.llama_sampler_init_top_p(sampling.top_p, 1))
            if sampling.min_p > 0:
                steps.append(api.llama_sampler_init_min_p(sampling.min_p, 1))
            steps.append(api.llama_sampler_init_temp(sampling.temperature))
            steps.append(api.llama_sampler_init_dist(seed))
        chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
        for step in steps:
            api.llama_sampler_chain_add(chain, step)
        return self._owned(chain)

    def _constraint(self, vocab: Any, sampling: Sampling) -> Any:
        grammar = grammar_of(sampling, converter=self._api.llama_grammar.json_schema_to_gbnf)
        if grammar is None:
            return None
        sampler = self._api.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
        if not sampler and sampling.json_schema is not None:
            raise ModelError(
                "llama.cpp cannot follow this JSON schema (its maxLength or maxItems may be too large): simplify it."
            )
        if not sampler:
            raise ModelError("The grammar is not GBNF with a rule named root: correct it.")
        return self._owned(sampler)

    def _owned(self, sampler: Any) -> Any:
        weakref.finalize(self, self._api.llama_sampler_free, sampler).atexit = False
        return sampler


def log_probabilities(logits: Logits) -> Logits:
    """Natural logarithms of the probabilities that these logits stand for."""
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), dtype=np.float32)


def likeliest(logits: Logits, count: int) -> list[int]:
    """The `count` tokens with the largest logits, the largest first."""
    count = min(count, len(logits))
    if count == 0:
        return []
    top = np.argpartition(logits, -count)[-count:]
    return [int(token) for token in top[np.argsort(logits[top])[::-1]]]
