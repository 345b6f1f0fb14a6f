"""The contract of an embedder, on the fake and on the real model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Encoding

from knowledge.embedding import Embedder, SentenceTransformerEmbedder, batches
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


@given(st.lists(st.integers(0, 300)), st.integers(1, 2_000))
def test_batches_hold_every_text_once_and_keep_within_the_tokens(lengths: list[int], tokens: int) -> None:
    found = list(batches(lengths, tokens=tokens))
    assert sorted(index for batch in found for index in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= tokens
    longest = [max(lengths[index] for index in batch) for batch in found]
    assert longest == sorted(longest, reverse=True)


def test_more_texts_than_are_cut_into_tokens_at_once(starter_embedder: SentenceTransformerEmbedder) -> None:
    pages: list[int] = []

    class Watched:
        def encode_batch_fast(self, texts: list[str]) -> list[Encoding]:
            pages.append(len(texts))
            return starter_embedder.tokenizer.encode_batch_fast(texts)

    watched = SentenceTransformerEmbedder()
    watched.__dict__["tokenizer"] = Watched()
    vectors = watched.embed_documents([*["a"] * 1_500, "dogs bark"])
    assert (max(pages), sum(pages)) == (1_000, 1_501)
    np.testing.assert_allclose(vectors[-1], starter_embedder.embed_documents(["dogs bark"])[0], atol=1e-4)


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


@pytest.fixture(scope="module")
def instructed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with weights drawn at random, and prompts for queries and documents."""
    folder = tmp_path_factory.mktemp("models") / "instructed"
    make_model(folder, prompts={"query": "ask: ", "document": "text: "})
    return folder


def make_model(folder: Path, *, prompts: dict[str, str]) -> None:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ":", "ask", "text", "dogs", "bark", "night", "a"]
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    torch.manual_seed(0)
    bare = folder.with_name("bare")
    BertModel(config).save_pretrained(bare)
    BertTokenizer(vocab={word: number for number, word in enumerate(words)}).save_pretrained(bare)
    modules = [Transformer(str(bare)), Pooling(16)]
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save(str(folder))


def test_queries_and_documents_get_the_prompts_of_the_model(instructed: Path, tmp_path: Path) -> None:
    embedder = SentenceTransformerEmbedder(str(instructed))
    plain = tmp_path / "plain"
    make_model(plain, prompts={})
    without = SentenceTransformerEmbedder(str(plain))
    texts = ["dogs bark", "night"]
    asked = without.embed_queries([f"ask: {text}" for text in texts])
    told = without.embed_documents([f"text: {text}" for text in texts])
    np.testing.assert_allclose(embedder.embed_queries(texts), asked, atol=1e-6)
    np.testing.assert_allclose(embedder.embed_documents(texts), told, atol=1e-6)
    assert not np.allclose(asked, told, atol=1e-2)
    assert embedder.dimension == embedder.embed_queries(texts).shape[1] == 16
    assert embedder.fingerprint.partition("@")[2] != without.fingerprint.partition("@")[2]


def test_weights_of_every_module_count(tmp_path: Path) -> None:
    embedder_of = SentenceTransformerEmbedder
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    first = embedder_of(str(tmp_path)).fingerprint
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"more")
    assert embedder_of(str(tmp_path)).fingerprint != first


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_a_sentence(
    device: str, instructed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(
        EmbeddingModelError, match=rf'no device "{device}" here; set knowledge.embedding_device'
    ):
        SentenceTransformerEmbedder(str(instructed), device=device).embed_queries(["dogs"])
