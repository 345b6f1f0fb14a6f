"""Web pages to Markdown, without what surrounds the text."""

import io
import re
from typing import Any

from knowledge.formats.converted import ConversionError, Converted
from knowledge.formats.properties import as_date, properties

_BOILERPLATE = (
    "script, style, nav, footer, noscript, template, iframe, input, select, button, textarea, "
    "[role=navigation], [role=search], [hidden]"
)
"""Not `form`, in which some systems (ASP.NET, SharePoint) put the whole page."""
_EMBEDDED_IMAGE = re.compile(r"!\[[^\]]*\]\(data:[^)]*\)")
_DATES = (
    "article:modified_time", "og:updated_time", "dcterms.modified", "last-modified", "revised", "datemodified",
    "article:published_time", "dcterms.date", "dc.date", "date", "dcterms.created", "pubdate", "publish-date",
    "datepublished",
)  # fmt: skip
"""Names of a page's properties that say when it was last changed, or else published, best first."""
_AUTHORS = ("author", "article:author", "dcterms.creator", "dc.creator", "byl")
_TAGS = ("keywords", "article:tag", "dcterms.subject", "dc.subject")
_TITLES = ("og:title", "dcterms.title", "dc.title")
STATED = frozenset({*_DATES, *_AUTHORS, *_TAGS, *_TITLES})
"""Names of the properties of a page that are made something of, in small letters."""


def convert(data: bytes, *, suffix: str) -> Converted:
    """The content of the page's main part; the headings keep their ids as anchors."""
    if data[:8192].count(0) > len(data[:8192]) // 2 or data.startswith((b"PK\x03\x04", b"%PDF-", b"\x7fELF")):
        raise ConversionError("this is no HTML although its name says so; replace or exclude it")
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(data, "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    stated = _stated(soup)
    metadata = properties(
        author=_first(stated, _AUTHORS, without="://"),
        date=next(filter(None, (as_date(value) for name in _DATES for value in stated.get(name, ()))), ""),
        tags=", ".join(value for name in _TAGS for value in stated.get(name, ())),
    )
    return Converted(main_text(soup), title or _first(stated, _TITLES), metadata)


def main_text(soup: Any) -> str:
    """The Markdown of a page's main part; the page is changed by it."""
    for element in soup.select(_BOILERPLATE):
        element.decompose()
    for aside in soup.select("aside"):
        # Within the text it is a note, elsewhere what stands in the margin.
        if not aside.decomposed and not _is_within_text(aside):
            aside.decompose()
    for heading in soup.select("h1, h2, h3, h4, h5, h6"):
        for link in heading.select("a"):
            if not link.get_text(strip=True).strip("#¶§🔗"):
                link.decompose()
        if heading.get("id"):
            heading.append(f" {{#{heading['id']}}}")
    main = soup.select_one("main, [role=main]") or soup.select_one("article")
    # A page whose <main> is filled by a script keeps its text elsewhere.
    if main is not None and len(main.get_text(strip=True)) < len(soup.get_text(strip=True)) // 4:
        main = None
    return markdown_of(str(main or soup))


def _is_within_text(element: Any) -> bool:
    return any(
        parent.name in {"main", "article"} or parent.get("role") == "main" for parent in element.parents
    )


def markdown_of(html: str) -> str:
    """The Markdown of a piece of HTML, as it is."""
    from markitdown import StreamInfo
    from markitdown.converters import HtmlConverter

    page = io.BytesIO(html.encode("utf-8", "replace"))
    text = HtmlConverter().convert(page, StreamInfo(extension=".html", charset="utf-8")).markdown
    return without_embedded_images(text)


def without_embedded_images(text: str) -> str:
    """Pictures that are part of the file show nothing in a text."""
    return _EMBEDDED_IMAGE.sub("", text)


def _stated(soup: Any) -> dict[str, list[str]]:
    """What the page's `meta` elements say, by their name in small letters."""
    stated: dict[str, list[str]] = {}
    for element in soup.find_all("meta", limit=500):
        name = (
            element.get("name")
            or element.get("property")
            or element.get("itemprop")
            or element.get("http-equiv")
        )
        content = element.get("content")
        if isinstance(name, str) and isinstance(content, str) and content.strip():
            stated.setdefault(name.strip().lower(), []).append(content.strip())
    return stated


def _first(stated: dict[str, list[str]], names: tuple[str, ...], *, without: str = "\0") -> str:
    return next((value for name in names for value in stated.get(name, ()) if without not in value), "")
