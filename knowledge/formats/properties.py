"""What files say about themselves, written alike for all formats: title, author, date and tags.

A date is ISO 8601: a day, or a moment with its offset where the file has one. A date that could be read in two ways
('3/4/2024') is left out rather than guessed. Digits alone are a day, a moment, or a Unix timestamp up to 2030; above,
such a number may as well be a day with its hour.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime

_LONGEST = 500
"""Characters of a value; metadata is stored with every passage."""
_LONGEST_DATE = 60
_PDF_DATE = re.compile(
    r"(?:D:)?(?P<year>\d{4})(?P<month>\d\d)?(?P<day>\d\d)?(?P<hour>\d\d)?(?P<minute>\d\d)?(?P<second>\d\d)?"
    r"(?:(?P<sign>[+-])(?P<hours>\d\d)'?(?P<minutes>\d\d)?'?|(?P<utc>Z)(?:00'?00'?)?)?"
)
_DIGITS = re.compile(r"(?:19|20)\d{6}(?:\d{6})?|2100\d{4}(?:\d{6})?")
"""Alone they are a date of these years and lengths only: most numbers are something else."""
_TIMESTAMP = re.compile(r"(1[0-8]\d{8})(?:\d{3})?")
"""In seconds or milliseconds, from 2001 to 2030."""
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})(?:[-/.](?P<day>\d{1,2}))?")
_IN_WORDS = re.compile(r"(?=.*\b\d{4}\b)(?=.*[A-Za-z]{3})(?=.*\b\d{1,2}(?:st|nd|rd|th)?\b).{8,40}")
_DATES = (
    "last_modified_at",
    "last_modified",
    "lastmod",
    "last_updated",
    "modified",
    "updated",
    "date",
    "created",
)
_AUTHORS = ("author", "authors", "creator", "by")
_TAGS = ("tags", "tag", "keywords", "categories", "category", "labels")


def properties(
    *, author: object = "", date: object = "", tags: object = "", **others: object
) -> dict[str, str]:
    """Metadata of these properties; what is empty or not understood is left out."""
    found = {"author": as_text(author), "date": as_date(date), "tags": as_tags(tags)}
    found |= {name: as_text(value) for name, value in others.items()}
    return {name: value for name, value in found.items() if value}


def normalised(values: Mapping[object, object]) -> dict[str, str]:
    """Front matter as metadata: every name as it stands, and the known ones under one name each.

    The date is that of the last change where both are given.
    """
    named = {str(name): value for name, value in values.items()}
    lower = {name.lower().replace("-", "_").replace(" ", "_"): value for name, value in named.items()}
    metadata = {name: as_text(value) for name, value in named.items()}
    metadata["author"] = next(filter(None, (as_text(lower.get(name)) for name in _AUTHORS)), "")
    metadata["date"] = next(filter(None, (as_date(lower.get(name)) for name in _DATES)), "")
    metadata["tags"] = next(filter(None, (as_tags(lower.get(name)) for name in _TAGS)), "")
    metadata["title"] = as_text(lower.get("title"))
    return {name: value for name, value in metadata.items() if value}


def as_text(value: object) -> str:
    """A scalar or a list of scalars in one line; '' for what is neither."""
    if isinstance(value, list | tuple):
        return ", ".join(
            filter(None, (as_text(item) for item in value if not isinstance(item, list | tuple)))
        )
    if isinstance(value, dict):
        return as_text(value.get("name", ""))
    if value is None or not isinstance(value, str | int | float | date):
        return ""
    text = value.isoformat() if isinstance(value, date) else str(value)
    return storable(" ".join(text[: 10 * _LONGEST].split())[:_LONGEST])


def storable(text: str) -> str:
    """Without NUL, which PostgreSQL refuses, and without lone surrogates, which UTF-8 cannot express."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def as_tags(value: object) -> str:
    """Tags separated by ', ', each once; a text is cut at its commas or semicolons."""
    items: Iterable[object] = value if isinstance(value, list | tuple) else re.split(r"[,;]", as_text(value))
    tags = (as_text(as_text(item).replace(",", " ")) for item in items)
    return ", ".join(dict.fromkeys(tag for tag in tags if tag))[:_LONGEST]


def as_date(value: object) -> str:
    """ISO 8601, or '' for what is no date."""
    if isinstance(value, datetime):
        return value.replace(microsecond=0).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = as_text(value)
    if not re.search(r"\d{4}", text) or len(text) > _LONGEST_DATE:
        return ""
    for read in (_iso, _timestamp, _pdf_date, _year_first, _mail_date, _in_words):
        try:
            if found := read(text):
                return found
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return ""


def _iso(text: str) -> str:
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return ""
    if len(text) == len("2024-05-01"):
        return date.fromisoformat(text).isoformat()
    return as_date(datetime.fromisoformat(text.replace(" UTC", "Z")))


def _timestamp(text: str) -> str:
    match = _TIMESTAMP.fullmatch(text)
    return as_date(datetime.fromtimestamp(int(match[1]), UTC)) if match else ""


def _pdf_date(text: str) -> str:
    """See ISO 32000-1, 7.9.4; many programs leave out parts of it."""
    if text.isdecimal() and not _DIGITS.fullmatch(text):
        return ""
    match = _PDF_DATE.fullmatch(text)
    if match is None or (match["month"] is None and not text.startswith("D:")):
        return ""
    day = date(int(match["year"]), int(match["month"] or 1), int(match["day"] or 1)).isoformat()
    if match["minute"] is None:
        return day
    offset = "+00:00" if match["utc"] else ""
    if match["sign"]:
        offset = f"{match['sign']}{match['hours']}:{match['minutes'] or '00'}"
    return as_date(
        datetime.fromisoformat(f"{day}T{match['hour']}:{match['minute']}:{match['second'] or '00'}{offset}")
    )


def _year_first(text: str) -> str:
    match = _YEAR_FIRST.match(text)
    if match is None:
        return ""
    return date(int(match["year"]), int(match["month"]), int(match["day"] or 1)).isoformat()


def _mail_date(text: str) -> str:
    from email.utils import parsedate_to_datetime

    return as_date(parsedate_to_datetime(text))


def _in_words(text: str) -> str:
    if not _IN_WORDS.fullmatch(text):
        return ""
    from dateutil import parser

    return as_date(parser.parse(text).date())
