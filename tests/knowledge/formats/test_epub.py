import pytest

from knowledge.formats.converted import ConversionError
from knowledge.formats.epub import convert
from knowledge.markdown import headings
from tests.knowledge.formats.making import archive, epub

BOMB = '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
STATED = (
    "<dc:title>Travel guide</dc:title><dc:creator>Ada</dc:creator><dc:creator>Bob</dc:creator>"
    "<dc:date>2023</dc:date><dc:subject>travel</dc:subject><dc:subject>hotels</dc:subject>"
    '<meta property="dcterms:modified">2024-05-01T10:20:00Z</meta>'
)


def test_chapters_in_reading_order() -> None:
    book = epub(
        "<h1>Start</h1><p>Hello</p>", "<h1 id='c2'>Rates</h1><p>At most <i>140</i>.</p>", metadata=STATED
    )
    page = convert(book, suffix=".epub")
    assert page.title == "Travel guide"
    assert page.metadata == {
        "author": "Ada, Bob",
        "date": "2024-05-01T10:20:00+00:00",
        "tags": "travel, hotels",
    }
    assert page.text == "# Start\n\nHello\n\n# Rates {#c2}\n\nAt most *140*."
    assert [found.anchor for found in headings(page.text)] == ["", "c2"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (epub("<p>x</p>")[:300], "damaged or cut off; replace or exclude it"),
        (
            archive({"mimetype": "application/epub+zip"}),
            "the book is damaged or cut off; replace or exclude it",
        ),
        (archive({"META-INF/container.xml": "<container/>"}), "the book is damaged or cut off"),
        (epub("<p>x</p>", extra={"META-INF/rights.xml": "<rights/>"}), "the book is encrypted by its seller"),
        (epub("<p>x</p>", extra={"META-INF/container.xml": BOMB}), "its XML declares entities"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_bad_books(data: bytes, reason: str) -> None:
    with pytest.raises(ConversionError, match=reason):
        convert(data, suffix=".epub")
