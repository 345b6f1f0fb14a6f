"""Narrowing a search down to some sources, tags and days, also by words in a question: `in:handbook since:2026-01`.

What a filter leaves out is left out before anything is ranked. It only ever takes away: who may see a source is decided
before, in `knowledge.access`, and only sources that may be seen are ever named in a sentence here.

What looks like a filter and is none stays text: "in: the box", "before:lunch", what stands in code or an address. A
document whose day is not known is left out as soon as days are asked for.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from difflib import SequenceMatcher

from knowledge.documents import Chunk
from knowledge.errors import FilterError

_FILTER = re.compile(
    r"""(?<!\S)(?P<key>in|sources?|tags?|after|since|before|until|on|during):
    (?P<value>["“][^"“”`<>\n]{1,60}["”]|[^\W_][\w./-]*(?:,[^\W_][\w./-]*)*)
    (?:[,;:](?=\s)|(?=[.,;:!?]*(?:\s|\Z)))""",
    re.IGNORECASE | re.VERBOSE,
)
"""Alone between spaces, and with no space within; a comma that parts it from the question belongs to it."""
_CODE = re.compile(r"```.*?(?:```|\Z)|(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_NAME = re.compile(r"[\w-]+")
_DAY = re.compile(r"(?P<year>(?:19|20)\d\d)(?:[-/.](?P<month>\d{1,2})(?:[-/.](?P<day>\d{1,2}))?)?")
_GERMAN_DAY = re.compile(r"(?:(?P<day>\d{1,2})\.)?(?P<month>\d{1,2})\.(?P<year>(?:19|20)\d\d)")
_AGO = re.compile(r"(?P<count>\d{1,3})(?P<unit>[dwmy])", re.IGNORECASE)
_NEARLY_A_DAY = re.compile(r"\d{1,4}(?:[-/.]\d{1,4}){1,2}")
_MOST_NAMED = 12

_Period = tuple[date, date]
"""The first day, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a chunk must be like; the empty filter, which is false, lets everything through."""

    sources: frozenset[str] = frozenset()
    """Names; empty: any."""
    tags: frozenset[str] = frozenset()
    """All of which the document must have, in lower case."""
    after: date | None = None
    """The first day that counts. A document without a date is left out by either bound."""
    before: date | None = None
    """The first day that does not count any more."""
    source_tags: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)
    """By source the tags that all of its documents have beside their own, in lower case."""

    def __bool__(self) -> bool:
        return bool(self.sources or self.tags or self.after or self.before)

    def admits(self, chunk: Chunk) -> bool:
        """Whether the chunk is searched."""
        if self.sources and chunk.source not in self.sources:
            return False
        if self.tags and not self.tags <= tags_of(chunk) | self.source_tags.get(chunk.source, frozenset()):
            return False
        if self.after is None and self.before is None:
            return True
        day = date_of(chunk)
        return (
            day is not None
            and (self.after is None or day >= self.after)
            and (self.before is None or day < self.before)
        )

    def over(self, earlier: "Filter") -> "Filter":
        """This filter, and where it says nothing of sources, tags or days, what the `earlier` one says of them."""
        days = self if self.after or self.before else earlier
        return replace(
            self,
            sources=self.sources or earlier.sources,
            tags=self.tags or earlier.tags,
            after=days.after,
            before=days.before,
            source_tags={**earlier.source_tags, **self.source_tags},
        )

    @property
    def sentence(self) -> str:
        """For people, what was searched; empty for the empty filter."""
        parts = []
        if self.sources:
            parts.append(f"in {_listed(sorted(self.sources))}")
        if self.tags:
            parts.append(f"at what is tagged {_listed(sorted(self.tags))}")
        if self.after and self.before == self.after + timedelta(days=1):
            parts.append(f"at what was changed on {self.after}")
        elif self.after and self.before:
            parts.append(f"at what was changed from {self.after} to {self.before - timedelta(days=1)}")
        elif self.after:
            parts.append(f"at what was changed on {self.after} or later")
        elif self.before:
            parts.append(f"at what was changed before {self.before}")
        return f"I looked only {', and there '.join(parts)}." if parts else ""


EVERYTHING = Filter()


def parse(question: str, *, sources: Mapping[str, Collection[str]], today: date) -> tuple[str, Filter]:
    """The question without its filters, and what they say.

    `sources` are those that may be seen here, each with the tags of all its documents. `in:` and `source:` name
    sources, `tag:` tags; several with commas between them, or one in quotation marks. `since:` and `after:` name the
    first day that counts, `until:` the last one, `before:` the first that counts no more; `on:` and `during:` both
    ends. A day is 2026-01-31 or 31.01.2026, and half of one stands for all its days: 2026-01, 2026. So do `today`,
    `yesterday` and 7d, 2w, 3m or 1y, for so long ago.

    Raises FilterError: a source is not among `sources`, or a day does not exist, or no day is left.
    """
    chosen: set[str] = set()
    tags: set[str] = set()
    after: date | None = None
    before: date | None = None
    for match in _filters(question):
        key, value = match["key"].casefold(), match["value"]
        period = None if key.startswith(("source", "tag")) else _period(value, today)
        if key.startswith("tag"):
            tags.update(_names(value))
        elif period is None or (key == "in" and value.casefold() in sources):
            chosen.update(_known(name, sources) for name in _names(value))
        else:
            first, end = period
            if key not in {"before", "until"}:
                after = max(after or first, first)
            if key not in {"after", "since"}:
                end = first if key == "before" else end
                before = min(before or end, end)
    if after and before and after >= before:
        raise FilterError(
            f"No day is on or after {after} and before {before}; give other days, or one of them."
        )
    given = {name: frozenset(tag.casefold() for tag in own) for name, own in sources.items() if own}
    return without_filters(question), Filter(frozenset(chosen), frozenset(tags), after, before, given)


def without_filters(text: str) -> str:
    """The text without what `parse` would take for filters, whether it names sources that there are or not."""
    rest, start = "", 0
    for match in _filters(text):
        rest += text[start : match.start()].rstrip(" \t")
        start = match.end()
    return (rest + text[start:]).strip() if start else text


def tags_of(chunk: Chunk) -> frozenset[str]:
    """Of its document, in lower case."""
    tags = (tag.strip().casefold() for tag in chunk.metadata.get("tags", "").split(","))
    return frozenset(tag for tag in tags if tag)


def date_of(chunk: Chunk) -> date | None:
    """The day of its document's last change; None when that is not known."""
    try:
        return date.fromisoformat(chunk.metadata.get("date", "")[:10])
    except ValueError:
        return None


def _filters(text: str) -> Iterator[re.Match[str]]:
    code = [match.span() for match in _CODE.finditer(text)]
    for match in _FILTER.finditer(text):
        if any(start <= match.start("key") < end for start, end in code):
            continue
        key, value = match["key"].casefold(), match["value"]
        is_day = bool(_NEARLY_A_DAY.fullmatch(value) or _looks_like_a_day(value))
        if key.startswith(("in", "source", "tag")):
            quoted = value[0] in '"“'
            if quoted or all(_NAME.fullmatch(name) for name in value.split(",")) or (key == "in" and is_day):
                yield match
        elif is_day:
            yield match


def _names(value: str) -> list[str]:
    quoted = value[0] in '"“'
    names = [value[1:-1]] if quoted else value.split(",")
    return [" ".join(name.split()).casefold() for name in names]


def _known(name: str, sources: Iterable[str]) -> str:
    """The source; raises FilterError."""
    for source in sources:
        if source.casefold() == name:
            return source
    nearest = sorted(sources, key=lambda source: -SequenceMatcher(None, name, source.casefold()).ratio())
    if not nearest:
        raise FilterError(f"There is no source named {name!r}, and no other one that I may use here.")
    more = f" and {len(nearest) - _MOST_NAMED} more" if len(nearest) > _MOST_NAMED else ""
    there = ", ".join(nearest[:_MOST_NAMED]) + more
    raise FilterError(f"There is no source named {name!r} that I may use here; ask in one of: {there}.")


def _looks_like_a_day(value: str) -> bool:
    value = value.casefold()
    return value in {"today", "yesterday"} or any(
        pattern.fullmatch(value) for pattern in (_DAY, _GERMAN_DAY, _AGO)
    )


def _period(value: str, today: date) -> _Period | None:
    """The days that it stands for; None when it is no day. Raises FilterError when it is one that does not exist."""
    value = value.casefold()
    try:
        if value in {"today", "yesterday"}:
            return _one_day(today - timedelta(days=value == "yesterday"))
        if match := _AGO.fullmatch(value):
            return _one_day(_ago(today, int(match["count"]), match["unit"]))
        if match := _DAY.fullmatch(value) or _GERMAN_DAY.fullmatch(value):
            year = int(match["year"])
            if match["month"] is None:
                return date(year, 1, 1), date(year + 1, 1, 1)
            month = int(match["month"])
            if match["day"] is None:
                return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
            return _one_day(date(year, month, int(match["day"])))
    except (ValueError, OverflowError):
        pass
    else:
        if not _NEARLY_A_DAY.fullmatch(value):
            return None
    raise FilterError(f"{value!r} is no day that I understand; write it as 2026-01-31, 2026-01 or 2026.")


def _one_day(day: date) -> _Period:
    return day, day + timedelta(days=1)


def _ago(today: date, count: int, unit: str) -> date:
    if unit in "dw":
        return today - timedelta(days=count * (7 if unit == "w" else 1))
    year, month = divmod(today.year * 12 + today.month - 1 - count * (12 if unit == "y" else 1), 12)
    return min(date(year, month + 1, 1) + timedelta(days=today.day - 1), _last(year, month + 1))


def _last(year: int, month: int) -> date:
    """Of a month."""
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
