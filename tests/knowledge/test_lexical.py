import threading
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.documents import Chunk
from knowledge.errors import IndexDamagedError
from knowledge.lexical import Lexical
from tests.knowledge.words.shelves import Passages, chunk

CHUNKS = [
    chunk("Hotels cost at most 140 EUR a night.", key="hotel"),
    chunk("Take the train. Book trains early.", key="train"),
    chunk("Nothing here.", title="Travel by train", key="title"),
    chunk("Trains of the board.", source="board", key="private"),
]
DOCS = frozenset({"docs"})
ALL = frozenset({"docs", "board"})


def indexed(chunks: Iterable[Chunk], folder: Path | None = None) -> Lexical:
    lexical = Lexical(folder)
    lexical.update(Passages(list(chunks)), revision=1)
    return lexical


@pytest.fixture
def lexical() -> Lexical:
    return indexed(CHUNKS)


def keys(lexical: Lexical, query: str, sources: AbstractSet[str] = ALL, k: int = 10) -> list[str]:
    return [key for key, _ in lexical.search(query, sources=sources, k=k)]


def test_words_are_stemmed_and_titles_count(lexical: Lexical) -> None:
    assert keys(lexical, "hotel costs") == ["hotel"]
    assert set(keys(lexical, "training a train")) == {"train", "title", "private"}
    assert keys(lexical, "travelling train")[0] == "title"


def test_only_the_given_sources_are_searched(lexical: Lexical) -> None:
    assert set(keys(lexical, "train", DOCS)) == {"train", "title"}
    assert keys(lexical, "train", frozenset({"board"})) == ["private"]
    assert keys(lexical, "train", frozenset({"other"})) == []
    assert keys(lexical, "train", frozenset()) == []


@pytest.mark.parametrize(
    "query", ['"', "hotel AND (", "text:hotel^2 -train", "*", "", "hotel~ [a TO b]", "\\", "?!", "\x1f hotel"]
)
def test_query_syntax_is_only_text(lexical: Lexical, query: str) -> None:
    assert ("hotel" in keys(lexical, query)) == ("hotel" in query)


