from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from knowledge.chunking import ChunkSettings
from knowledge.documents import Chunk
from knowledge.embedding import Embedder
from knowledge.errors import IndexOutdatedError
from knowledge.index import Index
from knowledge.lexical import Lexical
from knowledge.manifest import Manifest
from knowledge.retriever import LEXICAL_WEIGHT, Retriever, diversify, fuse
from knowledge.sources import FolderSource
from knowledge.store import ChromaStore, VectorStore
from knowledge.versions import collection_name
from tests.knowledge.fakes import HashingEmbedder, MemoryStore

DOCS = frozenset({"docs"})


class Corpus:
    """An index of a folder and a retriever on it."""

    def __init__(self, engine: Engine, root: Path, *, store: VectorStore, embedder: Embedder) -> None:
        self.engine, self.root, self.store, self.embedder = engine, root, store, embedder
        self.lexical = Lexical()
        self.retriever = Retriever(Manifest(engine), store, embedder, self.lexical)

    def add(self, **files: str) -> None:
        for name, text in files.items():
            (self.root / f"{name}.md").write_text(text)
        settings = ChunkSettings(capacity=100, minimum=3)
        index = Index(self.engine, self.store, self.embedder, settings, self.root.parent / "lock")
        index.sync([FolderSource("docs", self.root, frozenset({"everyone"}))])

    def names(self, query: str, *, top_k: int = 6) -> list[str]:
        hits = self.retriever.search(query, sources=DOCS, top_k=top_k)
        return [hit.chunk.uri.rpartition("/")[2].partition(".")[0] for hit in hits]


@pytest.fixture
def corpus(engine: Engine, root: Path) -> Corpus:
    return Corpus(engine, root, store=MemoryStore(), embedder=HashingEmbedder())


HANDBOOK = {
    "hotels": "# Hotels\n\nA hotel may cost 140 EUR a night, breakfast included.",
    "trains": "# Trains\n\nBook trains two weeks ahead in second class.",
    "coffee": "# Coffee\n\nThe machine is cleaned on Fridays.",
}


def test_the_answer_comes_first(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    assert corpus.names("what may a hotel cost a night")[0] == "hotels"
    assert corpus.names("when is the machine cleaned", top_k=1) == ["coffee"]


def test_real_model_and_store(engine: Engine, root: Path, tmp_path: Path, starter_embedder: Embedder) -> None:
    store = ChromaStore(tmp_path / "chroma")
    corpus = Corpus(engine, root, store=store, embedder=starter_embedder)
    corpus.add(**HANDBOOK)
    hits = corpus.retriever.search("How expensive can my accommodation be?", sources=DOCS)
    assert hits[0].chunk.title == "Hotels"
    assert hits[0].similarity > hits[-1].similarity
    store.close()


def test_scores_fall_and_similarities_are_cosines_also_for_lexical_hits(corpus: Corpus) -> None:
    corpus.add(
        **{f"f{n}": f"# F{n}\n\nfiller text number {n}" for n in range(80)},
        odd="# Odd\n\nzebra " + " ".join(f"other{n}" for n in range(60)),
    )
    hits = corpus.retriever.search("zebra", sources=DOCS, top_k=6)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    (query,) = corpus.embedder.embed_queries(["zebra"])
    for hit in hits:
        (vector,) = corpus.embedder.embed_documents([hit.chunk.contextual_text])
        assert hit.similarity == pytest.approx(float(query @ vector), abs=1e-4)
    assert "Odd" in {hit.chunk.title for hit in hits}


def test_only_the_sources_asked_for(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    assert corpus.retriever.search("hotel", sources=frozenset({"secret"})) == []
    assert corpus.retriever.search("hotel", sources=frozenset()) == []


def test_an_empty_index_and_an_empty_question(corpus: Corpus) -> None:
    assert corpus.retriever.search("hotel", sources=DOCS) == []
    corpus.add(**HANDBOOK)
    assert corpus.retriever.search("  ", sources=DOCS) == []


def test_a_sync_is_seen_by_the_next_search(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    assert corpus.names("hotel")[0] == "hotels"
    corpus.add(hotels="# Hotels\n\nNothing about that any more.", zoo="# Zoo\n\nThe zoo opens at nine.")
    assert corpus.names("when does the zoo open", top_k=1) == ["zoo"]
    assert "140 EUR" not in " ".join(
        hit.chunk.text for hit in corpus.retriever.search("140 EUR", sources=DOCS)
    )


def test_vectors_of_dead_chunks_do_not_crowd_out_the_live_ones(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    state = corpus.retriever.prepare()
    (vector,) = corpus.embedder.embed_queries(["hotel"])
    dead = [f"dead-{number}" for number in range(300)]
    rows = corpus.embedder.embed_queries(["hotel"] * 300)
    corpus.store.add(collection_name(state.generation, "docs"), dead, rows)
    dense = corpus.retriever._dense(vector, generation=state.generation, sources=DOCS, limit=50)
    assert len(dense) == 3


def test_another_embedding_model_must_reindex(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    other = Retriever(Manifest(corpus.engine), corpus.store, HashingEmbedder(name="new"), Lexical())
    with pytest.raises(
        IndexOutdatedError, match=r"with the embedding model hashing@64.*Run `parley reindex`"
    ):
        other.search("hotel", sources=DOCS)


def test_statistics_follow_the_index(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    corpus.retriever.prepare()
    assert corpus.lexical.document_count == 3
    assert corpus.lexical.document_frequency(corpus.lexical.analyse("hotels")) == {"hotel": 1}


def test_shared_words_count_beside_meaning() -> None:
    fused = fuse({"a": 0.5, "b": 0.4, "c": 0.3}, {"b": 8.0, "c": 4.0})
    assert list(fused) == ["b", "a", "c"]
    assert fused["b"] == pytest.approx(0.4 + LEXICAL_WEIGHT)
    assert fused["c"] == pytest.approx(0.3 + LEXICAL_WEIGHT / 2)


@given(
    st.dictionaries(st.sampled_from("abcdefg"), st.floats(-1, 1)),
    st.dictionaries(st.sampled_from("abcdefg"), st.floats(0, 50)),
)
def test_fusion_ranks_every_candidate(similarities: dict[str, float], lexical: dict[str, float]) -> None:
    fused = fuse(similarities, lexical)
    assert set(fused) == set(similarities)
    assert list(fused.values()) == sorted(fused.values(), reverse=True)


def chunk(name: str, text: str, *, document: str = "", title: str = "T") -> Chunk:
    return Chunk(name, document or name, "docs", 0, title, "", f"/{name}", text)


def test_at_most_three_of_one_document() -> None:
    many = [chunk(f"a{n}", f"text {n}", document="a") for n in range(5)] + [chunk("b", "other")]
    assert [c.id for c in diversify(many, top_k=6)] == ["a0", "a1", "a2", "b"]
    assert [c.id for c in diversify(many, top_k=2)] == ["a0", "a1"]


def test_copies_come_once_but_other_numbers_and_titles_are_other_texts() -> None:
    text = "The travel limit for a hotel in Paris is set to 180 euros a night from now on"
    chunks = [
        chunk("original", text),
        chunk("copy", text.replace("Paris", "PARIS") + "."),
        chunk("next-year", text.replace("180", "190")),
        chunk("other-title", text, title="Contractors and guests"),
    ]
    assert [c.id for c in diversify(chunks, top_k=6)] == ["original", "next-year", "other-title"]
