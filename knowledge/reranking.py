"""Reading the best candidates once more, each together with the question, by a cross-encoder.

It judges better than vectors and words, and costs about as much for each candidate as embedding it: so it is off unless
a model is named, and reads the first `CANDIDATES` only. Loading is lazy and safe from several threads.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from knowledge.documents import Hit
from knowledge.errors import RerankingModelError
from knowledge.hub import NoModelError, model_folder
from knowledge.quiet import quiet

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

CANDIDATES = 30
"""How many of the fused candidates are read."""
_FIX = "Set knowledge.reranker to a folder with a sentence-transformers cross-encoder, or leave it out."


class Reranker(Protocol):
    """Judges how well texts answer a query."""

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """One for each text, 0 to 1, higher is better. Blocking; raises `RerankingModelError`."""


def rerank(hits: Sequence[Hit], *, query: str, reranker: Reranker, candidates: int = CANDIDATES) -> list[Hit]:
    """The first `candidates` of the hits in the order of the reranker, then the others as they were.

    Ties keep their order. The scores of those that were read are its own, above that of every other hit.
    """
    read, rest = hits[:candidates], hits[candidates:]
    floor = max((hit.score for hit in rest), default=0.0)
    judged = reranker.scores(query, [hit.chunk.contextual_text for hit in read])
    order = sorted(range(len(read)), key=lambda index: -judged[index])
    return [*(replace(read[index], score=floor + judged[index]) for index in order), *rest]


class CrossEncoderReranker:
    """A model from a folder, or from the Hugging Face cache or hub."""

    def __init__(self, model: str, *, device: str = "auto", batch_size: int = 32) -> None:
        """Cheap: nothing is read before it is needed. `device` as torch names it; "auto": a GPU if there is one."""
        self._name = model
        self._device = None if device == "auto" else device
        self._batch_size = batch_size
        self._model: CrossEncoder | None = None
        self._lock = threading.Lock()

    def load(self) -> "CrossEncoder":
        """Load the model if it is not loaded yet (seconds); raises `RerankingModelError`."""
        with self._lock:
            if self._model is None:
                self._model = _load(_folder(self._name), self._device)
            return self._model

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """See `Reranker`: the model's logit through a sigmoid. Texts beyond its length are cut."""
        if not texts:
            return []
        from torch.nn import Sigmoid

        # sentence-transformers sorts by length itself, so that a batch wastes little on padding.
        judged = self.load().predict(
            [(query, text) for text in texts],
            batch_size=self._batch_size,
            show_progress_bar=False,
            activation_fn=Sigmoid(),
        )
        return [float(score) for score in judged]


def _folder(name: str) -> Path:
    try:
        return model_folder(name, weights=["model*.safetensors"])
    except NoModelError as error:
        raise RerankingModelError(
            f"The reranker '{name}' is not on this machine and cannot be downloaded. {_FIX}"
        ) from error


def _load(folder: Path, device: str | None) -> "CrossEncoder":
    with quiet():
        from sentence_transformers import CrossEncoder
        from transformers.utils import logging as transformers_logging

        cast("Any", transformers_logging).disable_progress_bar()
        try:
            model: CrossEncoder = CrossEncoder(str(folder), device=device, local_files_only=True)
        except Exception as error:  # anything may be wrong with a folder that somebody configured
            raise RerankingModelError(f"The reranker in {folder} cannot be loaded. {_FIX}") from error
    if model.num_labels != 1:
        raise RerankingModelError(
            f"The model in {folder} gives {model.num_labels} figures for a pair of texts, and a reranker gives one. "
            f"{_FIX}"
        )
    return model
