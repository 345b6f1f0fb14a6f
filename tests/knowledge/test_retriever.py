from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine

from knowledge.chunking import ChunkSettings
from knowledge.documents import Chunk
from knowledge.embedding import Embedder, Vectors
from knowledge.errors import IndexOutdatedError
from knowledge.filters import Filter
from knowledge.index import Index
from knowledge.lexical import Lexical
from knowledge.manifest import Manifest
from knowledge.recency import Recency
from knowledge.retriever import Retriever
from knowledge.sources import FolderSource
from knowledge.store import ChromaStore, Near, VectorStore
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


def test_what_a_filter_leaves_out_is_not_ranked(corpus: Corpus) -> None:
    many = {f"f{n}": f"---\ntags: big\ndate: 2025-01-01\n---\nhotel hotel number {n}" for n in range(300)}
    corpus.add(
        **many,
        old="---\ntags: small\ndate: 2024-05-31\n---\nthe hotel was closed then",
        new="---\ntags: small, big\ndate: 2026-02-01\n---\nthe hotel is open and its doors are new",
        undated="---\ntags: small\n---\nsomething else entirely",
    )

    def names(where: Filter, sources: frozenset[str] = DOCS) -> list[str]:
        found = corpus.retriever.search("hotel number", sources=sources, top_k=8, where=where)
        return sorted(hit.chunk.uri.rpartition("/")[2].partition(".")[0] for hit in found)

    assert names(Filter(tags=frozenset({"small"}))) == ["new", "old", "undated"]
    assert names(Filter(tags=frozenset({"small", "big"}))) == ["new"]
    assert names(Filter(after=date(2026, 1, 1))) == ["new"]
    assert names(Filter(before=date(2025, 1, 1))) == ["old"]
    assert len(names(Filter(sources=DOCS))) == 8
    assert names(Filter(sources=frozenset({"other"}))) == []
    assert names(Filter(sources=DOCS), frozenset({"other"})) == []


class Backwards:
    """Likes the texts in the other order, and remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        self.seen = list(texts)
        return [n / len(texts) for n in range(len(texts))]


def test_a_reranker_has_the_last_word_on_the_order(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    before = corpus.names("what may a hotel cost a night")
    reranker = Backwards()
    manifest = Manifest(corpus.engine)
    corpus.retriever = Retriever(manifest, corpus.store, corpus.embedder, Lexical(), reranker=reranker)
    assert corpus.names("what may a hotel cost a night") == before[::-1]
    assert reranker.seen[0].startswith("Hotels\n")


def test_of_two_alike_the_younger_comes_first_where_that_is_wanted(corpus: Corpus) -> None:
    old, young = (
        f"---\ndate: {day}\n---\nA hotel costs 14{day[3]} EUR." for day in ("2020-01-01", "2026-05-01")
    )
    corpus.add(a=old, b=young)
    assert corpus.names("what does a hotel cost 140", top_k=2) == ["a", "b"]
    recency = Recency(half_life=365, weight=2.0, today=lambda: date(2026, 6, 1))
    manifest = Manifest(corpus.engine)
    corpus.retriever = Retriever(manifest, corpus.store, corpus.embedder, Lexical(), recency=recency)
    assert corpus.names("what does a hotel cost 140", top_k=2) == ["b", "a"]


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
    dead = [f"dead-{number}" for number in range(300)]
    rows = corpus.embedder.embed_queries(["hotel"] * 300)
    corpus.store.add(collection_name(state.generation, "docs"), dead, rows)
    assert set(corpus.names("hotel")) == HANDBOOK.keys()


def test_another_embedding_model_must_reindex(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    other = Retriever(Manifest(corpus.engine), corpus.store, HashingEmbedder(name="new"), Lexical())
    with pytest.raises(
        IndexOutdatedError, match=r"with the embedding model hashing@64.*Run `parley reindex`"
    ):
        other.search("hotel", sources=DOCS)


def test_until_another_model_has_taken_over_the_one_before_answers(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    before, new = corpus.embedder, HashingEmbedder(name="new", dimension=32)
    expected = corpus.names("what may a hotel cost")
    corpus.retriever = Retriever(
        Manifest(corpus.engine),
        corpus.store,
        new,
        Lexical(),
        models=lambda fingerprint: before if fingerprint == before.fingerprint else None,
    )
    assert corpus.names("what may a hotel cost") == expected
    corpus.embedder = new
    corpus.add()
    assert corpus.retriever.prepare().embedder == new.fingerprint
    assert corpus.names("what may a hotel cost")[0] == "hotels"


def test_statistics_follow_the_index(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    corpus.retriever.prepare()
    words = corpus.lexical.within(DOCS)
    assert words.document_count == 3
    assert words.document_frequency(words.analyse("hotels")) == {"hotel": 1}


class Watched(Manifest):
    """Remembers which keys were looked up."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.looked_up: list[str] = []

    def find_keys(
        self, keys: Iterable[str], *, sources: AbstractSet[str], versions: AbstractSet[str] | None = None
    ) -> dict[str, list[Chunk]]:
        keys = list(keys)
        self.looked_up += keys
        return super().find_keys(keys, sources=sources, versions=versions)


class WatchedStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.queried: list[str] = []
        self.refreshed = 0

    def query(self, collection: str, vector: Vectors, k: int, *, with_vectors: bool = False) -> list[Near]:
        self.queried.append(collection)
        return super().query(collection, vector, k, with_vectors=with_vectors)

    def refresh(self) -> None:
        self.refreshed += 1


@pytest.fixture
def watched(engine: Engine, root: Path) -> tuple[Corpus, Watched, WatchedStore]:
    """With 200 files, and a question asked."""
    store, manifest = WatchedStore(), Watched(engine)
    corpus = Corpus(engine, root, store=store, embedder=HashingEmbedder())
    corpus.add(**{f"f{n}": f"---\ntags: {'rare' if n < 3 else 'big'}\n---\nhotel {n}" for n in range(200)})
    corpus.retriever = Retriever(manifest, store, corpus.embedder, Lexical())
    corpus.names("hotel")
    manifest.looked_up.clear()
    store.queried.clear()
    return corpus, manifest, store


def test_what_is_only_staged_costs_nothing(watched: tuple[Corpus, Watched, WatchedStore]) -> None:
    corpus, manifest, store = watched
    generation = manifest.state().generation
    dead = [f"dead-{number}" for number in range(2_000)]
    rows = corpus.embedder.embed_queries(["hotel"] * len(dead))
    store.add(collection_name(generation, "new"), dead, rows)
    store.add(collection_name(generation, "docs"), dead, rows)
    hits = corpus.retriever.search("hotel", sources=DOCS | {"new"})
    assert len(hits) == 6
    assert store.queried == [collection_name(generation, "docs")] * 3
    assert len(manifest.looked_up) == len(set(manifest.looked_up)) < 50
    assert not set(dead) & set(manifest.looked_up)


def test_a_filter_reads_no_more_than_what_it_admits(watched: tuple[Corpus, Watched, WatchedStore]) -> None:
    corpus, manifest, store = watched

    def found(tag: str) -> list[str]:
        where = Filter(tags=frozenset({tag}))
        hits = corpus.retriever.search("hotel", sources=DOCS, where=where)
        return sorted(hit.chunk.text for hit in hits)

    assert found("nonsense") == []
    assert manifest.looked_up == []
    assert found("rare") == ["hotel 0", "hotel 1", "hotel 2"]
    assert len(manifest.looked_up) == 3
    assert store.queried == []


