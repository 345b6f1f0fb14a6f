import io
from pathlib import Path

import pytest
from markitdown import StreamInfo
from markitdown.converters import PdfConverter

from knowledge.formats.converted import ConversionError
from knowledge.formats.pdf import _read, convert
from tests.knowledge.files import pdf

WHOLE = pdf(*["Some text"] * 20)


def test_pages_and_title() -> None:
    page = convert(pdf("First page", "Second page", title="Travel"), suffix=".pdf")
    assert page.title == "Travel"
    assert [part.strip() for part in page.text.split("\f")][:2] == ["First page", "Second page"]
    assert page.metadata == {}


def test_what_the_file_says_about_itself() -> None:
    data = pdf("Text", title="Travel").replace(
        b"<< /Title (Travel) >>",
        b"<< /Title (Travel) /Author <FEFF0041006400E1> /Keywords (a; b) /CreationDate (D:20230101)"
        b" /ModDate (D:20240501102030+02'00') >>",
    )
    page = convert(data, suffix=".pdf")
    assert page.title == "Travel"
    assert page.metadata == {"author": "Adá", "date": "2024-05-01T10:20:30+02:00", "tags": "a, b"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pdf("Secret", encrypted=True), "the file is encrypted; remove its password or exclude it"),
        (WHOLE[: len(WHOLE) // 8], "the PDF is damaged or cut off; replace or exclude it"),
        (b"just text", "this is no PDF although its name says so; replace or exclude it"),
        (pdf(""), "the PDF holds no text, only pictures; run text recognition"),
    ],
)
def test_bad_files(data: bytes, reason: str) -> None:
    with pytest.raises(ConversionError, match=reason):
        convert(data, suffix=".pdf")


def row(*cells: str) -> str:
    """What `pdf` writes as a line with a cell every 150 points, and goes on in the next."""
    return ") Tj 150 0 Td (".join(cells) + f") Tj -{150 * (len(cells) - 1)} -20 Td ("


def test_pages_without_columns_are_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("gone through again")

    monkeypatch.setattr(PdfConverter, "convert", refuse)
    data = pdf(row("City of Bonn", "140 EUR") * 5, row("One line.") * 5)
    assert convert(data, suffix=".pdf").text.count("\f") == 2


def test_pages_with_columns_have_tables() -> None:
    rows = row("City", "Limit", "Until") + row("Bonn", "140", "May") * 4
    text = convert(pdf(rows), suffix=".pdf").text
    assert [cell.strip() for cell in text.split("\n")[2].split("|")] == ["", "Bonn", "140", "May", ""]


@pytest.mark.parametrize("path", sorted(Path("examples/handbook").rglob("*.pdf")), ids=lambda path: path.stem)
def test_the_text_is_that_of_markitdown(path: Path) -> None:
    data = path.read_bytes()
    text, _, has_columns = _read(data)
    assert not has_columns
    assert text == PdfConverter().convert(io.BytesIO(data), StreamInfo(extension=".pdf")).markdown


def test_a_number_that_stands_alone_belongs_to_what_follows_on_its_page() -> None:
    text = convert(pdf(row(".1") + row("The intent."), ".2", "Next page"), suffix=".pdf").text
    assert ".1 The intent." in text
    assert [part.strip() for part in text.split("\f")] == [".1 The intent.", ".2", "Next page", ""]
