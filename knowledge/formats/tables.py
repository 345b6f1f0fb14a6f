"""CSV and TSV to a Markdown table."""

import csv
import io
from collections.abc import Iterable, Sequence

from knowledge.formats.converted import MAX_CHARACTERS, ConversionError, Converted
from knowledge.formats.text import decode

_SUSPICIOUS = 100_000
"""Characters of a cell that may be all the rest of the file, for want of a quotation mark; a strict reader tells."""


def convert(data: bytes, *, suffix: str) -> Converted:
    """The first row is the header."""
    text = decode(data)
    # The header decides: csv.Sniffer guesses from all lines and is often wrong.
    header = text.lstrip("\n").partition("\n")[0]
    delimiter = "\t" if suffix == ".tsv" else max(",;\t|", key=header.count)
    csv.field_size_limit(MAX_CHARACTERS)
    try:
        rows = _rows(text, delimiter)
        if any(len(cell) > _SUSPICIOUS for row in rows for cell in row):
            rows = _rows(text, delimiter, strict=True)
    except csv.Error as error:
        raise ConversionError(
            f"the file is no valid {suffix[1:].upper()} ({error}); repair or exclude it"
        ) from error
    return Converted(markdown_table(rows))


def _rows(text: str, delimiter: str, *, strict: bool = False) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text), delimiter=delimiter, strict=strict) if any(row)]


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose first row is the header; short rows are filled up."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ").strip() for cell in row] for row in rows]
    if not cells:
        return ""
    width = max(len(row) for row in cells)
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in cells]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)
