"""Office files, PDF, HTML and notebooks to Markdown; runs inside a worker process that may be killed.

Nothing here is trusted to end, to stay small or to raise something sensible: `knowledge.loaders` sets the
limits. What it guarantees: a `ConversionError` carries a sentence for people; everything else is a parser's
surprise.
"""

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from knowledge.layout import PrintedLine, printed_headings, with_headings, with_tables

_OLE_MAGIC = b"\xd0\xcf\x11\xe0"
_BOILERPLATE = (
    "script, style, nav, footer, aside, noscript, template, iframe, form, [role=navigation], [hidden]"
)
_EMBEDDED_IMAGE = re.compile(r"!\[[^\]]*\]\(data:[^)]*\)")
_SLIDE = re.compile(r"^<!-- Slide number: (\d+) -->$", re.MULTILINE)
_MAX_NOTEBOOK_OUTPUT = 4_000
_BOLD = re.compile(r"bold|black|heavy|semibold|demi", re.IGNORECASE)


class ConversionError(Exception):
    """Why the file has no text; the message continues the sentence '<file>: …'."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What a parser made of a file. A form feed in `text` is a page break."""

    text: str
    title: str = ""
    """The title the file's own metadata claims; often empty or wrong."""


def convert(suffix: str, data: bytes) -> Converted:
    """Turn the bytes of a file of type `suffix` (lower case, with the dot) into Markdown.

    Raises:
        ConversionError: with the reason and the way out.
    """
    return _CONVERTERS[suffix](data)


def limit_memory(max_bytes: int) -> None:
    """Initialise a worker: an exploding document ends in a MemoryError, not in a machine out of memory."""
    import resource

    with suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose first row is the header; short rows are filled up."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ").strip() for cell in row] for row in rows]
    if not cells:
        return ""
    width = max(len(row) for row in cells)
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in cells]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)


def _pdf(data: bytes) -> Converted:
    if b"%PDF-" not in data[:1024]:
        raise ConversionError("this is no PDF although its name says so; replace or exclude it")
    from markitdown import StreamInfo
    from markitdown.converters import PdfConverter
    from pdfminer.pdfdocument import PDFDocument, PDFEncryptionError, PDFPasswordIncorrect
    from pdfminer.pdfparser import PDFParser
    from pdfminer.psexceptions import PSException

    try:
        document = PDFDocument(PDFParser(io.BytesIO(data)))
    except (PDFPasswordIncorrect, PDFEncryptionError) as error:
        raise ConversionError("the file is encrypted; remove its password or exclude it") from error
    except (PSException, ValueError, TypeError, KeyError) as error:
        raise ConversionError("the PDF is damaged or cut off; replace or exclude it") from error
    if "Pages" not in (document.catalog or {}):
        raise ConversionError("the PDF is damaged or cut off; replace or exclude it")
    title = document.info[0].get("Title", b"") if document.info else b""
    text = PdfConverter().convert(io.BytesIO(data), StreamInfo(extension=".pdf")).markdown
    if not text.strip():
        raise ConversionError(
            "the PDF holds no text, only pictures; run text recognition (OCR) on it or exclude it"
        )
    return Converted(_with_structure(text, data), _pdf_string(title))


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


def _pdf_string(value: object) -> str:
    if not isinstance(value, bytes):
        return ""
    encoding = "utf-16" if value.startswith((b"\xfe\xff", b"\xff\xfe")) else "latin-1"
    return value.decode(encoding, "ignore").strip("\x00 ")


def _docx(data: bytes) -> Converted:
    _require_office_file(data)
    from markitdown import StreamInfo
    from markitdown.converters import DocxConverter

    text = cast("Any", DocxConverter)().convert(io.BytesIO(data), StreamInfo(extension=".docx")).markdown
    return Converted(_EMBEDDED_IMAGE.sub("", text), _office_title(data))


def _pptx(data: bytes) -> Converted:
    _require_office_file(data)
    from markitdown import StreamInfo
    from markitdown.converters import PptxConverter

    text = cast("Any", PptxConverter)().convert(io.BytesIO(data), StreamInfo(extension=".pptx")).markdown
    pieces = _SLIDE.split(text)[1:]
    slides = [_slide(number, body) for number, body in zip(pieces[::2], pieces[1::2], strict=True)]
    first_title = (
        next((line[2:] for line in pieces[1].splitlines() if line.startswith("# ")), "") if pieces else ""
    )
    return Converted("\n\n".join(slides), first_title.strip() or _office_title(data))