def test_scores_are_positive_and_ordered(lexical: Lexical) -> None:
    scores = [score for _, score in lexical.search("train early", sources=ALL, k=10)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0
    assert len(lexical.search("train", sources=ALL, k=2)) == 2
    assert lexical.search("train", sources=ALL, k=0) == []


def test_statistics_use_the_same_stems_and_count_only_what_may_be_seen(lexical: Lexical) -> None:
    assert lexical.analyse("Trains, training: 2.5!") == ["train", "train", "2", "5"]
    stems = ["train", "hotel", "never"]
    assert lexical.document_frequency(stems, sources=ALL) == {"train": 3, "hotel": 1, "never": 0}
    assert lexical.document_frequency(stems, sources=DOCS) == {"train": 2, "hotel": 1, "never": 0}
    assert lexical.document_count(sources=ALL) == 4
    words = lexical.within(DOCS)
    assert words.document_count == 3
    assert words.document_frequency(["train"]) == {"train": 2}
    assert words.analyse("trains") == ["train"]


def test_slips_are_corrected_by_the_words_that_may_be_seen(lexical: Lexical) -> None:
    assert lexical.corrected("trians of the baord", sources=ALL) == "trains of the board"
    assert lexical.corrected("trians of the baord", sources=DOCS) == "trains of the baord"
    assert (
        lexical.within(DOCS).corrected("hotle") == "hotel"
        or lexical.corrected("hotesl", sources=DOCS) == "hotels"
    )


def test_it_is_empty_before_it_is_updated_and_replaced_by_a_newer_revision() -> None:
    assert Lexical().revision is None
    lexical = Lexical()
    assert keys(lexical, "train") == []
    assert lexical.document_frequency(["train"], sources=ALL) == {"train": 0}
    assert lexical.corrected("trian", sources=ALL) == "trian"
    lexical.update(Passages(CHUNKS), revision=1)
    lexical.update(Passages([]), revision=1)  # the same revision: nothing happens
    assert lexical.document_count(sources=ALL) == 4
    lexical.update(Passages(CHUNKS[:1]), revision=2)
    assert keys(lexical, "train hotel") == ["hotel"]
    assert lexical.revision == 2
    assert lexical.document_count(sources=frozenset({"board"})) == 0


def test_only_the_sources_that_are_asked_for_are_made() -> None:
    shelf = Passages(CHUNKS)
    lexical = Lexical()
    lexical.update(shelf, revision=1, sources=frozenset({"board", "unknown"}))
    assert shelf.read == ["private"]
    assert keys(lexical, "train", frozenset({"board"})) == ["private"]
    lexical.update(shelf, revision=1, sources=frozenset({"board"}))
    lexical.update(shelf, revision=1, sources=ALL)
    lexical.update(shelf, revision=1)
    assert sorted(shelf.read) == ["hotel", "private", "title", "train"]
    assert len(keys(lexical, "train")) == 3


def test_a_source_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        shelf = Passages(CHUNKS)
        lexical = Lexical(folder)
        lexical.update(shelf, revision=1)
        shelf.read.clear()
        shelf.chunks.append(chunk("Another matter.", source="board", key="other"))
        lexical.update(shelf, revision=2)
        assert not {"hotel", "train", "title"} & set(shelf.read)
        assert keys(lexical, "matter") == ["other"]


def test_after_a_restart_nothing_is_read(tmp_path: Path) -> None:
    shelf = Passages(CHUNKS)
    Lexical(tmp_path).update(shelf, revision=1)
    shelf.read.clear()
    again = Lexical(tmp_path)
    again.update(shelf, revision=7)
    assert shelf.read == []
    assert set(keys(again, "train")) == {"train", "title", "private"}


def test_a_disk_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("a file where the folder should be")
    lexical = indexed(CHUNKS, tmp_path / "words")
    assert set(keys(lexical, "train")) == {"train", "title", "private"}


def test_many_threads_search_while_the_index_changes(lexical: Lexical) -> None:
    def search(_: int) -> list[str]:
        return keys(lexical, "early trains", DOCS)

    with ThreadPoolExecutor(8) as threads:
        found = threads.map(search, range(200))
        for revision in range(2, 12):
            extra = [chunk(f"board {n}", source="board", key=f"b{n}") for n in range(revision)]
            lexical.update(Passages([*CHUNKS, *extra]), revision=revision)
        assert set(map(tuple, found)) == {("train", "title")}


class Gated(Passages):
    """Passages that cannot be read before the gate is opened."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        super().__init__(list(chunks))
        self.reading = threading.Event()
        self.gate = threading.Event()

    def find_keys(self, keys: Iterable[str], *, sources: AbstractSet[str]) -> dict[str, list[Chunk]]:
        self.reading.set()
        assert self.gate.wait(60)
        return super().find_keys(keys, sources=sources)


def test_nobody_waits_for_the_words_of_a_new_revision(lexical: Lexical) -> None:
    shelf = Gated([*CHUNKS, chunk("Trains run on Sundays.", key="new")])
    with ThreadPoolExecutor(1) as threads:
        making = threads.submit(lexical.update, shelf, revision=2, sources=DOCS)
        assert shelf.reading.wait(60)
        lexical.update(shelf, revision=2, sources=DOCS)  # would wait for ever
        assert set(keys(lexical, "train", DOCS)) == {"train", "title"}
        assert lexical.document_count(sources=DOCS) == 3
        shelf.gate.set()
        making.result(60)
    lexical.update(shelf, revision=2, sources=DOCS)
    assert set(keys(lexical, "train", DOCS)) == {"train", "title", "new"}


def test_words_that_were_never_there_are_waited_for() -> None:
    lexical, shelf = Lexical(), Gated(CHUNKS)
    with ThreadPoolExecutor(2) as threads:
        first, second = (
            threads.submit(lexical.update, shelf, revision=1, sources=sources) for sources in (DOCS, ALL)
        )
        assert shelf.reading.wait(60)
        assert not first.done()
        assert not second.done()
        shelf.gate.set()
        first.result(60)
        second.result(60)
    assert set(keys(lexical, "train")) == {"train", "title", "private"}


def test_of_some_keys_the_scores_are_as_among_all(lexical: Lexical) -> None:
    every = dict(lexical.search("train early", sources=ALL, k=9))
    some = lexical.search("train early", sources=ALL, k=9, keys={"title", "private", "hotel", "unknown"})
    assert dict(some) == {key: pytest.approx(every[key], rel=1e-6) for key in ("title", "private")}
    assert lexical.search("train", sources=ALL, k=9, keys=frozenset()) == []


class Moving(Passages):
    """Says that there are passages which a sync takes away before they are read."""

    def __init__(self, chunks: list[Chunk], *, lies: int) -> None:
        super().__init__(chunks)
        self.lies = lies

    def live_keys(self) -> dict[str, set[str]]:
        found = super().live_keys()
        if self.lies:
            self.lies -= 1
            found["docs"].add("gone")
        return found


def test_passages_that_go_while_they_are_read_are_not_promised() -> None:
    lexical = Lexical()
    lexical.update(Moving(CHUNKS, lies=2), revision=1)
    assert lexical.document_count(sources=ALL) == 4
    with pytest.raises(IndexDamagedError, match="Run `parley reindex`"):
        Lexical().update(Moving(CHUNKS, lies=99), revision=1)


def test_each_passage_is_analysed_in_its_language_and_a_question_in_all_of_them() -> None:
    lexical = indexed([
        chunk("Die Kündigungsfristen stehen im Vertrag.", language="de", key="de"),
        chunk("Las habitaciones se reservan antes.", language="es", key="es"),
        chunk("Rooms are booked early.", language="en", key="en"),
        chunk("ホテルの予約は早めに", language="ja", key="ja"),
        chunk("booking_id = next(rooms)", language="", key="code"),
    ])  # fmt: skip
    assert keys(lexical, "Wie lang ist die Kündigungsfrist?") == ["de"]
    assert keys(lexical, "¿Cuándo se reserva una habitación?") == ["es"]
    assert set(keys(lexical, "booking a room")) == {"en", "code"}
    assert keys(lexical, "ホテルを予約したい") == ["ja"]


def test_the_forms_of_one_word_count_once() -> None:
    """A word that another language would not cut is no second word."""
    plain = [chunk("hotel hotels", key="code", language="pt"), chunk("one hotel", key="one", language="en")]
    lexical = indexed([*plain, *(chunk(f"word{n}", key=f"w{n}") for n in range(8))])
    assert dict(lexical.search("hotels", sources=DOCS, k=9)).keys() == {"code", "one"}
    assert keys(lexical, "hotels hotel hotels") == keys(lexical, "hotels")


def test_a_text_that_two_sources_have_is_found_once() -> None:
    lexical = indexed([CHUNKS[0], replace(CHUNKS[0], source="board")])
    assert keys(lexical, "hotel") == ["hotel"]


WORDS = st.sampled_from(
    "train trains hotel hotels night board travel viajes Häuser 東京都 a the zeta".split()
)
TEXTS = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
PASSAGES = st.lists(
    st.tuples(TEXTS, TEXTS, st.sampled_from(["", "en", "de", "es", "ja"])),
    min_size=1,
    max_size=14,
    unique_by=lambda made: (made[0], made[1]),
)
QUESTIONS = st.lists(TEXTS, min_size=1, max_size=4)


def passages(made: list[tuple[str, str, str]]) -> list[Chunk]:
    return [
        chunk(text, title=title, language=language, key=f"{title}/{text}") for text, title, language in made
    ]


def answers(lexical: Lexical, questions: list[str], sources: AbstractSet[str]) -> list[object]:
    """All that anybody can learn."""
    words = lexical.within(sources)
    return [
        (
            [lexical.search(question, sources=sources, k=k) for k in (1, 3, 50)],
            words.corrected(question + " hotesl travle bosrd"),
            words.document_frequency(words.analyse(question)),
            words.document_count,
        )
        for question in questions
    ]


@settings(max_examples=60, deadline=None)
@given(PASSAGES, QUESTIONS, st.randoms(use_true_random=False))
def test_the_same_passages_in_many_sources_score_as_in_one(
    made: list[tuple[str, str, str]], questions: list[str], random: object
) -> None:
    whole = passages(made)
    names = [f"s{n}" for n in range(4)]
    parts = [replace(one, source=random.choice(names)) for one in whole]  # type: ignore[attr-defined]
    assert answers(indexed(parts), questions, frozenset(names)) == answers(indexed(whole), questions, DOCS)


@settings(max_examples=30, deadline=None)
@given(PASSAGES, st.lists(st.sets(st.integers(0, 13)), min_size=1, max_size=6), QUESTIONS)
def test_whatever_came_before_an_index_is_as_if_made_anew(
    tmp_path_factory: pytest.TempPathFactory,
    made: list[tuple[str, str, str]],
    states: list[set[int]],
    questions: list[str],
) -> None:
    folder = tmp_path_factory.mktemp("words")
    whole = passages(made)
    lived = Lexical(folder)
    for revision, state in enumerate(states):
        live = [one for n, one in enumerate(whole) if n in state]
        lived.update(Passages(live), revision=revision)
        expected = answers(indexed(live), questions, DOCS)
        assert answers(lived, questions, DOCS) == expected
        restarted = Lexical(folder)
        restarted.update(Passages(live), revision=revision)
        assert answers(restarted, questions, DOCS) == expected
