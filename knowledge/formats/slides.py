"""Slides (.pptx) to Markdown: every slide is a section."""

import io
import re
from typing import Any, cast

from knowledge.formats.converted import Converted
from knowledge.formats.html import without_embedded_images
from knowledge.formats.ooxml import checked_archive, core_properties

_SLIDE = re.compile(r"^<!-- Slide number: (\d+) -->$", re.MULTILINE)


def convert(data: bytes, *, suffix: str) -> Converted:
    """The title is that of the first slide."""
    title, metadata = core_properties(checked_archive(data))
    from markitdown import StreamInfo
    from markitdown.converters import PptxConverter

    text = cast("Any", PptxConverter)().convert(io.BytesIO(data), StreamInfo(extension=suffix)).markdown
    pieces = _SLIDE.split(text)[1:]
    slides = [_section(number, body) for number, body in zip(pieces[::2], pieces[1::2], strict=True)]
    first_title = (
        next((line[2:] for line in pieces[1].splitlines() if line.startswith("# ")), "") if pieces else ""
    )
    return Converted("\n\n".join(slides), first_title.strip() or title, metadata)


def _section(number: str, body: str) -> str:
    """A slide named by its title."""
    body = body.strip().replace("### Notes:", "**Notes:**")
    heading, _, rest = body.partition("\n") if body.startswith("# ") else (f"# Slide {number}", "", body)
    rest = re.sub(r"(?m)^#+ ", "", without_embedded_images(rest))
    return f"#{heading}\n\n{rest.strip()}"
