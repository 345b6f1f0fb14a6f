"""PDF to Markdown: headings by their print, tables by their columns, a form feed between pages.

Most files are gone through once: text and print come from the same layout (pdfminer). Only what may have columns is
gone through again, for markitdown's reading of tables and forms, which takes three times as long and loses the pages.
"""

import io
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from knowledge.formats.converted import ConversionError, Converted
from knowledge.formats.properties import properties
from knowledge.layout import PrintedLine, printed_headings, with_headings, with_tables

_BOLD = re.compile(r"bold|black|heavy|semibold|demi", re.IGNORECASE)
_NUMBER_ALONE = re.compile(r"(?m)^[ \t]*(\.\d+)[ \t]*\n(?:[ \t]*\n)*[ \t]*(?=\S)")
"""'.1' of a numbered paragraph, printed beside it."""
_GAP = 3
"""Points between words, at least, and between the tops of lines."""
_ROW = 5
"""Points; words whose tops are the same when rounded to it are a row."""
_APART = 50
"""Points between the beginnings of columns, at least."""
_FEWEST_COLUMNS = 3
_WIDE = 0.55
"""Of the page's width, from which on a row is prose if it also is long."""
_LONG = 60
"""Characters."""


@dataclass(frozen=True, slots=True)
class _Word:
    """Letters without a gap, and where they stand, in points from the lower left corner of the page."""

    x0: float
    x1: float
    y1: float
    length: int


def convert(data: bytes, *, suffix: str) -> Converted:
    """Title and metadata from the information dictionary."""
    if b"%PDF-" not in data[:1024]:
        raise ConversionError("this is no PDF although its name says so; replace or exclude it")
    from pdfminer.psexceptions import PSException

    information = _information(data)
    try:
        text, lines, has_columns = _read(data)
        if has_columns:
            text = _with_forms(data, suffix=suffix)
    except PSException as error:
        raise ConversionError("the PDF is damaged or cut off; replace or exclude it") from error
    if not text.strip():
        raise ConversionError(
            "the PDF holds no text, only pictures; run text recognition (OCR) on it or exclude it"
        )
    headers = {" ".join(line.text.split()) for line in lines if line.bold}
    structured = with_headings(with_tables(text, headers), printed_headings(lines))
    stated = {name: _string(value) for name, value in information.items()}
    metadata = properties(
        author=stated.get("Author", ""),
        date=stated.get("ModDate", "") or stated.get("CreationDate", ""),
        tags=stated.get("Keywords", ""),
    )
    return Converted(structured, stated.get("Title", ""), metadata)


