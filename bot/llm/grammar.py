"""The grammar that an answer has to follow: the client's own, or made from a JSON schema.

llama.cpp's reader of grammars calls itself for each parenthesis, and 20,000 of them took the process with them; the
converter of schemas writes a parenthesis for each character that `maxLength` allows. So both are measured before
either is used. What passes can still be slow to follow: that is bounded by the supervisor alone.
"""

import json
import math
import re
from itertools import accumulate
from typing import Any

from bot.errors import ModelError
from bot.llm.generation import Sampling

LONGEST = 64_000
"""Characters of a grammar, and of a schema."""
DEEPEST = 100
"""Parentheses in one another in a grammar from outside, and values in one another in a schema."""
MOST_REPEATED = 1000
"""Characters or items that a schema may count to; llama.cpp refuses the parentheses that more become."""

_COUNTS = ("minLength", "maxLength", "minItems", "maxItems")
_MOST_EXPANDED = 100_000_000  # characters that the repetitions of a pattern may become on their way
_NUMBERS = re.compile(r"\{(\d*),?(\d*)\}")
_NO_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|<[^>]*>|#[^\r\n]*', re.DOTALL)
"""Where a parenthesis is only a character: text, sets of characters, names of tokens, comments."""
_TOO_MUCH = "The grammar is too large or too deeply nested: simplify it."


def grammar_of(sampling: Sampling, *, converter: Any) -> str | None:
    """GBNF, or None where the answer is free.

    Args:
        converter: llama_cpp.llama_grammar's `json_schema_to_gbnf`.

    Raises:
        ModelError: the grammar or the schema is too large, or the schema cannot be converted.
    """
    grammar, schema = sampling.grammar, sampling.json_schema
    if grammar is not None and schema is not None:
        raise ModelError("A grammar and a JSON schema cannot be combined: leave one of them out.")
    if schema is None:
        if grammar is not None and (len(grammar) > LONGEST or nesting(grammar) > DEEPEST):
            raise ModelError(_TOO_MUCH)
        return grammar
    try:
        fits = len(schema) <= LONGEST and _is_modest(json.loads(schema))
        made = str(converter(schema)) if fits else ""
    except Exception as error:  # the converter fails in many ways on what it does not know
        raise ModelError(f"The JSON schema cannot be used ({error!r}): simplify it.") from error
    if not fits or len(made) > LONGEST or nesting(made) > MOST_REPEATED + DEEPEST:
        raise ModelError(
            "The JSON schema is too large or too deeply nested, or its maxLength or maxItems is too large"
            f" (more than {MOST_REPEATED}): simplify it."
        )
    return made


def nesting(grammar: str) -> int:
    """How many parentheses of a grammar stand in one another."""
    steps = (1 if sign == "(" else -1 for sign in _NO_STRUCTURE.sub("", grammar) if sign in "()")
    return max(accumulate(steps), default=0)


def _is_modest(schema: object) -> bool:
    """Whether the converter can be given a schema: it writes out each repetition."""
    left = [(schema, 0)]
    while left:
        value, depth = left.pop()
        if depth > DEEPEST:
            return False
        if isinstance(value, dict):
            counts = (value[name] for name in _COUNTS if isinstance(value.get(name), int | float))
            if any(count > MOST_REPEATED for count in counts) or _expands(value.get("pattern")):
                return False
            left += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list):
            left += [(item, depth + 1) for item in value]
    return True


def _expands(pattern: object) -> bool:
    if not isinstance(pattern, str):
        return False
    found = [max(int(number or 1) for number in pair) for pair in _NUMBERS.findall(pattern)]
    return len(pattern) * math.prod(max(number, 1) for number in found) > _MOST_EXPANDED
