import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowledge import loaders
from knowledge.conversion import Converted
from knowledge.documents import Document
from knowledge.errors import LoadError
from knowledge.loaders import Loader, document_id, readable_stem, split_front_matter
from knowledge.sources import SourceFile
from tests.knowledge.files import docx, pdf, pptx, xlsx


@pytest.fixture(scope="module")
def loader() -> Iterator[Loader]:
    with Loader() as opened:
        yield opened


def load(loader: Loader, folder: Path, name: str, data: bytes) -> Document:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    file = SourceFile(name, str(path), path)
    return loader.load(file, loader.read(file), source="docs")


def test_markdown_with_front_matter(loader: Loader, tmp_path: Path) -> None:
    text = "---\ntitle: Per diem\ntags: [a, b]\ndate: 2024-05-01\nnone:\nmap: {x: 1}\n---\n# Rates\n\nText.\n"
    document = load(loader, tmp_path, "travel/per_diem.md", text.encode())
    assert document == Document(
        id=document_id("docs", "travel/per_diem.md"),
        source="docs",
        title="Per diem",
        uri=str(tmp_path / "travel/per_diem.md"),
        text="# Rates\n\nText.\n",
        metadata={"title": "Per diem", "tags": "a, b", "date": "2024-05-01"},
    )


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nA rule at the start.\n\n---\n",
        "---\nkey: [open\n---\ntext",
        "---\n- a\n---\ntext",
        "--- text",
        "---\nx: 1\n",
    ],
)
def test_what_is_no_front_matter_stays_text(text: str) -> None:
    assert split_front_matter(text) == ({}, text)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Intro\n\n# The *real* title\n\n# Second", "The real title"),
        ("```\n# comment\n```\n\n## Only second level", "Per diem rates"),
        ("Underlined\n==========\n\ntext", "Underlined"),
    ],
)
def test_titles(loader: Loader, tmp_path: Path, text: str, title: str) -> None:
    assert load(loader, tmp_path, "per-diem_rates.md", text.encode()).title == title


def test_readable_stem() -> None:
    assert readable_stem("travel/per-diem_rates.md") == "Per diem rates"
    assert readable_stem("travel/README.md") == "Travel"
    assert readable_stem("README.md") == "README"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(loader: Loader, tmp_path: Path, encoding: str) -> None:
    text = "Größe und Maß für Übernachtungen: höchstens 140 Euro.\r\nSpäter gelten andere Sätze.\r\n"
    document = load(loader, tmp_path, "a.txt", text.encode(encoding))
    assert document.text == text.replace("\r\n", "\n")


def test_csv_becomes_a_table(loader: Loader, tmp_path: Path) -> None:
    document = load(loader, tmp_path, "city rates.csv", b"City;Limit\nParis;180|200\n\nRome\n")
    assert document.title == "City rates"
    assert document.text == "| City | Limit |\n| --- | --- |\n| Paris | 180\\|200 |\n| Rome |  |"


def test_html_without_boilerplate_and_with_anchors(loader: Loader, tmp_path: Path) -> None:
    page = """<html><head><title>Site: Travel</title><script>var x</script></head><body><nav>Menu</nav>
    <main><h1 id="top">Travel</h1><p>Book <b>early</b>.</p><h2 id="per_diem">Per diem<a href="#x">¶</a></h2>
    <table><tr><th>City</th></tr><tr><td>Rome</td></tr></table></main><footer>Imprint</footer></body></html>"""
    document = load(loader, tmp_path, "a.html", page.encode())
    assert document.title == "Travel"
    assert "Book **early**." in document.text
    assert "| Rome |" in document.text
    assert "{#per" in document.text
    for word in ("Menu", "Imprint", "var x", "¶"):
        assert word not in document.text


def test_word_files(loader: Loader, tmp_path: Path) -> None:
    document = load(loader, tmp_path, "a.docx", docx("Travel", "Book early."))
    assert document.title == "Travel"
    assert document.text.strip() == "# Travel\n\nBook early."


def test_slides_become_sections(loader: Loader, tmp_path: Path) -> None:
    document = load(loader, tmp_path, "a.pptx", pptx(("Kick-off", "Welcome"), ("", "No title here")))
    assert document.title == "Kick-off"
    assert document.text == "## Kick-off\n\nWelcome\n\n## Slide 2\n\nNo title here"


def test_sheets_become_tables(loader: Loader, tmp_path: Path) -> None:
    sheets = xlsx(Rates=[["City", "Limit"], [None, None], ["Paris", 180.0], ["Rome", None]], Empty=[])
    document = load(loader, tmp_path, "rates.xlsx", sheets)
    assert document.title == "Rates"
    assert document.text == "## Rates\n\n| City | Limit |\n| --- | --- |\n| Paris | 180 |\n| Rome |  |"


