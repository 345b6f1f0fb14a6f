"""Text to terms: words in lower case, cut to their stems; pairs of characters where a script has no spaces.

The stemmers are Snowball's, as Tantivy has them. A language without one keeps its words whole. The language of a text
is told, not guessed; a wrong one costs a few matches between forms of a word, never the word itself.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

STEMMERS = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
"""Snowball's name of each language that can be stemmed, by ISO 639-1."""
WHOLE = ""
"""The language of text whose words are kept whole."""
_LONGEST_TERM = 60
# Letters with the marks that belong to them, or vowel signs would cut the words of Hindi and Tamil into pieces.
_WORD = r"[\p{L}\p{M}\p{N}]+"
_UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Han
    "]+"
)


def stemmed_as(language: str, *, otherwise: str) -> str:
    """The language whose stemmer a text of `language` gets: `otherwise` when it is not known, none when it has none."""
    code = language.partition("-")[0].lower() or otherwise
    return code if code in STEMMERS else WHOLE


def terms(text: str, language: str) -> list[str]:
    """The terms of the text in order; `language` is a key of `STEMMERS` or `WHOLE`."""
    if text.isascii():
        return _analyser(language, is_ascii=True).analyze(text)  # type: ignore[no-any-return]
    text = unicodedata.normalize("NFKC", text)
    if not _UNSPACED.search(text):
        return _analyser(language).analyze(text)  # type: ignore[no-any-return]
    found: list[str] = []
    end = 0
    for run in _UNSPACED.finditer(text):
        found += _analyser(language).analyze(text[end : run.start()])
        found += _pairs(run.group())
        end = run.end()
    return found + _analyser(language).analyze(text[end:])  # type: ignore[no-any-return]


def variants(word: str, languages: Iterable[str]) -> tuple[str, ...]:
    """What one word of a question may be in texts of these languages, in order and each once."""
    return tuple(dict.fromkeys(term for language in languages for term in terms(word, language)))


def _pairs(run: str) -> list[str]:
    """Neighbouring characters two by two, the usual stand-in for words; a single character alone."""
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


@lru_cache
def _analyser(language: str, *, is_ascii: bool = False) -> Any:
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    # Both find the same words in ASCII, this one in half the time.
    tokenizer = Tokenizer.simple() if is_ascii else Tokenizer.regex(_WORD)
    builder = TextAnalyzerBuilder(tokenizer).filter(Filter.remove_long(_LONGEST_TERM))
    builder = builder.filter(Filter.lowercase())
    return (builder.filter(Filter.stemmer(STEMMERS[language])) if language else builder).build()
