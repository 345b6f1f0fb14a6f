"""What an answer claims that can be looked up: numbers, dates, times, addresses, codes and proper names.

Strict and simple on purpose, and independent of the check that the assistant itself applies: an evaluation
that shared its code would share its blind spots. A claim is supported when the sources or the question hold
the same claim in any usual spelling (1,200 = 1 200 = 1200; twelve = 12; 2025-03-01 = 1 March 2025;
5 pm = 17:00).

Not seen: a plain capitalised word at the start of a sentence; the word "one"; ordinals in words; number words
in languages other than English; and whether a supported number is said of the right thing. 1.250 is taken for
1250. In languages that capitalise every noun, every noun counts as a name.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

_BLANKS = dict.fromkeys([0xA0, *range(0x2000, 0x200B), 0x202F, 0x3000], " ")
_SIGNS: dict[int, str | None] = {0x2018: "'", 0x2019: "'", 0x2010: "-", 0x2011: "-", 0xAD: None, 0x200B: None}

_MONTHS = "January February March April May June July August September October November December".split()
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTH_NUMBER = {name[:3].lower(): number for number, name in enumerate(_MONTHS, start=1)}


def _long_or_short(names: Iterable[str]) -> str:
    return "|".join(f"{name[:3]}(?:{name[3:]})?" for name in names) + "|Sept|Tues|Thurs"


_SMALL = {
    word: n
    for n, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen".split()
    )
} | {
    word: 10 * n for n, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
_SMALL |= {"twice": 2, "thrice": 3}
_GROUPS = {"dozen": 12, "hundred": 100}
_LARGE = {"thousand": 1000, "million": 1_000_000, "billion": 1_000_000_000}
_WORD = "|".join([*_SMALL, *_GROUPS, *_LARGE])
_UNIT_KEYS = {
    "€": "eur",
    "euro": "eur",
    "$": "usd",
    "dollar": "usd",
    "£": "gbp",
    "pound": "gbp",
    "percent": "%",
}

_MONTH = rf"(?P<month>{_long_or_short(_MONTHS)})\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?"
_YEAR = r"(?:,? (?P<year>\d{4})\b)?"

_CITATION = re.compile(r"\[\d+(?: ?[,–-] ?\d+)*\](?!\()")
_LIST_NUMBER = re.compile(rf"^[ >]*\d{{1,2}}[.)] +(?!{_MONTH})", re.MULTILINE)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_ADDRESS = re.compile(
    r"\b(?:https?://|www\.)[^\s<>()\[\]\"']+"  # a web address
    r"|(?<![\w/.])(?:~|\.{1,2})?/[\w.-]+(?:/[\w.-]*)*"  # a path
    r"|\b[\w-]*[A-Za-z][\w-]*(?:\.[\w-]+)*\.[a-z]{2,6}\b(?:/[\w./-]*)?"  # a host or a file name
)
_ISO_DATE = re.compile(r"\b(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})\b")
_SHORT_DATE = re.compile(r"\b(?P<day>\d{1,2})(?P<sign>[./])(?P<month>\d{1,2})(?P=sign)(?P<year>\d{4})\b")
_DAY_MONTH = re.compile(rf"\b{_DAY} (?:of )?{_MONTH}{_YEAR}")
_MONTH_DAY = re.compile(rf"\b{_MONTH} {_DAY}(?!\w){_YEAR}")
_TIME = re.compile(r"\b(?P<hour>\d{1,2}):(?P<minute>\d{2})(?: ?(?P<half>[ap])\.?m\b)?", re.IGNORECASE)
_HOUR = re.compile(r"\b(?P<hour>\d{1,2})(?P<minute>) ?(?P<half>[ap])\.?m\b", re.IGNORECASE)
_VERSION = re.compile(r"\bv?\d+(?:\.\d+){2,}\b")
_CODE = re.compile(r"\b(?!EUR|USD|GBP|CHF)[A-Z][A-Za-z]*[-_/]?[A-Za-z]*\d[\w-]*")
_NUMBER = re.compile(r"\d+(?:[.,']\d+)*(?: \d{3}(?!\d)(?:[.,]\d+)?)*")
_NUMBER_WORDS = re.compile(
    rf"\b(?:{_WORD})(?:(?:(?<=hundred) and |(?<=thousand) and |[ -])(?:{_WORD}))*\b", re.IGNORECASE
)
_UNIT = re.compile(r"[€$£%]|\b(?:EUR|USD|GBP|CHF|euros?|dollars?|pounds?|percent)\b", re.IGNORECASE)
_CALENDAR = re.compile(rf"\b(?:{_long_or_short(_MONTHS)}|{_long_or_short(_WEEKDAYS)})s?\b")
_NAME = re.compile(r"[^\W\d_](?:[\w&'-]*\w)?")

_GROUPED = re.compile(r"[1-9]\d{0,2}(?:([.,'])\d{3})(?:\1\d{3})*")
_GROUPED_DECIMAL = re.compile(r"(\d{1,3}(?:,\d{3})+)\.(\d+)|(\d{1,3}(?:\.\d{3})+),(\d+)")
_DECIMAL = re.compile(r"(\d+)[.,](\d+)")

_FUNCTION_WORDS = frozenset(
    "a all also an and any are as at be but by can do each every for from has have he her here his how i "
    "i'd i'll i'm i've if in is it its may must my no not note of on or our please she should so that the "
    "their then there these they this those to unless was we what when where which who why will with yes "
    "you your".split()
)
_TITLES = ("Mr.", "Mrs.", "Ms.", "Dr.", "Prof.", "St.", "e.g.", "i.e.")

Form = frozenset[str]


@dataclass(frozen=True, slots=True)
class Claim:
    """`text` as it was written; `forms` are the readings, each a set of values that must all be known."""

    text: str
    forms: tuple[Form, ...]

    def supported_by(self, known: frozenset[str]) -> bool:
        return any(form <= known for form in self.forms)


def unsupported(answer: str, *, sources: Sequence[str], question: str) -> list[str]:
    """The claims of the answer, in its words, that are neither in the source texts nor in the question."""
    known: set[str] = set()
    for text in (*sources, question):
        words = (form for word in _NAME.findall(plain(text)) for form in _name_forms(word))
        known.update(*words, *(form for claim in claims(text) for form in claim.forms))
    missing = [claim.text for claim in claims(answer) if not claim.supported_by(frozenset(known))]
    return list(dict.fromkeys(missing))


def claims(text: str) -> list[Claim]:
    """Everything in the text that can be looked up. What one rule has read is blank to the rules after it."""
    rest = _LIST_NUMBER.sub("", _CITATION.sub(" ", plain(text)))
    found: list[Claim] = []
    for pattern, read in _RULES:

        def blank(match: re.Match[str], read: Callable[[re.Match[str]], Iterable[Form]] = read) -> str:
            forms = tuple(read(match))
            if not forms:
                return match[0]
            found.append(Claim(match[0].strip(), forms))
            return re.sub(r"\w", "·", match[0])

        rest = pattern.sub(blank, rest)
    return found


def plain(text: str) -> str:
    """The text without emphasis, code marks and table pipes. Any blank becomes a space; lines stay lines."""
    text = unicodedata.normalize("NFC", text).translate(_BLANKS).translate(_SIGNS)
    return re.sub(
        r"[ \t]+", " ", re.sub(r"[*`|]+|~~|(?<!\w)_+|_+(?!\w)", lambda m: " " * ("|" in m[0]), text)
    )


def _one(*values: str) -> Iterable[Form]:
    return (frozenset(values),)


def _web(match: re.Match[str]) -> Iterable[Form]:
    address = re.sub(r"^(https?://)?(www\.)?", "", match[0].lower()).rstrip(".,;:!?/")
    return _one(f"address {address}", f"address {address.split('/')[0]}") if address else ()


def _numeric_date(match: re.Match[str]) -> Iterable[Form]:
    readings = {(int(match["month"]), int(match["day"]))}
    if match.groupdict().get("sign") == "/":
        readings.add((int(match["day"]), int(match["month"])))
    return [_date(month, day, match["year"]) for month, day in sorted(readings) if month in range(1, 13)]


def _written_date(match: re.Match[str]) -> Iterable[Form]:
    return [_date(_MONTH_NUMBER[match["month"][:3].lower()], int(match["day"]), match["year"])]


def _date(month: int, day: int, year: str | None) -> Form:
    values = {f"date {month}-{day}", f"month {_MONTHS[month - 1][:3].lower()}"}
    return frozenset(values | ({f"number {year}"} if year else set()))


def _time(match: re.Match[str]) -> Iterable[Form]:
    hour = int(match["hour"])
    if match["half"]:
        hour = hour % 12 + (12 if match["half"].lower() == "p" else 0)
    return _one(f"time {hour}:{match['minute'] or '00'}")


def _number(match: re.Match[str]) -> Iterable[Form]:
    parts = match[0].split(" ")
    joined = frozenset(_values("".join(parts)))
    return (joined, frozenset(value for part in parts for value in _values(part))) if parts[1:] else (joined,)


def _values(digits: str) -> list[str]:
    """The number without separators of thousands and idle zeros; several when it is a list such as 1,2,3."""
    whole, fraction = digits, ""
    if _GROUPED.fullmatch(digits):
        whole = re.sub(r"\D", "", digits)
    elif match := _GROUPED_DECIMAL.fullmatch(digits):
        whole, fraction = re.sub(r"\D", "", match[1] or match[3]), match[2] or match[4]
    elif match := _DECIMAL.fullmatch(digits):
        whole, fraction = match[1], match[2]
    elif not digits.isdigit():
        return [value for part in re.split(r"\D", digits) for value in _values(part)]
    fraction = fraction.rstrip("0")
    return [f"number {whole.lstrip('0') or '0'}{'.' if fraction else ''}{fraction}"]


def _number_words(match: re.Match[str]) -> Iterable[Form]:
    words = [word for word in re.split(r"[ -]", match[0].lower()) if word != "and"]
    if words == ["one"]:
        return ()
    total = current = 0
    for word in words:
        if word in _SMALL:
            current += _SMALL[word]
        elif word in _GROUPS:
            current = (current or 1) * _GROUPS[word]
        else:
            total, current = total + (current or 1) * _LARGE[word], 0
    return _one(f"number {total + current}")


def _unit(match: re.Match[str]) -> Iterable[Form]:
    unit = match[0].lower()
    unit = unit.removesuffix("s")
    return _one(f"unit {_UNIT_KEYS.get(unit, unit)}")


def _calendar(match: re.Match[str]) -> Iterable[Form]:
    key = match[0][:3].lower()
    if _starts_sentence(match) and (key in {"may", "mar"} or len(match[0]) == len(key)):
        return ()  # "May I …", "Sun …"
    return _one(f"{'month' if key in _MONTH_NUMBER else 'day'} {key}")


def _name(match: re.Match[str]) -> Iterable[Form]:
    word = match[0]
    capitals = sum(letter.isupper() for letter in word)
    if not word[0].isupper() or word.lower() in _FUNCTION_WORDS:
        return ()
    if _starts_sentence(match) and capitals == 1:
        return ()
    return _name_forms(word)


def _name_forms(word: str) -> Iterable[Form]:
    word = word.casefold().removesuffix("'s").removesuffix("'")
    whole = frozenset({f"word {word}"})
    return (whole, frozenset(f"word {part}" for part in word.split("-") if part)) if "-" in word else (whole,)


def _starts_sentence(match: re.Match[str]) -> bool:
    before = match.string[: match.start()].rstrip(" >#_\"'(“„‘«•+-")
    return before == "" or (before[-1] in ".!?…\n" and not before.endswith(_TITLES))


_RULES: Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], Iterable[Form]]]] = (
    (_EMAIL, lambda match: _one(f"address {match[0].lower()}")),
    (_ADDRESS, _web),
    (_ISO_DATE, _numeric_date),
    (_SHORT_DATE, _numeric_date),
    (_DAY_MONTH, _written_date),
    (_MONTH_DAY, _written_date),
    (_TIME, _time),
    (_HOUR, _time),
    (_VERSION, lambda match: _one(f"code {match[0].lower().lstrip('v')}")),
    (_CODE, lambda match: _one(f"code {match[0].lower().rstrip('-')}")),
    (_NUMBER, _number),
    (_NUMBER_WORDS, _number_words),
    (_UNIT, _unit),
    (_CALENDAR, _calendar),
    (_NAME, _name),
)
