"""Workbooks in the format from before 2007 (.xls) to Markdown: every sheet is a section with a table.

The reader is xlrd, which is plain Python: what is damaged ends in an exception. (calamine, which is faster, took all
memory of the machine for a file that was cut and filled up with zeros.)
"""

import io
import struct
from collections.abc import Iterator
from typing import Any

from knowledge.formats import html
from knowledge.formats import sheets as new_sheets
from knowledge.formats.converted import ConversionError, Converted
from knowledge.formats.ooxml import OLE_MAGIC
from knowledge.formats.properties import properties

_ENCRYPTED = ("encrypted", "password")


def convert(data: bytes, *, suffix: str) -> Converted:
    """Also of tables that programs only call `.xls`: those of today, and web pages."""
    if data.lstrip()[:1] == b"<":
        return html.convert(data, suffix=".html")
    if data.startswith(b"PK"):
        return new_sheets.convert(data, suffix=".xlsx")
    import xlrd

    try:
        book = xlrd.open_workbook(file_contents=data, logfile=io.StringIO(), on_demand=True)
        text = new_sheets.written((name, _rows(book.sheet_by_name(name))) for name in book.sheet_names())
    except (
        xlrd.XLRDError,
        xlrd.compdoc.CompDocError,
        struct.error,
        IndexError,
        AssertionError,
        ValueError,
    ) as error:
        if any(word in str(error).lower() for word in _ENCRYPTED) or b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P" in data:
            raise ConversionError("the file is encrypted; remove its password or exclude it") from error
        raise ConversionError("the workbook is damaged or cut off; replace or exclude it") from error
    title, metadata = _properties(data)
    return Converted(text, title, metadata)


def _rows(sheet: Any) -> Iterator[list[object]]:
    for number in range(sheet.nrows):
        yield [_value(cell, sheet.book.datemode) for cell in sheet.row(number)]


def _value(cell: Any, mode: int) -> object:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            return xlrd.xldate_as_datetime(cell.value, mode)
        except (ValueError, OverflowError):
            return cell.value
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return bool(cell.value)
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return xlrd.error_text_from_code.get(cell.value, "")
    return cell.value


def _properties(data: bytes) -> tuple[str, dict[str, str]]:
    """The title and the metadata of the summary that Office programs write."""
    import olefile

    if not data.startswith(OLE_MAGIC):  # from before 1995
        return "", {}
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as store:
            stated = store.get_metadata()
    except (OSError, struct.error, IndexError, ValueError, TypeError, AttributeError):
        return "", {}

    def text(value: object) -> str:
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""

    metadata = properties(
        author=text(stated.author),
        date=stated.last_saved_time or stated.create_time,
        tags=text(stated.keywords),
    )
    return text(stated.title), metadata