def test_notebooks(loader: Loader, tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "Text"]},
        {"cell_type": "code", "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1\n"]}]},
        {"cell_type": "code", "source": "", "outputs": [{"data": {"image/png": "..."}}]},
    ]
    document = load(loader, tmp_path, "a.ipynb", json.dumps({"cells": cells, "nbformat": 4}).encode())
    assert document.title == "Study"
    assert document.text == "# Study\nText\n\n```python\nprint(1)\n```\n\n```text\n1\n```"


def test_a_plain_text_gets_its_headings_and_title(loader: Loader, tmp_path: Path) -> None:
    document = load(loader, tmp_path, "a.txt", b"HOUSE RULES\n\nDogs\nAre welcome on Tuesdays.\n")
    assert document.title == "HOUSE RULES"
    assert document.text == "# HOUSE RULES\n\n## Dogs\nAre welcome on Tuesdays.\n"


def test_a_pdf_gets_its_headings_and_tables(loader: Loader, tmp_path: Path) -> None:
    example = Path("examples/handbook/office/emergency-and-first-aid.pdf").read_bytes()
    lines = load(loader, tmp_path, "a.pdf", example).text.splitlines()
    assert lines[0] == "# Emergency and first aid"
    assert "## Fire alarm" in lines
    assert "| Munich | gravel yard behind the tram depot | Gustav Nightingale |" in lines


def test_pdf_pages_are_told_apart(loader: Loader, tmp_path: Path) -> None:
    document = load(loader, tmp_path, "a.pdf", pdf("First page", "Second page", title="Travel"))
    assert document.title == "Travel"
    assert [page.strip() for page in document.text.split("\f")][:2] == ["First page", "Second page"]


WHOLE_PDF = pdf(*["Some text"] * 20)

BAD_FILES = {
    "empty.md": (b"", "the file is empty"),
    "blank.md": (b" \n\n", "holds no text"),
    "front.md": (b"---\ntitle: x\n---\n", "holds no text"),
    "binary.md": (b"\x7fELF\x00\x01\x02" * 50, "this is no text file although its name says so"),
    "noise.txt": (bytes(range(128, 256)) * 20 + b"\x00", "this is no text file although its name says so"),
    "encrypted.pdf": (
        pdf("Secret", encrypted=True),
        "the file is encrypted; remove its password or exclude it",
    ),
    "cut.pdf": (WHOLE_PDF[: len(WHOLE_PDF) // 8], "the PDF is damaged or cut off"),
    "text.pdf": (b"just text", "this is no PDF although its name says so"),
    "scan.pdf": (pdf(""), "run text recognition"),
    "encrypted.docx": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600,
        "the file is encrypted or in the format",
    ),
    "cut.docx": (docx("a", "b")[:200], "the file is damaged or cut off"),
    "wrong.xlsx": (docx("a", "b"), "the file is no XLSX that can be read"),
    "bad.ipynb": (b"{]", "no valid JSON"),
    "quote.csv": (b'a,b\n"' + b"x" * 200_000, "no valid CSV"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named_with_the_reason(loader: Loader, tmp_path: Path, name: str) -> None:
    data, reason = BAD_FILES[name]
    with pytest.raises(LoadError) as caught:
        load(loader, tmp_path, name, data)
    assert str(caught.value).startswith(f"{name}: ")
    assert reason in str(caught.value)


def test_large_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"a.md: the file has 0 MB, the limit is 0 MB; split it"):
        load(Loader(max_bytes=3), tmp_path, "a.md", b"text")
    file = SourceFile("gone.md", "/gone.md", tmp_path / "gone.md")
    with pytest.raises(LoadError, match=r"gone.md: the file cannot be read \(no such file"):
        Loader().read(file)


def hang(suffix: str, data: bytes) -> Converted:
    time.sleep(60)
    return Converted("")


def crash(suffix: str, data: bytes) -> Converted:
    os._exit(11)


def explode(suffix: str, data: bytes) -> Converted:
    return Converted(str(bytearray(40 * 2**30)))


@pytest.mark.parametrize(
    ("parser", "reason"),
    [(hang, "did not finish within 0.5 s"), (crash, "parser crashed"), (explode, "ran out of memory")],
)
def test_a_bad_parser_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parser: object, reason: str
) -> None:
    with Loader(timeout_s=0.5) as loader:
        with monkeypatch.context() as patch:
            patch.setattr(loaders, "convert", parser)
            with pytest.raises(LoadError, match=f"a.docx: its parser.*{reason}|a.docx: its {reason}"):
                load(loader, tmp_path, "a.docx", docx("a", "b"))
        loader.timeout_s = 60
        assert load(loader, tmp_path, "b.docx", docx("Works", "again")).title == "Works"


def test_text_needs_no_worker(tmp_path: Path) -> None:
    with Loader() as loader:
        load(loader, tmp_path, "a.md", b"text")
        assert loader._pool is None
