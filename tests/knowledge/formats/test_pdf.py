import pytest

from knowledge.formats.converted import ConversionError
from knowledge.formats.pdf import convert
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
