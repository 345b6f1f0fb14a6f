"""E-mail (.eml) to Markdown: a short header, the text, what is quoted in it, and the attachments.

The plain part is preferred, because the one in HTML says the same with more around it; quoted replies stay and are
marked as quotes.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from knowledge.formats.converted import ConversionError, Converted, heading
from knowledge.formats.properties import as_text, properties
from knowledge.formats.text import decode

_ENCRYPTED = frozenset({"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})
_FEWEST_HEADERS = frozenset({"from", "to", "subject", "date", "received", "message-id", "mime-version"})
_FORWARDED = re.compile(
    r"(?m)^[> ]*-{2,} ?(?:original message|forwarded message|ursprüngliche nachricht|message d'origine"
    r"|mensaje original|weitergeleitete nachricht)",
    re.IGNORECASE,
)
_RULE = re.compile(r"(?m)^[ \t]*(?:-{2,}|={2,}|_{3,}|\*{3,})[ \t]*$")
_HEADING = re.compile(r"(?m)^([ \t]{0,3})(#{1,6})(?=[ \t]|$)")
_MOST_ATTACHMENTS = 50
_DEEPEST = 3
"""Messages within messages."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """A message, whatever it was stored as."""

    subject: str = ""
    sender: str = ""
    to: str = ""
    cc: str = ""
    date: str = ""
    """As it was written."""
    text: str = ""
    html: str = ""
    attachments: Sequence[Attachment] = field(default_factory=tuple)


def convert(data: bytes, *, suffix: str) -> Converted:
    """The subject is the title; sender, receivers and date are metadata."""
    return written(_read(data), depth=0)


def written(mail: Mail, *, depth: int) -> Converted:
    """The message in Markdown; `depth` counts the messages around it."""
    metadata = properties(author=mail.sender, date=mail.date, to=mail.to, cc=mail.cc)
    lines = [
        ("From", mail.sender),
        ("To", mail.to),
        ("Cc", mail.cc),
        ("Date", metadata.get("date", mail.date)),
    ]
    # Two blanks at the end keep the lines apart.
    header = "  \n".join(f"**{name}:** {as_text(value)}" for name, value in lines if value)
    parts = [heading(mail.subject, level=1) if mail.subject.strip() else "", header, _body(mail)]
    parts += [_attached(attachment, depth) for attachment in mail.attachments[:_MOST_ATTACHMENTS]]
    return Converted("\n\n".join(part for part in parts if part), " ".join(mail.subject.split()), metadata)


def _read(data: bytes) -> Mail:
    from email import message_from_bytes, policy

    message = message_from_bytes(data, policy=policy.default)
    if not _FEWEST_HEADERS & {name.lower() for name in message.keys()}:  # noqa: SIM118 - this is no mapping
        raise ConversionError("this is no e-mail although its name says so; replace or exclude it")
    if message.get_content_type() in _ENCRYPTED and _header(message, "content-type").find("signed-data") < 0:
        raise ConversionError("the message is encrypted; save it decrypted or exclude it")
    texts: list[str] = []
    pages: list[str] = []
    attachments: list[Attachment] = []
    for part in _leaves(message):
        kind = part.get_content_type()
        name = _name(part)
        if kind == "message/rfc822":
            name = name if name.lower().endswith(".eml") else f"{name or 'message'}.eml"
            attachments.append(Attachment(name, _content(part)))
        elif part.get_content_disposition() == "attachment" or (name and not kind.startswith("text/")):
            attachments.append(Attachment(name or "attachment", _content(part)))
        elif kind == "text/html":
            pages.append(_text(part))
        elif kind.startswith("text/"):
            texts.append(_text(part))
    return Mail(
        subject=_header(message, "subject"),
        sender=_header(message, "from"),
        to=_header(message, "to"),
        cc=_header(message, "cc"),
        date=_header(message, "date"),
        text="\n\n".join(text.strip("\n") for text in texts if text.strip()),
        html="\n".join(pages),
        attachments=attachments,
    )


def _leaves(message: Any) -> list[Any]:
    """The parts that hold something, a message within the message as one; without recursion."""
    leaves, waiting = [], [message]
    while waiting:
        part = waiting.pop()
        if part.get_content_maintype() == "multipart" and isinstance(part.get_payload(), list):
            waiting.extend(reversed(part.get_payload()))
        else:
            leaves.append(part)
    return leaves


def _header(message: Any, name: str) -> str:
    with suppress(Exception):  # the headers of junk break their parser in many ways
        return " ".join(str(message[name] or "").split())
    return ""


def _name(part: Any) -> str:
    with suppress(Exception):
        return " ".join(str(part.get_filename() or "").split())
    return ""


def _content(part: Any) -> bytes:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        with suppress(Exception):
            return inner[0].as_bytes() if isinstance(inner, list) and inner else b""
        return b""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Any) -> str:
    data = _content(part)
    charset = part.get_content_charset()
    if charset and charset not in {"us-ascii", "unknown-8bit"}:
        with suppress(LookupError, UnicodeError):
            return data.decode(charset).replace("\r\n", "\n")
    with suppress(ConversionError):
        return decode(data)
    return data.decode("latin-1").replace("\r\n", "\n")


def _body(mail: Mail) -> str:
    if mail.text.strip():
        return _plain_body(mail.text)
    if mail.html.strip():
        from bs4 import BeautifulSoup

        from knowledge.formats.html import main_text

        return main_text(BeautifulSoup(mail.html, "html.parser")).strip()
    return ""


def _plain_body(text: str) -> str:
    """Text that says in Markdown what it says as it stands; what was forwarded or answered becomes a quote."""
    text = text.strip("\n")
    if forwarded := _FORWARDED.search(text):
        below = text[forwarded.start() :].split("\n")
        quoted = "\n".join(line if line.startswith(">") else f"> {line}".rstrip() for line in below)
        text = f"{text[: forwarded.start()].rstrip()}\n\n{quoted}"
    text = _RULE.sub("\n* * *\n", text)  # below a line of text it would make a heading of it
    text = _HEADING.sub(r"\1\\\2", text)
    # An answer right below a quote would be read as its last line.
    return re.sub(r"(?m)^(>.*)\n(?=[^>\n])", r"\1\n\n", text)


def _attached(attachment: Attachment, depth: int) -> str:
    """The attachment's name, and its text where it has any that can be read."""
    from pathlib import PurePosixPath

    from knowledge.conversion import convert as convert_file
    from knowledge.formats import KNOWN_TYPES

    title = heading(f"Attachment {attachment.name}", level=2)
    suffix = PurePosixPath(attachment.name).suffix.lower()
    size = f"({len(attachment.data):,} bytes)"
    if suffix not in KNOWN_TYPES or not attachment.data or depth >= _DEEPEST:
        return f"{title}\n\n{size}"
    try:
        if suffix == ".eml":
            text = written(_read(attachment.data), depth=depth + 1).text
        else:
            text = convert_file(suffix, attachment.data).text
    except ConversionError as error:
        return f"{title}\n\n{size}: {error}"
    return f"{title}\n\n{_lowered(text)}" if text.strip() else f"{title}\n\n{size}"


def _lowered(text: str) -> str:
    """Its headings below that of the attachment; its pages run into one."""
    from knowledge.markdown import headings

    lines = text.replace("\f", "\n").split("\n")
    for found in headings("\n".join(lines)):
        if lines[found.start].lstrip().startswith("#"):
            lines[found.start] = (
                "#" * min(6, found.level + 2) + " " + lines[found.start].lstrip().lstrip("#").lstrip()
            )
    return "\n".join(lines).strip()
