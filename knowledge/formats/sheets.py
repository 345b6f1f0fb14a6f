"""Workbooks (.xlsx) to Markdown: every sheet is a section with a table."""

import io
from collections.abc import Iterable, Sequence

from knowledge.formats.converted import Converted
from knowledge.formats.ooxml import checked_archive, core_properties
from knowledge.formats.tables import markdown_table


def convert(data: bytes, *, suffix: str) -> Converted:
    """Cells show their values, not their formulas."""
    title, metadata = core_properties(checked_archive(data))
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    sheets = ((sheet.title, sheet.iter_rows(values_only=True)) for sheet in book.worksheets)
    return Converted(written(sheets), title, metadata)


def written(sheets: Iterable[tuple[str, Iterable[Sequence[object]]]]) -> str:
    """The sheets that hold anything, each with its name and its rows."""
    parts = []
    for name, rows in sheets:
        table = markdown_table(_without_empty([[_cell(value) for value in row] for row in rows]))
        if table:
            parts.append(f"## {name}\n\n{table}")
    return "\n\n".join(parts)


def _without_empty(rows: list[list[str]]) -> list[list[str]]:
    """Rows and columns in which nothing stands are left out."""
    rows = [row for row in rows if any(row)]
    width = max((len(row) for row in rows), default=0)
    used = [column for column in range(width) if any(column < len(row) and row[column] for row in rows)]
    return [[row[column] if column < len(row) else "" for column in used] for row in rows]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).removesuffix(" 00:00:00")
