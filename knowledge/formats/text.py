"""Plain text and Markdown: which encoding the bytes are in, and the front matter above the text.

Needs no parser that could hang, explode or crash, so it may run in Parley's own process.
"""

import codecs
import re
from typing import Any

from knowledge.formats.converted import ConversionError, Converted
from knowledge.formats.properties import normalised

_MARKDOWN_TYPES = frozenset({".md", ".markdown"})
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CANDIDATES = [
    "cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
    "shift_jis", "cp932", "euc_jp", "iso2022_jp", "gb18030", "big5", "euc_kr", "cp949", "tis_620",
    "mac_roman", "cp437", "cp850",
]  # fmt: skip
_GOOD_FOR_BAD = 20
"""Characters of UTF-8 for each bad byte, from which a text is taken to be UTF-8 that was damaged."""
_SAMPLE = 32_000
"""Bytes from which an encoding is guessed."""
_LATIN = frozenset({"cp1250", "cp1254", "cp1257", "mac_roman", "cp437", "cp850"})
"""Encodings that are hard to tell from the commonest one, cp1252, by a few letters."""
_FEW = 8
_WIDE = (
    ("utf-32-le", 0, (2, 3)),
    ("utf-32-be", 3, (0, 1)),
    ("utf-16-le", 0, (1, 3)),
    ("utf-16-be", 1, (0, 2)),
)
"""Of four bytes, the place of a character's lowest, and those that are zero in most texts."""
_MANY_ZEROS = 0.4
_FEW_ZEROS = 0.1
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_MOST_CONTROLS = 0.005
"""Share of control characters from which bytes are no text; random bytes have a tenth."""
_YAML = re.compile(r"\A---[ \t]*\n(.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(.*?\n)?\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL)
_LONGEST_FRONT_MATTER = 64_000


def convert(data: bytes, *, suffix: str) -> Converted:
    """Text as it stands; of Markdown the front matter becomes metadata, plain text gets Markdown's headings."""
    text = decode(data)
    if suffix in _MARKDOWN_TYPES:
        metadata, text = front_matter(text)
        return Converted(text, metadata.get("title", ""), metadata)
    if suffix == ".txt":
        from knowledge.layout import plain_headings

        text = plain_headings(text)
    return Converted(text)


def decode(data: bytes) -> str:
    """The text of these bytes, with `\\n` as line ends; raises ConversionError when they are none.

    UTF-8, UTF-16 and UTF-32 are recognised for certain, all others are guessed.
    """
    text = _decoded(data)
    if len(_CONTROLS.findall(text)) > _MOST_CONTROLS * len(text):
        raise _no_text()
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if b"\x00" in data:
        return _wide(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        # A single bad byte, or a file that was cut, does not make the rest another encoding.
        text = data.decode("utf-8", "replace")
        if _is_mostly_utf8(text):
            return text
        encoding = _guess(data, error.start)
    return data.decode(encoding, "replace")


def _is_mostly_utf8(text: str) -> bool:
    bad = text.count("\ufffd")
    good = sum(not char.isascii() for char in text) - bad
    return good > _GOOD_FOR_BAD * bad


def _wide(data: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: the zeros of its many ASCII characters stand in the same places."""
    sample = data[:_SAMPLE]
    quarter = len(sample) / 4
    zeros = [sample[place::4].count(0) / quarter for place in range(4)] if quarter else []
    for encoding, lowest, high in _WIDE:
        if zeros and zeros[lowest] < _FEW_ZEROS and all(zeros[place] > _MANY_ZEROS for place in high):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                continue
    raise _no_text()


def _guess(data: bytes, start: int) -> str:
    """The encoding, judged by the lines that are not ASCII."""
    from charset_normalizer import from_bytes

    head = data[max(0, start - 2_000) :]
    lines = [line for line in head[: 20 * _SAMPLE].splitlines(keepends=True) if not line.isascii()]
    sample = b"".join(lines)[:_SAMPLE]
    best = from_bytes(sample, cp_isolation=_CANDIDATES).best()
    if best is None:
        raise _no_text()
    is_doubtful = best.encoding in _LATIN and sum(byte > 127 for byte in sample) < _FEW  # noqa: PLR2004 - ASCII's last
    return "cp1252" if is_doubtful else best.encoding


def front_matter(text: str) -> tuple[dict[str, str], str]:
    """What stands above a Markdown text between two lines of `---` (YAML) or `+++` (TOML), and the text without it.

    What is no mapping is text: a thematic break at the start of a page is legal Markdown.
    """
    head = text[:_LONGEST_FRONT_MATTER]
    for pattern, parse in ((_YAML, _yaml), (_TOML, _toml)):
        if match := pattern.match(head):
            values = parse(match[1] or "")
            if isinstance(values, dict):
                return normalised(values), text[match.end() :]
    return {}, text


def _yaml(source: str) -> Any:
    import yaml

    from knowledge.formats import careful_yaml

    try:
        values = careful_yaml.load_all(source)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return None
    return values[0] if values and values[0] is not None else {}


def _toml(source: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(source)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _no_text() -> ConversionError:
    return ConversionError("this is no text file although its name says so; replace or exclude it")
