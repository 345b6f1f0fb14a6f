"""Source code to Markdown: a heading for each class and function, and below it the code, fenced.

Every line of the file stands in exactly one fence, in order, so that nothing is lost. A heading carries the line on
which its fence begins as its anchor (`L12`, as git's web pages have it).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from knowledge.formats.converted import ConversionError, Converted, fenced, inline_code
from knowledge.formats.languages import LANGUAGES
from knowledge.formats.symbols import Outline, Symbol, outline
from knowledge.formats.text import decode

_LONGEST_LINES = 500
"""Characters of a line on average from which nobody has written it."""
_BLOCK = 40
"""Lines from which code without a grammar is cut at the next blank line."""


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    level: int
    first: int
    end: int
    """Lines [first, end), counted from 0."""


def convert(data: bytes, *, suffix: str) -> Converted:
    """Code has no title and no metadata."""
    language = LANGUAGES[suffix]
    # A form feed would be a page break.
    lines = decode(data).replace("\f", "").split("\n")
    average = sum(map(len, lines)) // len(lines)
    if average > _LONGEST_LINES:
        raise ConversionError(
            f"its lines have {average:,} characters on average, so it is minified or generated; exclude it"
        )
    found = outline("\n".join(lines), language) if language.module else None
    sections = _by_symbols(lines, found) if found else _by_blank_lines(lines)
    return Converted("\n\n".join(_markdown(section, lines, language.name) for section in sections).strip())


def _markdown(section: _Section, lines: Sequence[str], language: str) -> str:
    first, end = section.first, section.end
    while first < end and not lines[first].strip():
        first += 1
    while end > first and not lines[end - 1].strip():
        end -= 1
    if first == end:
        return ""
    code = fenced("\n".join(lines[first:end]), language)
    if not section.level:
        return code
    place = f"Lines {first + 1}–{end}" if end - first > 1 else f"Line {end}"
    name = inline_code(section.name) if section.name else place
    return f"{'#' * section.level} {name} {{#L{first + 1}}}\n\n{code}"


def _by_blank_lines(lines: Sequence[str]) -> Iterator[_Section]:
    first = 0
    for number in range(1, len(lines)):
        is_new = not lines[number - 1].strip() and lines[number].strip() and not lines[number][:1].isspace()
        if is_new and number - first >= _BLOCK:
            yield _Section("", 2, first, number)
            first = number
    yield _Section("", 2, first, len(lines))


def _by_symbols(lines: Sequence[str], found: Outline) -> list[_Section]:
    """The lines of the file in sections, each line in one."""
    cutter = _Cutter(lines, found)
    cutter.sections.append(_Section("", 0, 0, 0))
    cutter.cut(found.symbols, end=len(lines), level=2)
    return cutter.sections


class _Cutter:
    def __init__(self, lines: Sequence[str], found: Outline) -> None:
        self.sections: list[_Section] = []
        self._lines = lines
        self._found = found

    @property
    def _at(self) -> int:
        return self.sections[-1].end

    def cut(self, symbols: Sequence[Symbol], *, end: int, level: int) -> None:
        """Sections of these symbols and of what stands between them, up to the line `end`."""
        for symbol in symbols:
            if symbol.first < self._at:  # several on one line are one piece
                self._extend(min(end, max(self._at, symbol.last + 1)))
                continue
            self._fill(self._lead(symbol.first), level)
            head = min(
                [inner.first for inner in symbol.inner if inner.first > symbol.first], default=symbol.last + 1
            )
            first = self._at
            self.sections.append(_Section(symbol.name, level, first, symbol.first + 1))
            self._extend(max(symbol.first + 1, self._lead(head)))
            self.cut(symbol.inner, end=symbol.last + 1, level=min(6, level + 1))
            self._extend(max(self._at, symbol.last + 1))
        self._fill(end, level)

    def _lead(self, line: int) -> int:
        """Where the remarks above that line begin."""
        first = line
        while first > self._at and (first - 1 in self._found.remarks or not self._lines[first - 1].strip()):
            first -= 1
        return first

    def _fill(self, end: int, level: int) -> None:
        """What is no definition: a section of its own when it says something, else the end of the one before."""
        if end <= self._at:
            return
        says_something = any(line in self._found.statements for line in range(self._at, end))
        if says_something and self.sections[-1].level:
            self.sections.append(_Section("", level, self._at, end))
        else:
            self._extend(end)

    def _extend(self, end: int) -> None:
        last = self.sections[-1]
        self.sections[-1] = _Section(last.name, last.level, last.first, end)
