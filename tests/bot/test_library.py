"""Files that people attach, and sources that are read, evaluated, changed and taken back."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from bot.config import Settings, load_settings
from bot.errors import UsageError
from bot.library import LONGEST_FILE, Library, open_library
from feedback.errors import QuestionFileError
from knowledge.errors import EvaluationDropError, LoadError, RerankingModelError
from knowledge.filters import parse
from knowledge.planning import Progress
from tests.knowledge.fakes import HashingEmbedder
from tests.knowledge.files import docx


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    file = tmp_path / "parley.toml"
    file.write_text("[llm]\nenabled = false\n", encoding="utf-8")
    with open_library(load_settings(file, {})) as opened:
        yield opened


def test_text_is_read_as_it_is_and_office_files_are_parsed(library: Library) -> None:
    assert library.read_file("notes.md", b"# Offsite\n\nIn Ljubljana.\n") == "# Offsite\n\nIn Ljubljana.\n"
    assert "In Ljubljana." in library.read_file("offsite.DOCX", docx("Offsite", "In Ljubljana."))
    assert "| a | b |" in library.read_file("table.csv", b"a;b\n1;2\n")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("photo.png", b"\x89PNG", r"photo\.png: I cannot read files of this type; .*csv, docx,.* pdf"),
        ("untitled", b"text", "untitled: I cannot read files of this type"),
        ("empty.md", b"", r"empty\.md: the file holds no text; fill or leave it out"),
        ("broken.pdf", b"%PDF-1.4 oh", r"broken\.pdf: the PDF is damaged .* leave it out"),
        (
            "long.txt",
            b"x" * (LONGEST_FILE + 1),
            r"long\.txt: .* 200,001 characters, .* the part that matters",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_way_out(
    name: str, content: bytes, reason: str, library: Library
) -> None:
    with pytest.raises(LoadError, match=reason):
        library.read_file(name, content)


def test_the_limits_of_files_are_settings(library: Library) -> None:
    knowledge = library.settings.knowledge.model_copy(update={"max_file_mb": 1})
    library.settings = library.settings.model_copy(update={"knowledge": knowledge})
    with pytest.raises(
        LoadError, match=r"^large\.md: the file has 2 MB, the limit is 1 MB; split it or leave it out$"
    ):
        library.read_file("large.md", b"x" * 2_000_000)


class Team:
    """A library of one folder, with a small embedding model of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.docs = folder / "docs"
        self.docs.mkdir()
        self.write("hotels", "# Hotels\n\nA hotel may cost 140 EUR a night.")
        self.write("trains", "# Trains\n\nBook trains two weeks ahead.")
        self.questions = folder / "questions.jsonl"
        self.questions.write_text(
            '{"id": "q1", "question": "what may a hotel cost?", "documents": ["hotels.md"], "fact": ["140"]}\n'
            '{"id": "q2", "question": "when do I book trains?", "documents": ["trains.md"], "fact": ["two"]}\n'
        )

    def write(self, name: str, text: str) -> None:
        (self.docs / f"{name}.md").write_text(text, encoding="utf-8")

    def settings(self, more: str = "") -> Settings:
        file = self.folder / "parley.toml"
        source = '[[sources]]\nname = "docs"\npath = "docs"\nevaluation = "questions.jsonl"\n'
        file.write_text(f"[llm]\nenabled = false\n{source}{more}", encoding="utf-8")
        return load_settings(file, {})


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    monkeypatch.setattr(
        "bot.library.SentenceTransformerEmbedder",
        lambda *_, **__: HashingEmbedder(dimension=256),
    )
    return Team(tmp_path)


def found(library: Library, query: str) -> list[str]:
    hits = library.search(query, sources=library.visible_to_everyone, top_k=5)
    return [hit.chunk.title for hit in hits]


def test_a_new_state_that_finds_less_is_stopped_forced_and_taken_back(team: Team) -> None:
    with open_library(team.settings()) as library:
        library.sync()
        first = library.evaluations.latest("docs")
        assert first is not None
        assert (first.found, first.questions, first.revision) == (2, 2, 1)

        (team.docs / "hotels.md").unlink()
        with pytest.raises(EvaluationDropError):
            library.sync()
        assert found(library, "hotel")[0] == "Hotels"
        assert library.evaluations.latest("docs") == first

        seen: list[Progress] = []
        library.sync(only="docs", force=True, on_progress=seen.append)
        assert found(library, "hotel") == ["Trains"]
        assert Progress("evaluate", 3, 4, "docs") in seen
        latest = library.evaluations.latest("docs")
        assert latest is not None
        assert (latest.found, latest.revision, latest.missed) == (1, 2, ("q1",))

        assert [source.name for source in library.rollback(dry_run=True).sources] == ["docs"]
        assert library.rollback().sources[0].added == 1
        assert found(library, "hotel")[0] == "Hotels"
        again = library.evaluate("docs")
        assert (again.found, again.revision) == (2, 3)
        assert library.evaluations.latest("docs") == again
        assert library.collect() == 0