def _slide(number: str, body: str) -> str:
    """Every slide becomes one section, named by its title."""
    body = body.strip().replace("### Notes:", "**Notes:**")
    heading, _, rest = body.partition("\n") if body.startswith("# ") else (f"# Slide {number}", "", body)
    rest = re.sub(r"(?m)^#+ ", "", _EMBEDDED_IMAGE.sub("", rest))
    return f"#{heading}\n\n{rest.strip()}"


def _xlsx(data: bytes) -> Converted:
    _require_office_file(data)
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    parts = []
    for sheet in book.worksheets:
        rows = [[_cell(value) for value in row] for row in sheet.iter_rows(values_only=True)]
        table = markdown_table(_without_empty(rows))
        if table:
            parts.append(f"## {sheet.title}\n\n{table}")
    return Converted("\n\n".join(parts), _office_title(data))


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


def _html(data: bytes) -> Converted:
    from bs4 import BeautifulSoup
    from markitdown import StreamInfo
    from markitdown.converters import HtmlConverter

    soup = BeautifulSoup(data, "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for element in soup.select(_BOILERPLATE):
        element.decompose()
    for heading in soup.select("h1, h2, h3, h4, h5, h6"):
        for link in heading.select("a"):
            if not link.get_text(strip=True).strip("#¶§🔗"):
                link.decompose()
        if heading.get("id"):
            heading.append(f" {{#{heading['id']}}}")
    main = soup.select_one("main, [role=main]") or soup.select_one("article")
    # A page whose <main> is filled by a script keeps its text elsewhere.
    if main is not None and len(main.get_text(strip=True)) < len(soup.get_text(strip=True)) // 4:
        main = None
    page = str(main or soup).encode()
    text = HtmlConverter().convert(io.BytesIO(page), StreamInfo(extension=".html", charset="utf-8")).markdown
    return Converted(_EMBEDDED_IMAGE.sub("", text), title)


def _notebook(data: bytes) -> Converted:
    try:
        notebook = json.loads(data)
        cells = notebook["cells"]
        language = str(notebook.get("metadata", {}).get("kernelspec", {}).get("language", "python"))
        parts = [part for cell in cells for part in _notebook_cell(cell, language)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConversionError(
            "the notebook is no valid JSON of format 4; save it again or exclude it"
        ) from error
    return Converted("\n\n".join(part for part in parts if part.strip()))


def _notebook_cell(cell: dict[str, Any], language: str) -> list[str]:
    source = _joined(cell.get("source", ""))
    if cell.get("cell_type") != "code":
        return [source]
    parts = [_fenced(source, language)] if source.strip() else []
    for output in cell.get("outputs", []):
        text = _joined(output.get("text", "") or output.get("data", {}).get("text/plain", ""))
        if text.strip():
            parts.append(_fenced(text[:_MAX_NOTEBOOK_OUTPUT], "text"))
    return parts


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _require_office_file(data: bytes) -> None:
    if data.startswith(_OLE_MAGIC):
        raise ConversionError(
            "the file is encrypted or in the format from before 2007; "
            "remove its password or save it anew, or exclude it"
        )
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ConversionError("the file is damaged or cut off; replace or exclude it")


def _office_title(data: bytes) -> str:
    """The title in the core properties, which all Office Open XML files have in the same place."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            from defusedxml import ElementTree

            root = ElementTree.fromstring(archive.read("docProps/core.xml"))
            return (root.findtext("{http://purl.org/dc/elements/1.1/}title") or "").strip()
    except (KeyError, ValueError, SyntaxError, zipfile.BadZipFile):
        return ""


_CONVERTERS: dict[str, Callable[[bytes], Converted]] = {
    ".pdf": _pdf,
    ".docx": _docx,
    ".pptx": _pptx,
    ".xlsx": _xlsx,
    ".html": _html,
    ".htm": _html,
    ".ipynb": _notebook,
}
CONVERTED_TYPES = frozenset(_CONVERTERS)
