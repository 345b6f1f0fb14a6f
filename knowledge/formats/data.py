"""JSON, YAML and TOML to Markdown that people can read: sections by key, records as sections, the rest as lists.

What is written is bounded: a file that means more than `MAX_CHARACTERS` is refused, as YAML's aliases are followed and
a file can mean far more than it holds. Long rows of numbers and encoded binaries are shortened, and what is nested
deeper than some 16 levels is left out, each with a mark in its place; no other text is.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

from knowledge.formats.converted import MAX_CHARACTERS, ConversionError, Converted, fenced, heading
from knowledge.formats.properties import normalised
from knowledge.formats.text import decode

_LONGEST_NAME = 120
_SECTION = 600
"""Characters up to which a value is one list; above, its parts become sections."""
_BLOCK = 20_000
"""Characters of a list from which on the rest of it is another block, so that what has no end is noticed."""
_DEEPEST = 12
"""Levels of nested lists; what is below is left out."""
_DEEPEST_SECTION = 5
_NUMBERS = 20
"""Scalars of a list that is written in one line."""
_WORDS = {"None": "(none)", "True": "yes", "False": "no"}
_SHORT = 60
"""Characters of a scalar that is written beside others."""
_NAMES = ("title", "name", "question", "label", "id", "key", "slug", "subject", "summary")
"""Keys by which a record is called, best first."""
_ENCODED = re.compile(r"(?:data:[\w/+.-]+;base64,)?[A-Za-z0-9+/=_-]{300,}")
_TEMPLATE = re.compile(r"\{\{|\{%")


def convert(data: bytes, *, suffix: str) -> Converted:
    """The title and the metadata are those that the outermost mapping states under their usual names."""
    text = decode(data)
    if not text.strip():
        return Converted("")
    if suffix in {".yaml", ".yml"}:
        values = _yaml(text)
        if values is None:
            return Converted(fenced(text, "yaml"))
    else:
        values = [_toml(text)] if suffix == ".toml" else _json(text, is_lines=suffix != ".json")
    value = values[0] if len(values) == 1 else values
    metadata: dict[str, str] = {}
    if isinstance(value, dict):
        known = normalised(value)
        metadata = {name: known[name] for name in ("author", "date", "tags") if name in known}
    title = value.get("title") if isinstance(value, dict) else None
    return Converted(_written(value), title if isinstance(title, str) else "", metadata)


def _json(text: str, *, is_lines: bool) -> list[Any]:
    try:
        if not is_lines:
            return [json.loads(text)]
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    except json.JSONDecodeError as error:
        raise ConversionError(
            f"the file is no valid JSON ({error.msg} in line {error.lineno}); repair or exclude it"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; brackets without end
        raise ConversionError("the file is no JSON that can be read; repair or exclude it") from error


def _toml(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConversionError(f"the file is no valid TOML ({error}); repair or exclude it") from error


def _yaml(text: str) -> list[Any] | None:
    """The documents in the file; None for a template that becomes YAML only when it is filled in."""
    import yaml

    from knowledge.formats import careful_yaml

    try:
        return [document for document in careful_yaml.load_all(text) if document is not None]
    except yaml.MarkedYAMLError as error:
        if _TEMPLATE.search(text):
            return None
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConversionError(
            f"the file is no valid YAML ({error.problem} in line {line}); repair or exclude it"
        ) from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ConversionError("the file is no YAML that can be read; repair or exclude it") from error


def _written(value: object) -> str:
    parts: list[str] = []
    length = 0
    for part in _Writer().sections(value, level=2):
        length += len(part) + 2
        if length > MAX_CHARACTERS:
            raise ConversionError(
                f"the file holds more than {MAX_CHARACTERS:,} characters of text, which is the limit; "
                "split or exclude it"
            )
        parts.append(part)
    return "\n\n".join(parts)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes values part by part, so that a value without end costs no more than what is taken of it.

    Every value that is looked at gives at least one line.
    """

    def sections(self, value: object, *, level: int) -> Iterator[str]:
        """Paragraphs, headings and lists."""
        if not isinstance(value, dict | list) or level > _DEEPEST_SECTION or self._is_short(value):
            yield from self._list_blocks(value)
            return
        if isinstance(value, list):
            if not any(isinstance(item, dict | list) for item in value[:100]):
                yield from self._list_blocks(value)
                return
            for number, item in enumerate(value, start=1):
                yield heading(_record_name(item) or f"Entry {number}", level=level)
                yield from self.sections(item, level=level + 1)
            return
        plain = {key: item for key, item in value.items() if not isinstance(item, dict | list)}
        if plain:
            yield from self._list_blocks(plain)
        for key, item in value.items():
            if isinstance(item, dict | list):
                yield heading(_key(key) or "(no name)", level=level)
                yield from self.sections(item, level=level + 1)

    def _list_blocks(self, value: object) -> Iterator[str]:
        """Lists of many lines each."""
        if not isinstance(value, dict | list):
            yield _text(value)
            return
        block: list[str] = []
        length = 0
        for line in self._lines(value, 0):
            block.append(line)
            length += len(line)
            if length > _BLOCK:
                yield "\n".join(block)
                block, length = [], 0
        if block:
            yield "\n".join(block)

    def _is_short(self, value: object) -> bool:
        lines = self._lines(value, 0)
        return (
            sum(len(line) for line in islice(lines, _SECTION // 10)) < _SECTION and next(lines, None) is None
        )

    def _lines(self, value: object, depth: int) -> Iterator[str]:
        indent = "  " * depth
        if depth > _DEEPEST:
            yield f"{indent}- …"
        elif isinstance(value, dict):
            if not value:
                yield f"{indent}- (empty)"
            for key, item in value.items():
                yield from self._entry(f"{indent}- **{_key(key)}**:", item, depth)
        elif isinstance(value, list):
            yield from self._items(value, depth)
        else:
            yield f"{indent}- {_indented(_text(value), indent)}"

    def _items(self, value: list[Any], depth: int) -> Iterator[str]:
        indent = "  " * depth
        if not value:
            yield f"{indent}- (empty)"
        elif all(isinstance(item, int | float) for item in value[: 2 * _NUMBERS]) and len(value) > _NUMBERS:
            shown = ", ".join(_text(item) for item in value[:_NUMBERS])
            yield f"{indent}- {shown}, … ({len(value):,} in all)"
        else:
            for number, item in enumerate(value, start=1):
                if isinstance(item, dict | list) and item:
                    short = _in_one_line(item)
                    yield f"{indent}- {short or f'{_record_name(item) or number}:'}"
                    if not short:
                        yield from self._lines(item, depth + 1)
                else:
                    yield f"{indent}- {_indented(_text(item), indent)}"

    def _entry(self, opening: str, item: object, depth: int) -> Iterator[str]:
        if isinstance(item, dict | list) and item:
            short = _in_one_line(item) if isinstance(item, list) else ""
            yield f"{opening} {short}" if short else opening
            if not short:
                yield from self._lines(item, depth + 1)
        else:
            yield f"{opening} {_indented(_text(item), '  ' * depth)}"


def _in_one_line(value: dict[Any, Any] | list[Any]) -> str:
    """A few short scalars; '' for anything else."""
    items = value.values() if isinstance(value, dict) else value
    if len(value) > _NUMBERS or any(isinstance(item, dict | list) for item in items):
        return ""
    texts = [_text(item) for item in items]
    if any(len(text) > _SHORT or "\n" in text for text in texts):
        return ""
    if isinstance(value, dict):
        return "; ".join(f"**{_key(key)}**: {text}" for key, text in zip(value, texts, strict=True))
    return ", ".join(texts)


def _record_name(value: object) -> str:
    if not isinstance(value, dict):
        return ""
    names = {str(key).lower(): item for key, item in value.items()}
    for key in _NAMES:
        name = names.get(key)
        if (
            isinstance(name, str | int)
            and not isinstance(name, bool)
            and 0 < len(str(name).strip()) <= _LONGEST_NAME
        ):
            return str(name).strip()
    metadata = names.get("metadata")
    kind = names.get("kind")
    name = _record_name(metadata) if isinstance(metadata, dict) else ""
    return f"{kind} {name}" if name and isinstance(kind, str) else name


def _key(key: object) -> str:
    return " ".join(_text(key).split())[:_LONGEST_NAME]


def _text(value: object) -> str:
    if isinstance(value, str):
        text = value.strip() or "(empty)"
        if _ENCODED.fullmatch(text):
            return f"{text[:20]}… ({len(text):,} characters)"
        return text
    if isinstance(value, dict | list):
        return "…" if value else "(empty)"
    if isinstance(value, date):
        return value.isoformat()
    return _WORDS.get(str(value), str(value))


def _indented(text: str, indent: str) -> str:
    """Lines after the first belong to the list's item."""
    return text.replace("\n", f"\n{indent}  ")
