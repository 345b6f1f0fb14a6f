import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowledge import loaders
from knowledge.conversion import Converted
from knowledge.documents import Document
from knowledge.errors import KnowledgeError, LoadError
from knowledge.loaders import Loaded, Loader, document_id, file_hash, readable, readable_stem
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
    size = "a.md: the file has 0 MB, the limit is 0 MB; split it or exclude it"
    with pytest.raises(LoadError, match=f"^{size}, or raise knowledge.max_file_mb$"):
        load(Loader(max_bytes=3), tmp_path, "a.md", b"text")
    with pytest.raises(LoadError, match=f"^{size}$"):  # somebody attached it, who sets nothing
        Loader(max_bytes=3).load_bytes("a.md", b"text")
    file = SourceFile("gone.md", "/gone.md", tmp_path / "gone.md")
    with pytest.raises(LoadError, match=r"gone.md: the file cannot be read \(no such file"):
        Loader().read(file)
    file = SourceFile("bad.md", "/bad.md", tmp_path / "a.md", problem="it is bad; exclude it")
    with pytest.raises(LoadError, match=r"^bad.md: it is bad; exclude it$"):
        Loader().read(file)


def test_text_has_a_limit_of_its_own(loader: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "MAX_CHARACTERS", 5)
    with pytest.raises(LoadError, match=r"a.md: the file holds 6 characters of text, the limit is 5; split"):
        load(loader, tmp_path, "a.md", b"123456")


def misbehave(path: str, data: bytes) -> Converted:
    """Does what the first line of the file says."""
    match data.split(b"\n")[0]:
        case b"hang":
            time.sleep(600)
        case b"exit":
            os._exit(11)
        case b"leave":
            sys.exit(0)
        case b"killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"explode":
            bytearray(40 * 2**30)
        case b"raise":
            raise KeyError(path)
    return readable(path, data)


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (
            "hang",
            (
                "its parser did not finish within 0.5 s; simplify, split or exclude the file, or raise "
                "knowledge.file_timeout"
            ),
        ),
        ("exit", "its parser crashed; repair, split or exclude the file"),
        ("leave", "the file is no TXT that can be read (SystemExit); repair or exclude it"),
        (
            "killed",
            "its parser was killed, most likely for want of memory; repair, split or exclude the file",
        ),
        ("explode", "its parser ran out of memory; split or exclude the file"),
        ("raise", "the file is no TXT that can be read (KeyError); repair or exclude it"),
    ],
)
def test_a_bad_parser_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str, reason: str
) -> None:
    monkeypatch.setattr(loaders, "readable", misbehave)
    monkeypatch.setattr(loaders, "PLAIN_TYPES", frozenset())
    with Loader(timeout_s=0.5 if deed == "hang" else 60) as loader:
        with pytest.raises(LoadError) as caught:
            load(loader, tmp_path, "a.txt", deed.encode())
        assert str(caught.value) == f"a.txt: {reason}"
        loader.timeout_s = 60
        assert load(loader, tmp_path, "b.txt", b"Works again.").text == "Works again."


def test_a_long_pdf_gets_more_time_where_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaders, "readable", misbehave)
    monkeypatch.setattr(loaders, "_PIECE_S", 0.125)
    with Loader(timeout_s=0.25) as loader:
        for pages, limit in ((0, "0.25"), (2, "0.5"), (1_000, "2.5")):
            with pytest.raises(LoadError, match=rf"not finish within {limit} s; .*knowledge\.file_timeout$"):
                load(loader, tmp_path, "a.pdf", b"hang\n" + b"endstream\n" * pages)
        with pytest.raises(
            LoadError, match=r"not finish within 0\.25 s; simplify, split or exclude the file$"
        ):
            loader.load_bytes("a.pdf", b"hang\nendstream\nendstream\n")


def test_no_process_means_that_nothing_is_wrong_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Loader() as loader, pytest.raises(KnowledgeError, match="No process can be started") as caught:
        load(loader, tmp_path, "a.csv", b"a,b\n1,2\n")
    assert not isinstance(caught.value, LoadError)


@pytest.mark.parametrize(
    ("name", "data", "needs"),
    [
        ("a.md", b"text", False),
        ("a.txt", "Größe".encode(), False),
        ("a.md", b"---\ntitle: x\n---\ntext", True),
        ("a.md", b"\xef\xbb\xbf---\ntitle: x\n---\ntext", True),
        ("a.md", b"text " * 100_000, True),
        ("a.csv", b"a,b\n1,2\n", True),
    ],
)
def test_only_short_text_that_is_not_parsed_needs_no_worker(
    tmp_path: Path, name: str, data: bytes, needs: bool
) -> None:
    with Loader() as loader:
        load(loader, tmp_path, name, data)
        assert (loader._workers is not None) == needs


def test_many_files_are_loaded_in_their_order_and_each_with_its_outcome(tmp_path: Path) -> None:
    files = []
    for number in range(40):
        name = f"{number}.{'csv' if number % 3 else 'md'}"
        data = b"" if number % 10 == 7 else b"\0" * 50 if number % 10 == 8 else f"a,b\n{number},2".encode()
        (tmp_path / name).write_bytes(data)
        files.append((SourceFile(name, name, tmp_path / name), "docs"))
    with Loader(processes=2) as loader:
        loaded = list(loader.load_all(files))
        singly = []
        for file, source in files:
            content_hash = ""
            try:
                data = loader.read(file)
                content_hash = file_hash(file, data)
                singly.append(Loaded(content_hash, loader.load(file, data, source=source)))
            except LoadError as error:
                singly.append(Loaded(content_hash, error))
    assert [(each.content_hash, str(each.result)) for each in loaded] == [
        (each.content_hash, str(each.result)) for each in singly
    ]
    assert sum(isinstance(each.result, Document) for each in loaded) == 32


def test_whoever_has_had_enough_is_not_held_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "readable", misbehave)
    files = []
    for name, text in (("a.md", "text"), ("b.csv", "hang"), ("c.csv", "hang"), ("d.csv", "a,b")):
        (tmp_path / name).write_text(text)
        files.append((SourceFile(name, name, tmp_path / name), "docs"))
    with Loader(timeout_s=600, processes=2) as loader:
        loaded = loader.load_all([*files, *files, *files, *files])
        assert isinstance(next(loaded).result, Document)
        loaded.close()
        (document,) = loader.load_all(files[:1])
        assert isinstance(document.result, Document)
