import pytest

from knowledge.formats.converted import ConversionError
from knowledge.formats.html import convert


def test_what_a_page_says_about_itself() -> None:
    page = """<html><head><title>Site: Travel</title><meta name="Author" content="Ada">
    <meta name="keywords" content="travel, hotels"><meta property="article:published_time" content="2024-01-01">
    <meta property="article:tag" content="rates"><meta property="og:title" content="Travel">
    <meta property="article:modified_time" content="2024-05-01T10:20:00Z"></head><body><p>Text</p></body></html>"""
    found = convert(page.encode(), suffix=".html")
    assert found.title == "Site: Travel"
    assert found.metadata == {
        "author": "Ada",
        "date": "2024-05-01T10:20:00+00:00",
        "tags": "travel, hotels, rates",
    }
    assert found.text.strip() == "Text"


def test_a_date_that_is_none_gives_way_to_the_next() -> None:
    page = b'<meta name="last-modified" content="soon"><meta name="date" content="2024-05-01"><p>x</p>'
    assert convert(page, suffix=".html").metadata == {"date": "2024-05-01"}


def test_only_the_content_and_its_anchors() -> None:
    page = """<nav>Menu</nav><main><h2 id="rates">Rates<a href="#rates">#</a></h2><p>Book <b>early</b>.</p>
    <img src="data:image/png;base64,AAAA"></main><footer>Imprint</footer><script>x()</script>"""
    assert convert(page.encode(), suffix=".htm").text.strip() == "## Rates {#rates}\n\nBook **early**."


def test_encodings_by_the_page_itself() -> None:
    page = '<meta charset="shift_jis"><p>出張</p>'.encode("shift_jis")
    assert convert(page, suffix=".html").text.strip() == "出張"


def test_what_is_no_page() -> None:
    with pytest.raises(
        ConversionError, match="this is no HTML although its name says so; replace or exclude it"
    ):
        convert(b"PK\x03\x04" + b"\x00" * 100, suffix=".html")
