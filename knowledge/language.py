"""In which natural language a text is, found offline by py3langid (139 languages).

It is told only where it is clear, because a wrong language does more harm than none. Code, addresses and markup do not
count. What is short, or mostly names and numbers, has no language of its own.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

_FENCES = re.compile(r"^[ \t>]*(`{3,}|~{3,}).*?(?:^[ \t>]*\1|\Z)", re.DOTALL | re.MULTILINE)
_NO_WORDS = re.compile(
    r"`[^`\n]*`|<[^<>\n]*>|\{[%{].*?[%}]\}|\{:.*?\}|https?://\S+|(?<=\])\([^)\s]*\)|\S*[\d_/\\@=]\S*"
)
"""Code within a line, HTML, template tags, addresses, and words with a character that no language has in words."""
_NO_LETTERS = re.compile(r"[^\w\s]|_")
_MARKUP = 5
"""Times as much of the text is read as prose is wanted."""


@dataclass(frozen=True, slots=True)
class _Clear:
    """From when on a language is told."""

    fewest: int
    """Bytes of prose."""
    most: int
    """Characters of prose that are looked at: time grows with them."""
    probability: float


_CLEAR_DOCUMENT = _Clear(60, 1_000, 0.6)
_CLEAR_PASSAGE = _Clear(150, 400, 0.95)


def document_language(text: str) -> str:
    """The language that a Markdown text is in, mostly, as ISO 639-1; '' when that is not clear."""
    return _language(text, _CLEAR_DOCUMENT)


def passage_language(text: str, *, document: str) -> str:
    """The language of a part of a document; that of the `document` unless it is clearly another one."""
    return _language(text, _CLEAR_PASSAGE) or document


def _language(text: str, clear: _Clear) -> str:
    prose = _prose(text[: _MARKUP * clear.most])[: clear.most]
    if len(prose.encode()) < clear.fewest:
        return ""
    language, probability = _identifier().classify(prose)
    return str(language) if probability >= clear.probability else ""


def _prose(text: str) -> str:
    """The words of a text."""
    words = _NO_WORDS.sub(" ", _FENCES.sub(" ", text))
    return " ".join(_NO_LETTERS.sub(" ", words).split())


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
