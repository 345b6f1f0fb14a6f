"""Small stand-ins for the embedding model and the vector store; the contract tests run on them too."""

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from knowledge.embedding import Vectors
from knowledge.store import Near


def word_tokenizer() -> Tokenizer:
    """One token for each word and each punctuation mark."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


class HashingEmbedder:
    """A bag of words, each word hashed to a direction: texts that share words are near each other."""

    def __init__(self, *, name: str = "hashing", dimension: int = 64) -> None:
        self.fingerprint = f"{name}@{dimension}"
        self.dimension = dimension
        self.tokenizer = word_tokenizer()
        self.embedded = 0
        """Documents embedded so far."""

    def embed_documents(
        self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None
    ) -> Vectors:
        self.embedded += len(texts)
        if on_progress and texts:
            on_progress(len(texts))
        return self.embed_queries(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.casefold()) or [""]:
                vectors[row] += _direction(f"{self.fingerprint}{word}", self.dimension)
            vectors[row] /= np.linalg.norm(vectors[row])
        return vectors


@lru_cache(maxsize=10_000)
def _direction(word: str, dimension: int) -> Vectors:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)


class MemoryStore:
    """Exact search in dictionaries."""

    def __init__(self) -> None:
        self.data: dict[str, dict[str, Vectors]] = {}

    def add(self, collection: str, ids: Sequence[str], vectors: Vectors) -> None:
        if ids:
            self.data.setdefault(collection, {}).update(zip(ids, vectors, strict=True))

    def query(self, collection: str, vector: Vectors, k: int, *, with_vectors: bool = False) -> list[Near]:
        found = [
            Near(id_, float(np.dot(other, vector)), other if with_vectors else None)
            for id_, other in self.data.get(collection, {}).items()
        ]
        return sorted(found, key=lambda near: (-near.similarity, near.id))[: max(k, 0)]

    def vectors(self, collection: str, ids: Sequence[str]) -> dict[str, Vectors]:
        stored = self.data.get(collection, {})
        return {id_: stored[id_] for id_ in ids if id_ in stored}

    def ids(self, collection: str) -> set[str]:
        return set(self.data.get(collection, {}))

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        for id_ in ids:
            self.data.get(collection, {}).pop(id_, None)

    def count(self, collection: str) -> int:
        return len(self.data.get(collection, {}))

    def collections(self) -> set[str]:
        return set(self.data)

    def drop(self, collection: str) -> None:
        self.data.pop(collection, None)

    def refresh(self) -> None:
        pass
