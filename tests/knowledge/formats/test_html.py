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


def test_a_page_that_is_one_form() -> None:
    page = """<body><form action="/site.aspx"><input type="hidden" value="dDwt"><h1>Travel</h1><p>Book early.</p>
    <select><option>English</option></select><button>Send</button><textarea>Say it</textarea></form>
    <form role="search">Find <input></form></body>"""
    assert convert(page.encode(), suffix=".html").text.strip() == "# Travel\n\nBook early."


@pytest.mark.parametrize(
    ("part", "end"), [("main", "main"), ("article", "article"), ("div role=main", "div")]
)
def test_notes_within_the_text_are_kept_and_what_stands_beside_it_is_not(part: str, end: str) -> None:
    page = f"""<aside>Latest news</aside><{part}><h1>Travel</h1><p>Book early, by the tool of the firm.</p>
    <section><aside class="admonition"><p>Never by phone.</p></aside></section></{end}>
    <aside>See also <aside>within</aside></aside>"""
    text = convert(page.encode(), suffix=".html").text
    assert "Never by phone." in text
    assert "news" not in text
    assert "See also" not in text
