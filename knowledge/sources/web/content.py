"""What a page says, without what surrounds it on every page, and where it leads.

trafilatura judges which text is the page's own. Its own rendering is not used, because it breaks code and drops the
tables of documentation; the element that holds the judged text is handed on as it stands, for `knowledge.conversion`.

Runs inside a worker process that may be killed: nothing here is trusted to end or to stay small.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from knowledge.formats.html import STATED

CONTENT_VERSION = 2
"""Raise it when the same page gives something else: pages that were kept are then fetched anew."""
_SHARE = 0.95
"""Of the judged text, what an element must hold to be the page's content. 0.9 and 0.98 found the same."""
_LINKED = 0.5
"""Share of linked text from which an element without any judged text is a menu."""
_TELLING = 25
"""Letters of a line of judged text from which it is looked for."""
_MENUS = frozenset({"div", "section", "ul", "ol", "aside", "nav", "header", "footer", "form", "table", "dl"})
_HOMES = frozenset({"div", "section", "article", "main", "body"})
_SILENT = ("script", "style", "noscript", "template", "svg", "iframe", "object", "link", "meta")
_KEPT = frozenset({
    "id", "name", "href", "alt", "title", "role", "hidden", "colspan", "rowspan", "start", "type", "lang", "dir",
})  # fmt: skip
"""Attributes that mean something; others change from one request to the next."""
_MOST_STATED = 50
_WORD = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class Content:
    """What a page of HTML says."""

    html: bytes
    """A whole page, in UTF-8, of its title and its content."""
    links: tuple[str, ...]
    """Where it leads, each once, absolute."""


def read_html(data: bytes, *, charset: str, url: str) -> Content:
    """`charset` is what the website says of the page, or empty; raises ValueError when there is nothing in it."""
    import lxml.html
    from lxml import etree

    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        page = lxml.html.document_fromstring(
            _decoded(data, charset).encode("utf-8", "replace"), parser=parser
        )
    except etree.LxmlError as error:
        raise ValueError("the page is empty") from error
    page.make_links_absolute(_base(page, url), resolve_base_href=False, handle_failures="discard")
    links = dict.fromkeys(
        str(link) for link in page.xpath("//a/@href | //area/@href | //iframe/@src | //frame/@src")
    )
    title = " ".join(str(page.findtext(".//title") or "").split())
    stated = [element for element in page.iter("meta") if _property(element) in STATED][:_MOST_STATED]
    content = _content(page)
    shell = lxml.html.document_fromstring('<html><head><meta charset="utf-8"><title></title></head><body>')
    shell.find(".//title").text = title
    shell.head.extend(stated)
    shell.body.append(_cleaned(content))
    return Content(lxml.html.tostring(shell, encoding="utf-8", doctype="<!DOCTYPE html>"), tuple(links))


def _property(element: Any) -> str:
    """What an element `meta` says something of, in small letters."""
    return (element.get("name") or element.get("property") or element.get("itemprop") or "").strip().lower()


def _base(page: Any, url: str) -> str:
    """What relative links are relative to; the elements that say so go, as lxml fails at odd links beside them."""
    base = url
    for element in page.xpath("//base"):
        with suppress(ValueError):
            base = urljoin(base, element.get("href", ""))
        element.drop_tree()
    return base


def _decoded(data: bytes, charset: str) -> str:
    from bs4.dammit import EncodingDetector

    for encoding in (charset, EncodingDetector.find_declared_encoding(data, is_html=True), "utf-8"):
        try:
            return data.decode(encoding or "utf-8")
        except (LookupError, UnicodeDecodeError):
            continue
    return data.decode(charset if _is_known(charset) else "cp1252", "replace")


def _is_known(charset: str) -> bool:
    import codecs

    try:
        codecs.lookup(charset)
    except (LookupError, ValueError):
        return False
    return bool(charset)


def _content(page: Any) -> Any:
    """The innermost element that holds nearly all judged text; the whole page when nothing can be judged."""
    body = page.body if page.body is not None else page
    lines = _judged(page)
    held = _held(body, lines)
    if not held:
        return body
    element = body
    while len(element):
        fullest = max(element, key=lambda child: _held(child, lines))
        if _held(fullest, lines) < _SHARE * held:
            break
        element = fullest
    while element.tag not in _HOMES and element.getparent() is not None:
        element = element.getparent()
    _drop_menus(element, lines)
    headings = page.xpath("//h1")
    if len(headings) == 1 and not element.xpath("descendant-or-self::h1"):
        headings[0].tail = None
        element.insert(0, headings[0])
    return element


def _judged(page: Any) -> list[str]:
    from copy import deepcopy

    import trafilatura

    text = trafilatura.extract(
        deepcopy(page), output_format="txt", include_comments=False, include_tables=True
    )
    lines = (_plain(line) for line in (text or "").splitlines())
    return [line for line in lines if len(line) >= _TELLING]


def _held(element: Any, lines: list[str]) -> int:
    """Letters of those lines that are in the element."""
    text = _plain(element.text_content()) if isinstance(element.tag, str) else ""
    return sum(len(line) for line in lines if line in text)


def _drop_menus(content: Any, lines: list[str]) -> None:
    for element in list(content.iter(*_MENUS)):
        if element is content or not any(parent is content for parent in element.iterancestors()):
            continue
        text = _plain(element.text_content())
        linked = sum(len(_plain(link.text_content())) for link in element.iter("a"))
        if linked > _LINKED * len(text) and not any(line in text for line in lines):
            element.drop_tree()


def _cleaned(content: Any) -> Any:
    for element in list(content.iter(*_SILENT)):
        if element is not content:
            element.drop_tree()
    for element in content.iter():
        is_code = element.tag in {"pre", "code"}  # whose class names the language
        for name in set(element.attrib) - _KEPT - ({"class"} if is_code else set()):
            del element.attrib[name]
        if element.tag == "img":  # an address of a picture may be another one each time
            element.tag, element.text = "span", element.get("alt", "")
    if content.tag == "body":
        content.tag = "div"
    content.tail = None
    return content


def _plain(text: str) -> str:
    return _WORD.sub(" ", text).strip().casefold()
