"""What Office files have in common: a zip archive of XML with their properties in the same place."""

import io
import zipfile

from knowledge.formats.converted import ConversionError
from knowledge.formats.properties import properties

OLE_MAGIC = b"\xd0\xcf\x11\xe0"
_MOST_BYTES = 500_000_000
"""That an archive may unpack to beyond its own size; pictures are as large in it as they are outside."""
_DC = "{http://purl.org/dc/elements/1.1/}"
_TERMS = "{http://purl.org/dc/terms/}"
_CORE = "{http://schemas.openxmlformats.org/package/2006/metadata/core-properties}"
_TEMPLATES = frozenset({"2013-01-27T09:15:58Z", "2013-12-23T23:15:00Z"})
"""When the templates of python-pptx and python-docx were made, which stands in all files that they write."""
_UNREADABLE = (
    zipfile.BadZipFile,
    KeyError,
    ValueError,
    SyntaxError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
)


def opened_archive(data: bytes) -> zipfile.ZipFile:
    """The archive, when it is whole and unpacks to a size that a document may have; raises ConversionError."""
    if data.startswith(OLE_MAGIC):
        raise ConversionError(
            "the file is encrypted or in the format from before 2007; "
            "remove its password or save it anew, or exclude it"
        )
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _UNREADABLE as error:
        raise ConversionError("the file is damaged or cut off; replace or exclude it") from error
    size = sum(member.file_size for member in archive.infolist())
    if size > len(data) + _MOST_BYTES:
        raise ConversionError(f"it unpacks to {size / 1e6:,.0f} MB, which no document does; exclude it")
    if any(member.flag_bits & 0x1 for member in archive.infolist()):
        raise ConversionError("the file is encrypted; remove its password or exclude it")
    return archive


def checked_archive(data: bytes) -> zipfile.ZipFile:
    """The archive of an Office file, when it may be given to a parser; raises ConversionError.

    XML that declares a document type can expand without end or name other files; no Office program writes it.
    """
    from defusedxml import DefusedXmlException, ElementTree

    archive = opened_archive(data)
    for member in archive.infolist():
        if not member.filename.endswith((".xml", ".rels")):
            continue
        try:
            with archive.open(member) as stream:
                next(iter(ElementTree.iterparse(stream, events=("start",), forbid_dtd=True)), None)
        except DefusedXmlException as error:
            raise ConversionError(
                "its XML declares a document type, which no Office program writes; save it anew or exclude it"
            ) from error
        except _UNREADABLE as error:
            raise ConversionError("the file is damaged or cut off; replace or exclude it") from error
    return archive


def core_properties(archive: zipfile.ZipFile) -> tuple[str, dict[str, str]]:
    """The title and the metadata that the program has written into the file."""
    from defusedxml import DefusedXmlException, ElementTree

    try:
        root = ElementTree.fromstring(archive.read("docProps/core.xml"))
    except (*_UNREADABLE, DefusedXmlException):
        return "", {}

    def text(name: str) -> str:
        return (root.findtext(name) or "").strip()

    changed = text(f"{_TERMS}modified")
    is_template = changed in _TEMPLATES
    metadata = properties(
        author=text(f"{_DC}creator") or ("" if is_template else text(f"{_CORE}lastModifiedBy")),
        date="" if is_template else changed or text(f"{_TERMS}created"),
        tags=text(f"{_CORE}keywords"),
    )
    return text(f"{_DC}title"), metadata