def test_a_filter_that_admits_many_looks_nothing_up_twice(
    watched: tuple[Corpus, Watched, WatchedStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, manifest, _ = watched
    few = corpus.retriever.search("hotel 1", sources=DOCS, where=Filter(tags=frozenset({"rare"})))
    manifest.looked_up.clear()
    monkeypatch.setattr("knowledge.retriever.FEW", 2)
    many = corpus.retriever.search("hotel 1", sources=DOCS, where=Filter(tags=frozenset({"rare"})))
    assert [hit.chunk for hit in many] == [hit.chunk for hit in few]
    assert [hit.score for hit in many] == pytest.approx([hit.score for hit in few])
    assert len(manifest.looked_up) == len(set(manifest.looked_up)) == 200


class Slow(Lexical):
    """Is never done with a new revision."""

    def update(self, *_: object, **__: object) -> None:
        pass


def test_the_store_is_refreshed_once_for_each_revision(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    store = WatchedStore()
    assert isinstance(corpus.store, MemoryStore)
    store.data = corpus.store.data
    retriever = Retriever(Manifest(corpus.engine), store, corpus.embedder, Slow())
    for _ in range(3):
        retriever.search("hotel", sources=DOCS)
    assert store.refreshed == 1
    corpus.add(zoo="# Zoo\n\nThe zoo opens at nine.")
    for _ in range(3):
        retriever.search("hotel", sources=DOCS)
    assert store.refreshed == 2


def test_what_a_sync_publishes_during_a_search_is_found(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    published: list[str] = []

    class Syncing(MemoryStore):
        """Publishes everything anew just when it is searched."""

        def query(
            self, collection: str, vector: Vectors, k: int, *, with_vectors: bool = False
        ) -> list[Near]:
            if not published:
                published.append(collection)
                corpus.add(**{name: f"{text} Now." for name, text in HANDBOOK.items()})
            return super().query(collection, vector, k, with_vectors=with_vectors)

    store = Syncing()
    assert isinstance(corpus.store, MemoryStore)
    store.data = corpus.store.data
    retriever = Retriever(Manifest(corpus.engine), store, corpus.embedder, Lexical())
    hits = retriever.search("hotel", sources=DOCS)
    assert len(hits) == 3
    assert all(hit.chunk.text.endswith("Now.") for hit in hits)


def test_the_model_that_takes_over_during_a_search_answers_it(corpus: Corpus) -> None:
    corpus.add(**HANDBOOK)
    before, new = corpus.embedder, HashingEmbedder(name="new", dimension=32)

    class Syncing(MemoryStore):
        """Gets the vectors of another model just when it is searched."""

        def query(
            self, collection: str, vector: Vectors, k: int, *, with_vectors: bool = False
        ) -> list[Near]:
            if corpus.embedder is before:
                corpus.embedder = new
                corpus.add(**{name: f"{text} Now." for name, text in HANDBOOK.items()})
            return super().query(collection, vector, k, with_vectors=with_vectors)

    store = Syncing()
    assert isinstance(corpus.store, MemoryStore)
    store.data = corpus.store.data
    retriever = Retriever(
        Manifest(corpus.engine), store, new, Lexical(), models={before.fingerprint: before}.get
    )
    hits = retriever.search("hotel", sources=DOCS)
    assert len(hits) == 3
    assert hits[0].similarity > 0


def test_all_candidates_are_there_for_who_goes_on_reading(corpus: Corpus) -> None:
    corpus.add(**{f"f{n}": f"hotel {n}" for n in range(60)})
    first, second = corpus.retriever.rank_each(["hotel 1", "hotel 2"], sources=DOCS, limit=60)
    of_second, of_first = list(second), list(first)
    for hits in (of_first, of_second):
        assert len({hit.chunk.id for hit in hits}) == 60
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert of_first[0].chunk.text == "hotel 1"
    assert of_second[0].chunk.text == "hotel 2"


def test_what_goes_while_somebody_reads_on_is_left_out(corpus: Corpus) -> None:
    corpus.add(**{f"f{n}": f"hotel {n}" for n in range(60)})
    (ranked,) = corpus.retriever.rank_each(["hotel 1"], sources=DOCS, limit=60)
    first = next(ranked)
    corpus.add(**{f"f{n}": "nothing of that" for n in range(60) if n != 1})
    rest = list(ranked)
    assert first.chunk.text == "hotel 1"
    assert 0 < len(rest) < 59
    assert len({hit.chunk.id for hit in rest}) == len(rest)
