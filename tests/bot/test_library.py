"""Files that people attach, read and cut as the documents are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.config import load_settings
from bot.library import LONGEST_FILE, Library, open_library
from knowledge.errors import LoadError
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
