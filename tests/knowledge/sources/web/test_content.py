import pytest

from knowledge.conversion import convert
from knowledge.sources.web.content import read_html

TEXT = "A night may cost 140 EUR with breakfast, and the bill names the firm as its payer. "
URL = "https://docs.example.org/guide/"


def read(html: str, *, charset: str = "utf-8", encoding: str = "utf-8") -> str:
    content = read_html(html.encode(encoding), charset=charset, url=URL)
    return convert(".html", content.html).text


def menu(*classes: str) -> str:
    return "".join(
        f'<div class="{name}"><ul>'
        + "".join(f'<li><a href="/{n}">{name} {n}</a></li>' for n in range(12))
        + "</ul></div>"
        for name in classes
    )


def test_the_content_keeps_its_form_and_the_menus_go() -> None:
    text = read(
        f"""<body>{menu("Products", "Company")}<div id="wrap"><div id="page">
        <h2 id="rates">Rates</h2><p>{TEXT}</p><p>{TEXT[::-1]}</p>
        <table><tr><th>City</th><th>EUR</th></tr><tr><td>Bonn</td><td>140</td></tr></table>
        <pre><code class="language-sh">book --city Bonn
  --nights 2</code></pre><p>See <a href="other">the other page</a>.</p></div></div>{menu("Related")}</body>"""
    )
    assert "Products" not in text
    assert "Related" not in text
    assert "## Rates {#rates}" in text
    assert "| Bonn | 140 |" in text
    assert "book --city Bonn\n  --nights 2" in text
    assert "https://docs.example.org/guide/other" in text


def test_author_date_and_tags_stay_with_the_page() -> None:
    html = f"""<head><meta name="Author" content="Ida Berg"><meta property="article:modified_time"
        content="2026-03-01T08:00:00Z"><meta name="keywords" content="travel, rates"><meta name="nonce" content="1">
        </head><body><main><p>{TEXT}</p></main></body>"""
    content = read_html(html.encode(), charset="utf-8", url=URL)
    assert b"nonce" not in content.html
    metadata = convert(".html", content.html).metadata
    assert metadata["author"] == "Ida Berg"
    assert metadata["date"].startswith("2026-03-01")
    assert metadata["tags"] == "travel, rates"


def test_a_heading_above_the_content_belongs_to_it() -> None:
    text = read(
        f"<body><div><h1>Hotels</h1></div><div><div><p>{TEXT}</p><p>{TEXT * 2}</p></div></div></body>"
    )
    assert text.startswith("# Hotels")


def test_a_page_that_cannot_be_judged_is_kept_whole() -> None:
    assert "Yes" in read("<body><p>Yes</p></body>")
    assert "plain words" in read("plain words")


def test_what_changes_with_each_request_is_left_out() -> None:
    def page(token: str) -> bytes:
        html = f"""<head><meta name="csrf" content="{token}"><script nonce="{token}">x("{token}")</script></head>
        <body data-token="{token}"><!-- {token} --><p class="{token}" style="x: {token}">{TEXT}</p>
        <img src="/i.png?signed={token}" alt="A bed"><form><input type="hidden" value="{token}"></form></body>"""
        return read_html(html.encode(), charset="", url=URL).html

    assert page("one") == page("two")
    assert b"A bed" in page("one")


def test_links_are_absolute_and_each_once() -> None:
    html = b"""<base href="/other/"><a href="a">a</a><a href="a">again</a><a href="https://h/x">x</a><a name="y">y</a>
    <a href="http://[bad">bad</a><map><area href="#z"></map>"""
    links = read_html(html, charset="", url=URL).links
    assert links == (
        "https://docs.example.org/other/a",
        "https://h/x",
        "https://docs.example.org/other/#z",
    )


def test_encodings() -> None:
    assert "Müsli" in read("<p>Müsli</p>", charset="")
    assert "Müsli" in read("<p>Müsli</p>", charset="iso-8859-1", encoding="latin-1")
    assert "Müsli" in read('<meta charset="windows-1252"><p>Müsli</p>', charset="", encoding="cp1252")
    assert "Müsli" in read("<p>Müsli</p>", charset="", encoding="cp1252")
    assert "Müsli" in read("<p>Müsli</p>", charset="no-such-charset")


def test_an_empty_page_is_no_page() -> None:
    with pytest.raises(ValueError, match="empty"):
        read("")
