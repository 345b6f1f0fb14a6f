"""With a tiny model whose weights are random, so that only form and order can be told; no quality is asserted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from knowledge.documents import Chunk, Hit
from knowledge.errors import RerankingModelError
from knowledge.reranking import CrossEncoderReranker, rerank

WORDS = (
    "how much leave do i get hotels are paid for days of a year the [UNK] [PAD] [CLS] [SEP] [MASK] ?".split()
)


def hits(*texts: str) -> list[Hit]:
    return [
        Hit(Chunk(f"c{n}", f"d{n}", "s", 0, "T", "", "t.md", text), 1 - n / 10, 0.5)
        for n, text in enumerate(texts)
    ]


class Longest:
    """Likes long texts; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Sequence[str]]] = []

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        self.asked.append((query, texts))
        return [len(text) / 100 for text in texts]


def test_the_first_candidates_are_read_and_the_others_stay_behind_them() -> None:
    judge = Longest()
    ranked = rerank(hits("a", "bbb", "cc", "dddd"), query="q", reranker=judge, candidates=3)
    assert [hit.chunk.text for hit in ranked] == ["bbb", "cc", "a", "dddd"]
    assert [hit.score for hit in ranked] == sorted((hit.score for hit in ranked), reverse=True)
    assert judge.asked == [("q", ["T\na", "T\nbbb", "T\ncc"])]


def test_ties_keep_their_order_and_nothing_is_lost() -> None:
    ranked = rerank(hits("b", "a", "c"), query="q", reranker=Longest())
    assert [hit.chunk.text for hit in ranked] == ["b", "a", "c"]
    assert rerank([], query="q", reranker=Longest()) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("reranker"), labels=1)


def save_model(folder: Path, *, labels: int) -> Path:
    """A BERT of one layer with random weights, saved as sentence-transformers reads it."""
    import torch
    import transformers

    kinds: Any = transformers  # which says nothing of its types

    torch.manual_seed(0)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    kinds.BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=32).save_pretrained(folder)
    config = kinds.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        num_labels=labels,
    )
    kinds.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_a_model_from_a_folder_judges_each_text_beside_the_query(folder: Path) -> None:
    reranker = CrossEncoderReranker(str(folder))
    texts = ["hotels are paid for", "days of leave a year", "the " * 200]
    judged = reranker.scores("how much leave do i get?", texts)
    assert len(judged) == 3
    assert all(0 < score < 1 for score in judged)
    again = CrossEncoderReranker(str(folder)).scores("how much leave do i get?", texts[::-1])
    assert again[::-1] == pytest.approx(judged, abs=1e-5)
    assert reranker.scores("hotels?", texts[:1]) != pytest.approx(judged[:1], abs=1e-9)
    assert reranker.scores("hotels?", []) == []


def test_a_model_that_is_not_there_is_a_sentence_with_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        RerankingModelError, match=r"'nobody/nothing' is not on this machine.*knowledge\.reranker"
    ):
        CrossEncoderReranker("nobody/nothing").scores("q", ["t"])
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RerankingModelError, match=r"cannot be loaded.*knowledge\.reranker"):
        CrossEncoderReranker(str(tmp_path)).load()


def test_a_classifier_of_several_classes_is_no_reranker(tmp_path: Path) -> None:
    save_model(tmp_path, labels=3)
    with pytest.raises(RerankingModelError, match="gives 3 figures"):
        CrossEncoderReranker(str(tmp_path)).load()
