"""Feeds (RSS, Atom) to Markdown, an entry a section; other XML as it is written."""

import io
from typing import Any, cast

from knowledge.formats.converted import ConversionError, Converted, fenced
from knowledge.formats.html import without_embedded_images
from knowledge.formats.properties import as_date, properties
from knowledge.formats.text import decode

_CHANGED = ("lastBuildDate", "pubDate", "updated", "published", "date")
_WRITERS = ("managingEditor", "author", "creator")


def convert(data: bytes, *, suffix: str) -> Converted:
    """The date of a feed is that of its newest entry."""
    from defusedxml import DefusedXmlException, ElementTree

    try:
        # A parser that is given bytes finds their encoding as XML says; entities and the like are refused.
        root = ElementTree.fromstring(data)
    except DefusedXmlException as error:
        raise ConversionError(
            "it declares XML entities, which can expand without end; write their text in their place or exclude it"
        ) from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ConversionError(f"the file is no valid XML ({error}); repair or exclude it") from error
    if not _is_feed(root):
        return Converted(fenced(decode(data), "xml"), _text(root, ("title",)))
    from markitdown import StreamInfo
    from markitdown.converters import RssConverter

    result = cast("Any", RssConverter)().convert(io.BytesIO(data), StreamInfo(extension=suffix))
    dates = [
        found for element in root.iter() if _local(element) in _CHANGED and (found := as_date(element.text))
    ]
    channel = next((child for child in root if _local(child) == "channel"), root)
    metadata = properties(
        author=_text(channel, _WRITERS), date=max(dates, key=lambda day: day[:10], default="")
    )
    return Converted(without_embedded_images(result.markdown), result.title or "", metadata)


def _is_feed(root: Any) -> bool:
    names = {_local(child) for child in root}
    return (_local(root) == "rss" and "channel" in names) or (_local(root) == "feed" and "entry" in names)


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(parent: Any, names: tuple[str, ...]) -> str:
    """Of the first child of such a name that holds text, itself or within it (`<author><name>`)."""
    for child in parent:
        if _local(child) in names:
            text = (child.text or "").strip() or next((t.strip() for t in child.itertext() if t.strip()), "")
            if text:
                return str(text)
    return ""
