import pytest

from knowledge.documents import Chunk
from knowledge.lexical import Lexical


def chunk(name: str, text: str, *, title: str = "T", heading: str = "", source: str = "docs") -> Chunk:
    return Chunk(name, f"d-{name}", source, 0, title, heading, f"/{name}", text)


CHUNKS = [
    chunk("hotel", "Hotels cost at most 140 EUR a night."),
    chunk("train", "Take the train. Book trains early."),
    chunk("title", "Nothing here.", title="Travel by train"),
    chunk("private", "Trains of the board.", source="board"),
]
ALL = frozenset({"docs", "board"})


@pytest.fixture
def lexical() -> Lexical:
    built = Lexical()
    built.rebuild(CHUNKS, revision=1)
    return built


def ids(lexical: Lexical, query: str, sources: frozenset[str] = ALL, k: int = 10) -> list[str]:
    return [id_ for id_, _ in lexical.search(query, sources=sources, k=k)]


def test_words_are_stemmed_and_titles_count(lexical: Lexical) -> None:
    assert ids(lexical, "hotel costs") == ["hotel"]
    assert set(ids(lexical, "training a train")) == {"train", "title", "private"}
    assert ids(lexical, "travelling train")[0] == "title"


def test_only_the_given_sources_are_searched(lexical: Lexical) -> None:
    assert set(ids(lexical, "train", frozenset({"docs"}))) == {"train", "title"}
    assert ids(lexical, "train", frozenset({"board"})) == ["private"]
    assert ids(lexical, "train", frozenset({"other"})) == []
    assert ids(lexical, "train", frozenset()) == []


@pytest.mark.parametrize(
    "query", ['"', "hotel AND (", "text:hotel^2 -train", "*", "", "hotel~ [a TO b]", "\\", "?!"]
)
def test_query_syntax_is_only_text(lexical: Lexical, query: str) -> None:
    found = ids(lexical, query)
    assert ("hotel" in found) == ("hotel" in query)


def test_scores_are_positive_and_ordered(lexical: Lexical) -> None:
    scores = [score for _, score in lexical.search("train early", sources=ALL, k=10)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0
    assert len(lexical.search("train", sources=ALL, k=2)) == 2


def test_statistics_use_the_same_stems(lexical: Lexical) -> None:
    assert lexical.analyse("Trains, training: 2.5!") == ["train", "train", "2", "5"]
    assert lexical.document_frequency(["train", "hotel", "never"]) == {"train": 3, "hotel": 1, "never": 0}
    assert lexical.document_count == 4


def test_it_is_empty_before_it_is_built_and_replaced_by_a_newer_revision(lexical: Lexical) -> None:
    empty = Lexical()
    assert empty.revision is None
    assert ids(empty, "train") == []
    assert empty.document_frequency(["train"]) == {"train": 0}
    lexical.rebuild([], revision=1)  # the same revision: nothing happens
    assert lexical.document_count == 4
    lexical.rebuild(CHUNKS[:1], revision=2)
    assert ids(lexical, "train hotel") == ["hotel"]
    assert lexical.revision == 2
