"""The checkable parts of a sentence: numbers, dates, amounts, addresses, code and proper names.

Pure functions over text. A fact is a normalised string, so that `1,200`, `1 200` and `1200` are one number and
`five` equals `5`. What this does not do: understand. It errs towards calling a word a fact, because a fact that
cannot be found in the documents costs a sentence, and a missed one can mislead a person.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = ("twenty thirty forty fifty sixty seventy eighty ninety").split()
_OTHER = {
    "hundred": "100", "thousand": "1000", "million": "1000000", "billion": "1000000000", "dozen": "12",
    "half": "0.5", "quarter": "0.25", "double": "2", "twice": "2", "triple": "3", "thrice": "3",
    "first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7",
    "eighth": "8", "ninth": "9", "tenth": "10",
}  # fmt: skip
NUMBER_WORDS: dict[str, str] = (
    {word: str(value) for value, word in enumerate(_UNITS)}
    | {word: str(10 * value) for value, word in enumerate(_TENS, start=2)}
    | _OTHER
)
# "one" is a pronoun far more often than a number, unless something countable follows.
_COUNTED_ONE = re.compile(
    r"\bone (?:calendar |working |business |full |half |more )?"
    r"(?:second|minute|hour|day|night|week|month|quarter|year|time|percent|people|person|copy|item|euro|dollar)s?\b",
    re.IGNORECASE,
)

_MONTHS = (
    "january february march april may june july august september october november december jan feb mar "
    "apr jun jul aug sep sept oct nov dec"
).split()
_DAYS = ("monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun").split()
WEEKDAYS = frozenset(_DAYS)
# Lower-case "may", "march", "sun" and "sat" are ordinary words.
CALENDAR = frozenset(_MONTHS + _DAYS) - {"may", "march", "mar", "jan", "dec", "sun", "sat", "wed", "mon"}

# Words that begin sentences without naming anything. Any other capitalised word is taken for a name.
STARTERS = frozenset(
    """
    a about according accordingly additionally after afterwards all also although always an and any
    anyone anything are as ask at based be because before below between both but by can check contact
    consider currently did do does during each either employees ensure every everyone everything except
    finally first follow for from furthermore generally get give had has have he hence her here his how
    however i if in including instead is it its just keep let like make many may more moreover most must
    my need neither never next no nobody none nor not note nothing of on once only open or other
    otherwise our over people per please prior provided rather remember see select send several she
    should similarly since so some someone specifically such sure take than thank that the their them
    then there therefore these they this those though through thus to typically under unless until up
    upon use using usually was we were what when whenever where whereas whether which while who whoever
    whom whose why will with within without would yes you your yours
    """.split()
)

_TECHNICAL = re.compile(
    r"`[^`\n]+`"  # code spans
    r"|https?://[^\s<>()\[\]]+"
    r"|(?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)+"  # e-mail addresses
    r"|(?<![\w/])(?:(?<![.-])|(?=[~/]))[~.]?/?[\w.-]+(?:/[\w.-]+)+"  # paths
    r"|\b\w+(?:[._]\w+)+\b"  # host.name, file.md, snake_case, 1.2.3
    r"|(?<![\w-])--?[a-z][\w-]*"  # --flags
    r"|(?<!\w)[#$@][\w-]+"  # #channel, $VARIABLE, @handle
)
_NUMBER = re.compile(r"\d+(?:[.,'’\u00a0\u202f ]\d{3})*(?:[.,:]\d+)*")
_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
_CITATION = re.compile(r"\s?\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]")
_MARKUP = re.compile(r"[*_]{1,3}(?=\S)|(?<=\S)[*_]{1,3}(?=\W|$)|^#{1,6}\s+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a sentence states that can be looked up."""

    numbers: frozenset[str]
    technical: frozenset[str]
    """Addresses, paths, code and identifiers, lower-case."""
    names: frozenset[str]
    """Capitalised words and calendar words, lower-case."""

    def __bool__(self) -> bool:
        return bool(self.numbers or self.technical or self.names)


def strip_citations(text: str) -> str:
    """The text without `[1]`, `[2, 3]`."""
    return _CITATION.sub("", text)


def citations(text: str) -> list[int]:
    """The numbers cited in the text, in order, each once."""
    found = (int(n) for match in _CITATION.finditer(text) for n in match.group(1).split(","))
    return list(dict.fromkeys(found))


def fold(text: str) -> str:
    """Lower case, compatible forms (ﬁ → fi, non-breaking space → space), straight quotes, single spaces."""
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‑", "-").casefold()
    return " ".join(text.split())


def words(text: str) -> list[str]:
    """Words in lower case without a possessive ending; hyphenated words also in parts."""
    found: list[str] = []
    for match in _WORD.finditer(fold(text)):
        word = match.group().removesuffix("'s").rstrip("'")
        found.append(word)
        if "-" in word or "'" in word:
            found.extend(part for part in re.split(r"['-]", word) if part)
    return found


def numbers(text: str) -> frozenset[str]:
    """Every number in the text, digits or words, in one spelling."""
    folded = fold(text)
    found = set(_digit_numbers(folded))
    found |= {NUMBER_WORDS[word] for word in words(folded) if word in NUMBER_WORDS and word != "one"}
    if _COUNTED_ONE.search(folded):
        found.add("1")
    return frozenset(found)


def facts(sentence: str) -> Facts:
    """The facts of one sentence written by a model; citation marks and emphasis are not part of it."""
    text = _MARKUP.sub("", strip_citations(sentence))
    technical = {_clean(match.group()) for match in _TECHNICAL.finditer(text)}
    technical = {token for token in technical if token and not _is_number(token)}
    prose = _TECHNICAL.sub(lambda m: m.group() if _is_number(_clean(m.group())) else " ", text)
    return Facts(
        numbers=numbers(prose),
        technical=frozenset(technical),
        names=frozenset(_names(prose)),
    )


def _names(text: str) -> Iterator[str]:
    at_start = True
    end = 0
    for match in _WORD.finditer(text):
        gap = text[end : match.start()]
        at_start = at_start or bool(re.search(r"[.!?:\n•|]", gap))
        word = match.group().replace("’", "'").removesuffix("'s")
        lower = word.casefold()
        if lower in CALENDAR or (
            word[0].isupper() and lower != "i" and not (at_start and _starts_a_sentence(lower))
        ):
            yield lower
        elif not at_start and any(c.isupper() for c in word[1:]):
            yield lower  # camelCase
        at_start, end = False, match.end()


def _starts_a_sentence(word: str) -> bool:
    return word in STARTERS or word in NUMBER_WORDS or word.split("'", maxsplit=1)[0] in STARTERS


def _digit_numbers(folded: str) -> Iterator[str]:
    for match in _NUMBER.finditer(folded):
        yield normalise_number(match.group())


def normalise_number(text: str) -> str:
    """`1,200` → 1200, `2.50` → 2.5, `09:00` → 9:00; a comma or point before three digits separates thousands."""
    if ":" in text:
        return ":".join(part.lstrip("0") or "0" if i == 0 else part for i, part in enumerate(text.split(":")))
    text = re.sub(r"[.,'’\s\u00a0\u202f](?=\d{3}(?:\D|$))", "", text)
    text = text.replace(",", ".")
    if text.count(".") == 1:
        text = text.rstrip("0").rstrip(".")
    return text.lstrip("0") or "0" if not text.startswith("0.") else text


def _is_number(token: str) -> bool:
    return bool(_NUMBER.fullmatch(token))


def _clean(token: str) -> str:
    return fold(token.strip("`")).rstrip(".,;:!?)'\"").strip()
