"""What kind of answer a question asks for, and whether a statement holds one.

Patterns over English and German words, nothing learned. A question of another language, or of no clear kind, has
no expectation, and then nothing is counted for or against a statement.
"""

import re
from collections.abc import Callable
from typing import Literal

AnswerType = Literal["amount", "duration", "time", "person", "contact", "code", "place", "permission"]

_NUMBER = (
    r"(?:\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|"
    r"ninety|hundred|half|twice|once|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|zwölf)\b)"
)
_SPAN = r"(?:seconds?|minutes?|hours?|days?|nights?|weeks?|months?|years?|sekunden?|minuten?|stunden?|tage?n?|wochen?|monate?n?|jahre?n?)"

_PATTERNS: tuple[tuple[AnswerType, str], ...] = (
        ("duration", r"\bhow (?:long|soon|fast|quickly|early|late)\b|\bwie (?:lange|schnell)\b|\bnotice period\b"),
        (
            "amount",
            r"\bhow (?:many|much|often|far|high|big|large|old|heavy|tall)\b|\bwie ?(?:viele?|hoch|oft|groß)\b|"
            r"\b(?:at )?(?:what|which) (?:\w+ )?(?:speed|price|cost|rate|limit|percentage|share|amount|budget|number of)\b|"
            r"\b(?:limit|price|cost|rate|allowance|budget|bonus|per diem)\b|\bget any of the money\b|\bchip in\b",
        ),
        ("time", r"\bwhen\b|\bwhat time\b|\b(?:what|which) (?:date|day|month|year|week)\b|\bdeadline\b|\bwann\b|\bdue\b|\buntil\b"),
        (
            "contact",
            r"\be-?mail\b|\b(?:tele)?phone number\b|\bextension\b|\bhotline\b|\bcontact\b|\breach (?:out|the|them|him|her)\b|"
            r"\b(?:who|whom|where|how) (?:do|should|can|must) (?:i|we) (?:call|reach|ping|write|ask|tell)\b",
        ),
        ("person", r"\bwho\b|\bwhom\b|\bwhose\b|\bwhich (?:team|person|role|manager)\b|\bwer\b|\bwen\b|\bwem\b"),
        ("code", r"\bcommand\b|\bwhat do i (?:type|run|enter)\b|\bhost ?name\b|\bendpoint\b|\bcode\b|\burl\b|\bscript\b"),
        ("place", r"\bwhere\b|\bwo\b|\bwohin\b|\bwhich (?:room|floor|building|office|place|city|channel|folder|system)\b"),
        ("permission", r"^\s*(?:and |but |so )?(?:can|may|could|am i|are we|is it|do i (?:have|need)|must|should|darf|kann|muss)\b|\ballowed\b"),
)  # fmt: skip
_QUESTIONS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _PATTERNS)
_ANSWERS: dict[AnswerType, re.Pattern[str]] = {
    "amount": re.compile(_NUMBER, re.IGNORECASE),
    "duration": re.compile(rf"{_NUMBER}[^.;|]{{0,30}}\b{_SPAN}\b|\b\d{{1,2}}[:.]\d\d\b", re.IGNORECASE),
    "time": re.compile(
        r"\b\d{1,2}[:.]\d\d\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:19|20)\d\d\b|"
        r"\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\b|"
        r"\b(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|januar|februar|märz|mai|juni|juli|oktober|dezember)\b|"
        rf"{_NUMBER}[^.;|]{{0,20}}\b{_SPAN}\b|\bend of\b|\bbefore\b|\bafter\b|\bevery\b",
        re.IGNORECASE,
    ),
    "person": re.compile(r"(?<=[\w,] )[A-Z][a-z]+(?: [A-Z][a-z]+)?|\b(?:manager|team|lead|head|desk|officer|owner|person|director|partner)s?\b|@"),
    "contact": re.compile(r"[\w.+-]+@[\w.-]+|\bext(?:ension|\.)?\s*\d+|\+?\d[\d /-]{2,}|(?<!\w)[#@][\w-]+|https?://"),
    "code": re.compile(r"`[^`]+`|\b\w+\.\w+\.\w+\b|(?:^|\n)```|https?://|--\w"),
    "place": re.compile(r"\b(?:in|on|at|from|to|next to|behind|under|beside|opposite)\b|[\w.+-]+@[\w.-]+|https?://|(?<!\w)#[\w-]+"),
    "permission": re.compile(
        r"\b(?:may|must|can|cannot|allowed?|permitted|forbidden|prohibited|not|never|no|only|need|required?|welcome|"
        r"should|darf|dürfen|muss|müssen|kann|nicht|kein\w*|nur|erlaubt)\b",
        re.IGNORECASE,
    ),
}  # fmt: skip


def expected(question: str) -> frozenset[AnswerType]:
    """The kinds of answer the question may be after; empty when it is not clear."""
    return frozenset(kind for kind, pattern in _QUESTIONS if pattern.search(question))


def matcher(question: str) -> Callable[[str], float]:
    """A function from a statement to the share of the expected kinds that it holds, 0 to 1; 0.5 without any."""
    kinds = expected(question)
    if not kinds:
        return lambda _: 0.5
    return lambda statement: sum(bool(_ANSWERS[kind].search(statement)) for kind in kinds) / len(kinds)
