"""Jupyter notebooks to Markdown."""

import json
from typing import Any

from knowledge.formats.converted import ConversionError, Converted, fenced
from knowledge.formats.properties import properties

_MAX_OUTPUT = 4_000


def convert(data: bytes, *, suffix: str) -> Converted:
    """Text cells as they are, code and its textual output as fences; long output is cut."""
    try:
        notebook = json.loads(data)
        known = notebook.get("metadata", {})
        language = str(known.get("kernelspec", {}).get("language", "python"))
        parts = [part for cell in notebook["cells"] for part in _cell(cell, language)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConversionError(
            "the notebook is no valid JSON of format 4; save it again or exclude it"
        ) from error
    title = known.get("title", "")
    metadata = properties(author=known.get("authors"), date=known.get("date"), tags=known.get("tags"))
    return Converted(
        "\n\n".join(part for part in parts if part.strip()), title if isinstance(title, str) else "", metadata
    )


def _cell(cell: dict[str, Any], language: str) -> list[str]:
    source = _joined(cell.get("source", ""))
    if cell.get("cell_type") != "code":
        return [source]
    parts = [fenced(source, language)] if source.strip() else []
    for output in cell.get("outputs", []):
        text = _joined(output.get("text", "") or output.get("data", {}).get("text/plain", ""))
        if text.strip():
            parts.append(fenced(text[:_MAX_OUTPUT], "text"))
    return parts


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)
