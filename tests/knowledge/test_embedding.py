"""The contract of an embedder, on the fake and on the real model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from knowledge.embedding import Embedder, SentenceTransformerEmbedder
from knowledge.errors import EmbeddingModelError
from tests.knowledge.fakes import HashingEmbedder


@pytest.fixture(params=["hashing", "starter"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "hashing":
        return HashingEmbedder()
    found: Embedder = request.getfixturevalue("starter_embedder")
    return found


TEXTS = ["Dogs bark at night.", "a", "Hotels cost at most 140 EUR a night, breakfast included. " * 30]


def test_vectors_are_unit_rows_in_the_order_of_the_texts(embedder: Embedder) -> None:
    together = embedder.embed_documents(TEXTS)
    assert together.shape == (3, embedder.dimension)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-4)
    for index, text in enumerate(TEXTS):
        np.testing.assert_allclose(embedder.embed_documents([text])[0], together[index], atol=1e-4)


def test_nothing_gives_an_empty_matrix(embedder: Embedder) -> None:
    assert embedder.embed_documents([]).shape == (0, embedder.dimension)
    assert embedder.embed_queries([]).shape == (0, embedder.dimension)


def test_a_query_is_near_the_text_that_answers_it(embedder: Embedder) -> None:
    (query,) = embedder.embed_queries(["How much may hotels cost a night?"])
    assert np.argmax(embedder.embed_documents(TEXTS) @ query) == 2


def test_progress_ends_with_the_number_of_texts(embedder: Embedder) -> None:
    seen: list[int] = []
    embedder.embed_documents(["a b"] * 70, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 70


def test_the_tokenizer_neither_truncates_nor_pads(embedder: Embedder) -> None:
    encodings = embedder.tokenizer.encode_batch(["word " * 1_000, "word"], add_special_tokens=False)
    assert [len(encoding.ids) for encoding in encodings] == [1_000, 1]


def test_the_fingerprint_is_readable_and_follows_the_content(tmp_path: Path) -> None:
    def fingerprint(weights: bytes) -> str:
        (tmp_path / "model.safetensors").write_bytes(weights)
        return SentenceTransformerEmbedder(str(tmp_path)).fingerprint

    first = fingerprint(b"weights")
    assert first.startswith(f"{tmp_path.name}@")
    assert fingerprint(b"weights") == first
    assert fingerprint(b"others") != first


def test_a_folder_without_a_model_names_the_fix(tmp_path: Path) -> None:
    embedder = SentenceTransformerEmbedder(str(tmp_path))
    for use in (lambda: embedder.fingerprint, lambda: embedder.tokenizer, embedder.load):
        with pytest.raises(EmbeddingModelError, match=r"Install parley-bot\[starter\], or set knowledge"):
            use()


def test_tokenizer_and_fingerprint_need_no_torch() -> None:
    code = (
        "import sys\n"
        "import knowledge.index, knowledge.retriever, knowledge.loaders\n"
        "from knowledge.embedding import SentenceTransformerEmbedder as E\n"
        "e = E(); e.tokenizer, e.fingerprint, e.dimension\n"
        "slow = {'torch', 'transformers', 'sentence_transformers', 'chromadb', 'markitdown', 'tantivy'}\n"
        "sys.exit(','.join(slow & set(sys.modules)) or 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
