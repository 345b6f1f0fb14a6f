"""Electronic books (.epub) to Markdown, chapter by chapter in reading order."""

import posixpath
import zipfile
from typing import Any
from urllib.parse import unquote

from knowledge.formats.converted import ConversionError, Converted
from knowledge.formats.html import main_text
from knowledge.formats.ooxml import opened_archive
from knowledge.formats.properties import properties

_CONTAINER = "META-INF/container.xml"
_CONTAINERS = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_PAGES = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document"})


def convert(data: bytes, *, suffix: str) -> Converted:
    """Title and metadata from the package document."""
    from defusedxml import DefusedXmlException, ElementTree

    archive = opened_archive(data)
    names = set(archive.namelist())
    if "META-INF/rights.xml" in names or "META-INF/license.lcpl" in names:
        raise ConversionError("the book is encrypted by its seller; get it without protection or exclude it")
    try:
        container = ElementTree.fromstring(archive.read(_CONTAINER))
        path = next(container.iter(f"{_CONTAINERS}rootfile")).get("full-path", "")
        package = ElementTree.fromstring(archive.read(path))
        chapters = [_chapter(archive, name) for name in _reading_order(package, path) if name in names]
    except DefusedXmlException as error:
        raise ConversionError(
            "its XML declares entities, which no book needs; replace or exclude it"
        ) from error
    except (KeyError, StopIteration, ElementTree.ParseError, zipfile.BadZipFile, EOFError) as error:
        raise ConversionError("the book is damaged or cut off; replace or exclude it") from error
    changed = [
        meta.text for meta in package.iter(f"{_OPF}meta") if meta.get("property") == "dcterms:modified"
    ]
    metadata = properties(
        author=_texts(package, "creator"),
        date=next(iter(changed), "") or next(iter(_texts(package, "date")), ""),
        tags=_texts(package, "subject"),
    )
    title = next(iter(_texts(package, "title")), "")
    return Converted("\n\n".join(chapter for chapter in chapters if chapter), title, metadata)


def _reading_order(package: Any, path: str) -> list[str]:
    """Names within the archive."""
    folder = posixpath.dirname(path)
    pages = {
        item.get("id", ""): posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        for item in package.iter(f"{_OPF}item")
        if item.get("media-type") in _PAGES
    }
    order = [item.get("idref", "") for item in package.iter(f"{_OPF}itemref")]
    return [pages[name] for name in order if name in pages]


def _chapter(archive: zipfile.ZipFile, name: str) -> str:
    from bs4 import BeautifulSoup

    return main_text(BeautifulSoup(archive.read(name), "html.parser")).strip()


def _texts(package: Any, name: str) -> list[str]:
    return [text for element in package.iter(f"{_DC}{name}") if (text := "".join(element.itertext()).strip())]
