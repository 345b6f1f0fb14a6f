"""Word files (.docx) to Markdown."""

import io
from typing import Any, cast

from knowledge.formats.converted import Converted
from knowledge.formats.html import without_embedded_images
from knowledge.formats.ooxml import checked_archive, core_properties


def convert(data: bytes, *, suffix: str) -> Converted:
    """Headings by their style."""
    title, metadata = core_properties(checked_archive(data))
    from markitdown import StreamInfo
    from markitdown.converters import DocxConverter

    text = cast("Any", DocxConverter)().convert(io.BytesIO(data), StreamInfo(extension=suffix)).markdown
    return Converted(without_embedded_images(text), title, metadata)
