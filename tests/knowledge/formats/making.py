"""Small files of formats that no library that Parley needs can write."""

import io
import struct
import zipfile
from collections.abc import Mapping
from datetime import date

_SECTOR = 512
_MINI = 64
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def ole(streams: Mapping[str, bytes]) -> bytes:
    """A compound file [MS-CFB] with these streams; a slash stands for a storage around one.

    All streams are kept in the mini stream, so each must be smaller than 4,096 bytes.
    """
    names = ["Root Entry"]
    children: dict[int, list[int]] = {0: []}
    content: dict[int, bytes] = {}
    for path, data in streams.items():
        assert len(data) < 4096
        parent = 0
        *folders, name = path.split("/")
        for folder in folders:
            found = next((child for child in children[parent] if names[child] == folder), None)
            if found is None:
                names.append(folder)
                found = len(names) - 1
                children[parent].append(found)
                children[found] = []
            parent = found
        names.append(name)
        children[parent].append(len(names) - 1)
        content[len(names) - 1] = data
    mini = b""
    starts: dict[int, int] = {}
    mini_fat: list[int] = []
    for number, data in content.items():
        count = -(-len(data) // _MINI)
        starts[number] = len(mini_fat) if count else _END
        mini_fat += [len(mini_fat) + step + 1 for step in range(count - 1)] + [_END] * bool(count)
        mini += data.ljust(count * _MINI, b"\0")
    parts = [_sectors(_table(mini_fat)), _sectors(mini)]
    mini_fat_count, mini_count = (len(part) // _SECTOR for part in parts)
    directory_count = -(-len(names) * 128 // _SECTOR)
    fat: list[int] = [_FAT]  # sector 0 is the allocation table itself
    for count in (mini_fat_count, mini_count, directory_count):
        fat += [len(fat) + step + 1 for step in range(count - 1)] + [_END] * bool(count)
    assert len(fat) <= _SECTOR // 4
    siblings = {
        child: own[place + 1] if place + 1 < len(own) else _FREE
        for own in children.values()
        for place, child in enumerate(own)
    }
    entries = b""
    for number, name in enumerate(names):
        raw = name.encode("utf-16-le") + b"\0\0"
        is_stream = number in content
        kind = 2 if is_stream else (5 if number == 0 else 1)
        start = starts.get(number, 1 + mini_fat_count if number == 0 else 0)
        size = len(content[number]) if is_stream else (len(mini) if number == 0 else 0)
        first_child = next(iter(children.get(number, [])), _FREE)
        entries += raw.ljust(64, b"\0") + struct.pack(
            "<HBBIII16sI8s8sIQ",
            len(raw), kind, 1, _FREE, siblings.get(number, _FREE), first_child, b"", 0, b"", b"", start, size,
        )  # fmt: skip
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack(
        "<HHHHH6xIIIIIIIIII",
        0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1 + mini_fat_count + mini_count, 0, 4096,
        1 if mini_fat_count else _END, mini_fat_count, _END, 0, 0,
    )  # fmt: skip
    header += b"\xff" * (_SECTOR - len(header))
    return header + _sectors(_table(fat)) + b"".join(parts) + entries.ljust(directory_count * _SECTOR, b"\0")


def _table(numbers: list[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def _sectors(data: bytes) -> bytes:
    fill = b"\xff" if data[-4:] == struct.pack("<I", _END) else b"\0"
    return data.ljust(-(-len(data) // _SECTOR) * _SECTOR, fill)


def msg(texts: Mapping[str, str], *, sent: int = 0, attachments: Mapping[str, bytes] | None = None) -> bytes:
    """An Outlook message with these properties, by their numbers (`0037` is the subject)."""
    streams = {f"__substg1.0_{number}001F": text.encode("utf-16-le") for number, text in texts.items()}
    streams["__properties_version1.0"] = bytes(32) + struct.pack("<IIQ", 0x00390040, 6, sent)
    for number, (name, data) in enumerate((attachments or {}).items()):
        folder = f"__attach_version1.0_#{number:08X}"
        streams[f"{folder}/__substg1.0_3707001F"] = name.encode("utf-16-le")
        streams[f"{folder}/__substg1.0_37010102"] = data
    return ole(streams)


def epub(*chapters: str, metadata: str = "", extra: Mapping[str, str] | None = None) -> bytes:
    """A book of chapters, each the HTML of its body."""
    items = "".join(
        f'<item id="c{n}" href="text%20{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n in range(len(chapters))
    )
    order = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/">{metadata}</metadata><manifest>{items}'
        f'<item id="css" href="a.css" media-type="text/css"/></manifest><spine>{order}</spine></package>'
    )
    parts = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        "OEBPS/book.opf": package,
        **{
            f"OEBPS/text {n}.xhtml": f"<html><body>{chapter}</body></html>"
            for n, chapter in enumerate(chapters)
        },
        **(extra or {}),
    }
    return archive(parts)


def xls(*rows: list[object]) -> bytes:
    """A workbook in the format from before 2007, with a sheet of these rows and an empty one."""
    import xlwt

    book = xlwt.Workbook()
    sheet = book.add_sheet("Rates")
    book.add_sheet("Empty")
    day = xlwt.easyxf(num_format_str="YYYY-MM-DD")
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            sheet.write(number, column, value, *([day] if isinstance(value, date) else []))
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def archive(parts: Mapping[str, str | bytes]) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in parts.items():
            written.writestr(name, content)
    return buffer.getvalue()