def _information(data: bytes) -> dict[str, Any]:
    """What the document says about itself; raises ConversionError when it cannot be opened."""
    from pdfminer.pdfdocument import PDFDocument, PDFEncryptionError, PDFPasswordIncorrect
    from pdfminer.pdfparser import PDFParser
    from pdfminer.pdftypes import resolve1
    from pdfminer.psexceptions import PSException

    try:
        document = PDFDocument(PDFParser(io.BytesIO(data)))
        information = document.info[0] if document.info else {}
        found = {str(name): resolve1(value) for name, value in information.items()}
    except (PDFPasswordIncorrect, PDFEncryptionError) as error:
        raise ConversionError("the file is encrypted; remove its password or exclude it") from error
    except (PSException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConversionError("the PDF is damaged or cut off; replace or exclude it") from error
    if "Pages" not in (document.catalog or {}):
        raise ConversionError("the PDF is damaged or cut off; replace or exclude it")
    return found


def _read(data: bytes) -> tuple[str, list[PrintedLine], bool]:
    """The text with a form feed behind each page, its printed lines, and whether a page may have columns."""
    from pdfminer.converter import TextConverter
    from pdfminer.layout import LAParams
    from pdfminer.pdfinterp import PDFPageInterpreter, PDFResourceManager
    from pdfminer.pdfpage import PDFPage

    lines: list[PrintedLine] = []
    has_columns = False

    class Reader(TextConverter):
        """Looks at each page's layout before its text is written."""

        def receive_layout(self, ltpage: Any) -> None:
            nonlocal has_columns
            lines.extend(_printed_lines(ltpage))
            has_columns = has_columns or _may_have_columns(ltpage)
            super().receive_layout(ltpage)

    written = io.StringIO()
    resources = PDFResourceManager()
    interpreter = PDFPageInterpreter(resources, Reader(resources, written, laparams=LAParams()))
    for page in PDFPage.get_pages(io.BytesIO(data)):
        interpreter.process_page(page)
    return _NUMBER_ALONE.sub(r"\1 ", written.getvalue()), lines, has_columns


def _with_forms(data: bytes, *, suffix: str) -> str:
    from markitdown import StreamInfo
    from markitdown.converters import PdfConverter

    return PdfConverter().convert(io.BytesIO(data), StreamInfo(extension=suffix)).markdown


def _printed_lines(page: Any) -> Iterator[PrintedLine]:
    from pdfminer.layout import LTChar, LTTextContainer, LTTextLine

    for block in page:
        if not isinstance(block, LTTextContainer):
            continue
        printed = [line for line in block if isinstance(line, LTTextLine) and line.get_text().strip()]
        for line in printed:
            letters = [letter for letter in line if isinstance(letter, LTChar)]
            bold = sum(bool(_BOLD.search(letter.fontname)) for letter in letters)
            yield PrintedLine(
                text=line.get_text().strip(),
                size=round(max((letter.size for letter in letters), default=0.0), 1),
                bold=2 * bold > len(letters),
                page=page.pageid,
                alone=len(printed) == 1,
            )


def _may_have_columns(page: Any) -> bool:
    """Whether words of a row begin in three places, as they do in what markitdown takes for a table or form.

    A word is what no gap divides, a space being a letter: a line of prose is mostly one, and else long and wide.
    """
    letters = sorted(_letters(page), key=attrgetter("y1"), reverse=True)
    if not all(letter.upright for letter in letters):
        return True
    rows: defaultdict[int, list[_Word]] = defaultdict(list)
    start = 0
    for end in range(1, len(letters) + 1):
        if end == len(letters) or letters[end - 1].y1 - letters[end].y1 > _GAP:
            for word in _words(sorted(letters[start:end], key=attrgetter("x0"))):
                rows[round((page.height - word.y1) / _ROW)].append(word)
            start = end
    return any(_is_divided(sorted(row, key=attrgetter("x0")), page.width) for row in rows.values())


def _letters(item: Any) -> Iterator[Any]:
    from pdfminer.layout import LTChar, LTContainer

    for child in item:
        if isinstance(child, LTChar):
            yield child
        elif isinstance(child, LTContainer):
            yield from _letters(child)


def _words(line: Sequence[Any]) -> Iterator[_Word]:
    """The words of letters from left to right."""
    start = 0
    for end in range(1, len(line) + 1):
        if (
            end == len(line)
            or line[end].x0 - line[end - 1].x1 > _GAP
            or abs(line[end].y1 - line[end - 1].y1) > _GAP
        ):
            letters = line[start:end]
            yield _Word(
                x0=letters[0].x0,
                x1=max(letter.x1 for letter in letters),
                y1=max(letter.y1 for letter in letters),
                length=sum(len(letter.get_text()) for letter in letters),
            )
            start = end


def _is_divided(row: Sequence[_Word], width: float) -> bool:
    length = sum(word.length for word in row) + len(row) - 1
    if row[-1].x1 - row[0].x0 > _WIDE * width and length > _LONG:
        return False
    columns = 1
    begin = row[0].x0
    for word in row:
        if word.x0 - begin > _APART:
            columns += 1
            begin = word.x0
    return columns >= _FEWEST_COLUMNS


def _string(value: object) -> str:
    if not isinstance(value, bytes):
        return ""
    if value.startswith(b"\xef\xbb\xbf"):
        return value.decode("utf-8-sig", "ignore").strip("\x00 ")
    encoding = "utf-16" if value.startswith((b"\xfe\xff", b"\xff\xfe")) else "latin-1"
    return value.decode(encoding, "ignore").strip("\x00 ")
