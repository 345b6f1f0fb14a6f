"""PDF to Markdown: headings by their print, tables by their columns, a form feed between pages."""

import io
import re
from typing import Any

from knowledge.formats.converted import ConversionError, Converted
from knowledge.formats.properties import properties
from knowledge.layout import PrintedLine, printed_headings, with_headings, with_tables

_BOLD = re.compile(r"bold|black|heavy|semibold|demi", re.IGNORECASE)


def convert(data: bytes, *, suffix: str) -> Converted:
    """Title and metadata from the information dictionary."""
    if b"%PDF-" not in data[:1024]:
        raise ConversionError("this is no PDF although its name says so; replace or exclude it")
    from markitdown import StreamInfo
    from markitdown.converters import PdfConverter
    from pdfminer.psexceptions import PSException

    information = _information(data)
    try:
        text = PdfConverter().convert(io.BytesIO(data), StreamInfo(extension=suffix)).markdown
        structured = _with_structure(text, data)
    except PSException as error:
        raise ConversionError("the PDF is damaged or cut off; replace or exclude it") from error
    if not text.strip():
        raise ConversionError(
            "the PDF holds no text, only pictures; run text recognition (OCR) on it or exclude it"
        )
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


def _with_structure(text: str, data: bytes) -> str:
    """Headings by their print, and tables below a bold header."""
    from pdfminer.high_level import extract_pages
    from pdfminer.layout import LTChar, LTTextContainer, LTTextLine

    lines = []
    for number, page in enumerate(extract_pages(io.BytesIO(data)), start=1):
        for block in page:
            if not isinstance(block, LTTextContainer):
                continue
            printed = [line for line in block if isinstance(line, LTTextLine) and line.get_text().strip()]
            for line in printed:
                letters = [letter for letter in line if isinstance(letter, LTChar)]
                bold = sum(bool(_BOLD.search(letter.fontname)) for letter in letters)
                lines.append(
                    PrintedLine(
                        text=line.get_text().strip(),
                        size=round(max((letter.size for letter in letters), default=0.0), 1),
                        bold=2 * bold > len(letters),
                        page=number,
                        alone=len(printed) == 1,
                    )
                )
    headers = {" ".join(line.text.split()) for line in lines if line.bold}
    return with_headings(with_tables(text, headers), printed_headings(lines))


def _string(value: object) -> str:
    if not isinstance(value, bytes):
        return ""
    if value.startswith(b"\xef\xbb\xbf"):
        return value.decode("utf-8-sig", "ignore").strip("\x00 ")
    encoding = "utf-16" if value.startswith((b"\xfe\xff", b"\xff\xfe")) else "latin-1"
    return value.decode(encoding, "ignore").strip("\x00 ")