def test_what_cannot_be_evaluated_says_why(team: Team) -> None:
    with open_library(team.settings('[[sources]]\nname = "plain"\npath = "docs"\n')) as library:
        with pytest.raises(UsageError, match=r"plain has no questions .* give it `evaluation`"):
            library.evaluate("plain")
        with pytest.raises(UsageError, match="Nothing of docs is indexed yet"):
            library.evaluate("docs")
        with pytest.raises(UsageError, match="no source named 'other'; the sources are: docs, plain"):
            library.evaluate("other")
        team.questions.write_text("broken")
        report = library.sync()
        notes = {source.name: source.note for source in report.sources}
        assert notes["docs"].startswith("Its questions were not tried")
        assert notes["plain"] == ""
        with pytest.raises(QuestionFileError):
            library.evaluate("docs")


def test_other_sources_are_taken_up_at_once(team: Team) -> None:
    settings = team.settings()
    with open_library(settings) as library:
        library.sync()
        held = library.visible_to
        (docs,) = settings.sources
        other = team.folder / "other"
        other.mkdir()
        (other / "vpn.md").write_text("# VPN\n\nStart the tunnel.")
        vpn = docs.model_copy(update={"name": "vpn", "path": other, "evaluation": None})

        library.set_sources([docs.model_copy(update={"paused": True}), vpn])
        assert held.keys() == {"docs", "vpn"}
        assert [source.name for source in library.settings.sources] == ["docs", "vpn"]
        team.write("hotels", "# Hotels\n\nNo limit any more.")
        assert [source.name for source in library.sync().sources] == ["vpn"]
        assert found(library, "tunnel")[0] == "VPN"
        assert [source.name for source in library.sync(only="docs").sources] == ["docs"]

        library.set_sources([vpn])
        assert "Hotels" not in found(library, "hotel")
        assert library.sync().removed_sources == ["docs"]
        with pytest.raises(UsageError, match="no source named 'docs'"):
            library.sync(only="docs")


def test_a_source_that_moves_is_searched_again_once_it_has_been_read(team: Team) -> None:
    settings = team.settings()
    with open_library(settings) as library:
        library.sync()
        other = team.folder / "other"
        other.mkdir()
        (other / "vpn.md").write_text("# VPN\n\nStart the tunnel.")
        library.set_sources([settings.sources[0].model_copy(update={"path": other, "evaluation": None})])
        assert found(library, "hotel") == []
        library.sync(dry_run=True)
        assert found(library, "hotel") == []
        library.sync()
        assert found(library, "hotel") == ["VPN"]


def test_a_search_can_be_narrowed_to_days_and_tags_and_may_prefer_what_is_young(team: Team) -> None:
    today = datetime.now(UTC).date()
    for name, day in (("old", date(2020, 1, 31)), ("young", today)):
        team.write(
            name, f"---\ndate: {day}\ntags: [pay]\n---\n# {name.title()}\n\nThe bonus is paid in {name} May."
        )
    settings = team.settings('tags = ["HR"]\n[knowledge]\nrecency = 30.0\n')
    with open_library(settings) as library:
        library.sync()
        sources = library.visible_to_everyone

        def titles(question: str) -> list[str]:
            tags = {name: library.source_tags[name] for name in sources}
            text, where = parse(question, sources=tags, today=today)
            return [hit.chunk.title for hit in library.search(text, sources=sources, top_k=5, where=where)]

        assert titles("since:2025 when is the bonus paid") == ["Young"]
        assert titles("before:2021 when is the bonus paid") == ["Old"]
        assert titles("tag:pay,hr when is the bonus paid") == ["Young", "Old"]
        assert "Hotels" in titles("tag:hr when is the bonus paid")
        assert titles("tag:nothing when is the bonus paid") == []


def test_a_reranker_that_is_not_there_is_told_by_the_search(team: Team) -> None:
    (team.folder / "judge").mkdir()
    with open_library(team.settings('[knowledge]\nreranker = "judge"\n')) as library:
        library.sync()
        with pytest.raises(RerankingModelError, match=r"judge cannot be loaded.*knowledge\.reranker"):
            found(library, "hotel")
