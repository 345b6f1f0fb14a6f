"""The gate before a publication: what it sees, and what happens when it refuses."""

from pathlib import Path

import pytest

from knowledge.candidate import Candidate
from knowledge.documents import Chunk
from knowledge.errors import IndexOutdatedError, KnowledgeError
from knowledge.index import Index
from knowledge.lexical import Lexical
from knowledge.manifest import Manifest
from knowledge.planning import Progress
from knowledge.retriever import Retriever
from knowledge.sources import FolderSource
from tests.knowledge.fakes import HashingEmbedder
from tests.knowledge.setting import EVERYONE, Setting


class RefusedError(KnowledgeError):
    pass


class Watch:
    """A gate that remembers what it was asked, and what was found."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.asked: list[Candidate] = []
        self.before: list[str] = []
        self.after: list[str] = []

    def __call__(self, candidate: Candidate) -> None:
        self.asked.append(candidate)
        self.before, self.after = texts(candidate.before), texts(candidate.after)
        if self.refuses:
            raise RefusedError


def texts(retriever: Retriever) -> list[str]:
    hits = retriever.search("alpha", sources=frozenset({"docs", "second"}), top_k=8)
    return sorted(hit.chunk.text for hit in hits)


def test_both_states_are_searched_before_one_takes_the_place_of_the_other(setting: Setting) -> None:
    setting.write(a="alpha", b="beta")
    watch = Watch()
    setting.sync(gate=watch)
    (first,) = watch.asked
    assert (first.changed, first.new, first.revision) == (frozenset({"docs"}), frozenset({"docs"}), 1)
    assert (watch.before, watch.after) == ([], ["alpha", "beta"])

    setting.write(a="alpha two", c="gamma")
    (setting.root / "b.md").unlink()
    setting.sync(gate=watch)
    _, second = watch.asked
    assert (second.changed, second.new, second.revision) == (frozenset({"docs"}), frozenset(), 2)
    assert (watch.before, watch.after) == (["alpha", "beta"], ["alpha two", "gamma"])
    assert setting.manifest.state().revision == 2
    assert setting.texts() == watch.after


def test_words_of_the_candidate_are_known_to_its_search_alone(setting: Setting) -> None:
    setting.write(a="telescope")
    setting.sync()
    setting.write(a="microscope")

    def gate(candidate: Candidate) -> None:
        for retriever, word in ((candidate.before, "telescope"), (candidate.after, "microscope")):
            retriever.prepare()
            words = retriever.lexical.within({"docs"})
            assert any(words.document_frequency(words.analyse(word)).values())
            assert words.document_count == 1

    setting.sync(gate=gate)


def test_a_gate_is_not_asked_when_no_document_changes(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    watch = Watch()
    setting.sync(gate=watch)
    setting.sync(dry_run=True, gate=watch)
    setting.write(broken="\0")
    setting.sync(gate=watch)
    assert watch.asked == []


def test_only_sources_that_change_and_stay_are_named(setting: Setting, tmp_path: Path) -> None:
    for name in ("second", "third"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "b.md").write_text("beta")
    docs = setting.sources[0]
    second = FolderSource("second", tmp_path / "second", EVERYONE)
    setting.write(a="alpha")
    setting.sources = [docs, second, FolderSource("third", tmp_path / "third", EVERYONE)]
    setting.sync()
    setting.sources = [docs, second]
    setting.write(a="alpha two")
    watch = Watch()
    setting.sync(gate=watch)
    assert watch.asked[0].changed == {"docs"}
    assert watch.after == ["alpha two", "beta"]


def test_a_refused_state_is_not_visible_and_costs_nothing_the_next_time(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    setting.write(a="alpha two", b="beta")
    refusing, watch = Watch(refuses=True), Watch()
    for _ in range(2):
        with pytest.raises(RefusedError):
            setting.sync(gate=refusing)
        assert setting.texts() == ["alpha"]
        assert setting.manifest.state().revision == 1
    assert setting.embedder.embedded == 3
    assert setting.sync(gate=watch).embedded == 0
    assert len(refusing.asked) == 2
    assert watch.after == ["alpha two", "beta"] == setting.texts()
    assert setting.vectors() == setting.kept()


def test_what_was_refused_stays_while_other_sources_are_read(setting: Setting, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    setting.sources.append(FolderSource("second", other, EVERYONE))
    setting.write(a="alpha")
    with pytest.raises(RefusedError):
        setting.sync(gate=Watch(refuses=True))
    (other / "b.md").write_text("beta")
    assert setting.sync(only="second").embedded == 1
    setting.index.collect()
    assert setting.sync().embedded == 0
    assert setting.texts() == ["alpha", "beta"]


def test_what_was_refused_is_forgotten_when_the_files_are_as_before(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    setting.write(a="alpha two")
    with pytest.raises(RefusedError):
        setting.sync(gate=Watch(refuses=True))
    setting.write(a="alpha")
    watch = Watch()
    setting.sync(gate=watch)
    assert watch.asked == []
    assert len(setting.manifest.versions()) == 1
    assert setting.vectors() == setting.kept()


def test_the_old_state_of_another_embedding_model_cannot_be_searched(setting: Setting) -> None:
    setting.write(a="alpha")
    setting.sync()
    setting.embedder = HashingEmbedder(name="other")

    def gate(candidate: Candidate) -> None:
        assert texts(candidate.after) == ["alpha"]
        with pytest.raises(IndexOutdatedError):
            texts(candidate.before)

    setting.sync(gate=gate)
    assert [text for _, text, _ in setting.search("alpha")] == ["A\nalpha"]


def test_the_words_of_a_new_state_are_there_before_people_see_it(setting: Setting, tmp_path: Path) -> None:
    setting.write(dogs="Dogs bark at night.", cats="Cats sleep by day.")
    seen: list[tuple[int, bool]] = []

    def note(progress: Progress) -> None:
        if progress.stage == "clean up":
            seen.append(
                (setting.manifest.state().revision, any((tmp_path / "words").glob("*/*/parley.json")))
            )

    lock = tmp_path / "index.lock"
    engine, store, embedder = setting.engine, setting.store, setting.embedder
    index = Index(engine, store, embedder, setting.settings, lock, words=tmp_path / "words")
    index.sync(setting.sources, on_progress=note)
    assert seen == [(0, True)]

    class Unread(Manifest):
        def find_keys(self, *_: object, **__: object) -> dict[str, list[Chunk]]:
            pytest.fail("the words are made again")

    lexical = Lexical(tmp_path / "words")
    lexical.update(Unread(engine), revision=1)
    assert lexical.document_count(sources=frozenset({"docs"})) == 2
