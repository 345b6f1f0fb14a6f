"""Outlook's messages (.msg) to Markdown, like those of `knowledge.formats.mail`.

The properties and their numbers are those of Microsoft's specification [MS-OXMSG] and [MS-OXPROPS].
"""

import io
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from knowledge.formats.converted import ConversionError, Converted
from knowledge.formats.mail import Attachment, Mail, written
from knowledge.formats.ooxml import OLE_MAGIC
from knowledge.formats.text import decode

_PROPERTIES = "__properties_version1.0"
_PROPERTIES_HEADER = 32
_CLASS, _SUBJECT, _TO, _CC, _BODY, _HTML = "001A", "0037", "0E04", "0E03", "1000", "1013"
_SENDER_NAME, _SENDER_SMTP, _SENDER_ADDRESS = "0C1A", "5D01", "0C1F"
_SUBMITTED, _DELIVERED = 0x0039, 0x0E06
_FILE_NAMES, _FILE_DATA = ("3707", "3704", "3001"), "37010102"
_NUMBER, _MOMENT = 0x0003, 0x0040
_CODE_PAGES = (0x3FFD, 0x3FDE)
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
"""Windows counts time from here, in 100 ns."""


def convert(data: bytes, *, suffix: str) -> Converted:
    """The plain text is preferred to HTML; a message kept as RTF alone has no text here."""
    import olefile

    if not data.startswith(OLE_MAGIC):
        raise ConversionError("this is no Outlook message although its name says so; replace or exclude it")
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as store:
            mail = _Message(store).read()
    except (OSError, struct.error, IndexError, ValueError, OverflowError, AttributeError, TypeError) as error:
        raise ConversionError("the message is damaged or cut off; replace or exclude it") from error
    return written(mail, depth=0)


class _Message:
    def __init__(self, store: Any) -> None:
        self._store = store
        self._fixed = dict(self._fixed_properties())
        pages = (self._fixed.get(number, 0) for number in _CODE_PAGES)
        self._encoding = next((f"cp{page}" for page in pages if page and page not in {65001, 1200}), "")

    def read(self) -> Mail:
        if not self._store.exists(_PROPERTIES):
            raise ConversionError(
                "this is no Outlook message although its name says so; replace or exclude it"
            )
        if "SMIME" in self._text(_CLASS).upper() and "MULTIPARTSIGNED" not in self._text(_CLASS).upper():
            raise ConversionError("the message is encrypted; save it decrypted or exclude it")
        name, address = self._text(_SENDER_NAME), self._text(_SENDER_SMTP) or self._text(_SENDER_ADDRESS)
        # Exchange's own addresses ('/O=FIRM/…') say nothing to people.
        is_address = "@" in address and address != name
        html = self._bytes(f"__substg1.0_{_HTML}0102")
        return Mail(
            subject=self._text(_SUBJECT),
            sender=f"{name} <{address}>".strip() if is_address else name,
            to=self._text(_TO),
            cc=self._text(_CC),
            date=self._date(),
            text=self._text(_BODY),
            html=self._decoded(html) if html else self._text(_HTML),
            attachments=list(self._attachments()),
        )

    def _attachments(self) -> Iterator[Attachment]:
        folders = {path[0] for path in self._store.listdir() if path[0].startswith("__attach_version1.0")}
        for folder in sorted(folders):
            name = next(filter(None, (self._text(number, folder=f"{folder}/") for number in _FILE_NAMES)), "")
            yield Attachment(name or "attachment", self._bytes(f"{folder}/__substg1.0_{_FILE_DATA}"))

    def _text(self, number: str, *, folder: str = "") -> str:
        stem = f"{folder}__substg1.0_{number}"
        wide = self._bytes(f"{stem}001F")
        text = wide.decode("utf-16-le", "replace") if wide else self._decoded(self._bytes(f"{stem}001E"))
        return text.replace("\r\n", "\n").strip("\x00")

    def _decoded(self, data: bytes) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        try:
            return data.decode(self._encoding or "ascii")
        except (LookupError, UnicodeDecodeError):
            return decode(data)

    def _bytes(self, path: str) -> bytes:
        return bytes(self._store.openstream(path).read()) if self._store.exists(path) else b""

    def _date(self) -> str:
        ticks = self._fixed.get(_SUBMITTED) or self._fixed.get(_DELIVERED)
        if not ticks:
            return ""
        moment = _EPOCH + timedelta(microseconds=ticks // 10)
        return moment.replace(microsecond=0).isoformat()

    def _fixed_properties(self) -> Iterator[tuple[int, int]]:
        """Numbers and moments, which have no stream of their own: 16 bytes each of tag, flags and value."""
        data = self._bytes(_PROPERTIES)
        for start in range(_PROPERTIES_HEADER, len(data) - 15, 16):
            tag, _, value = struct.unpack_from("<IIQ", data, start)
            kind = tag & 0xFFFF
            if kind in {_NUMBER, _MOMENT}:
                yield tag >> 16, value if kind == _MOMENT else value & 0xFFFFFFFF
