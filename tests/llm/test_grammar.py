"""What is refused before llama.cpp sees it, and with which sentence."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from bot.errors import ModelError
from bot.llm.generation import Sampling
from bot.llm.grammar import LONGEST, grammar_of, nesting
from bot.llm.sampler import Sampler


def _nested(depth: int, *, between: str = "") -> str:
    return "root ::= " + f"({between}" * depth + '"a"' + ")" * depth


def _sampler(**fields: Any) -> Sampler:
    """With a library that can do nothing: whoever asks it to read a grammar fails otherwise than expected."""
    library = SimpleNamespace(llama_grammar=SimpleNamespace(json_schema_to_gbnf=_convert))
    return Sampler(library, None, Sampling(**fields))


def _convert(schema: str) -> str:
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    return str(json_schema_to_gbnf(schema))


@pytest.mark.parametrize(
    "grammar",
    [
        _nested(20_000),
        _nested(101),
        _nested(101, between='")" '),
        _nested(101, between="[)] "),
        _nested(101, between="# )\n"),
        'root ::= "a"' + " " * LONGEST,
    ],
)
def test_a_grammar_beyond_measure_never_reaches_llama_cpp(grammar: str) -> None:
    with pytest.raises(ModelError, match=r"^The grammar is too large or too deeply nested: simplify it\.$"):
        _sampler(grammar=grammar)


def test_parentheses_that_are_text_do_not_count() -> None:
    assert nesting(_nested(100)) == 100
    assert nesting('root ::= "' + "(" * 500 + r'\"(" [(\](] # ((((' + '\n("a")') == 1
    assert grammar_of(Sampling(grammar=_nested(100)), converter=None) == _nested(100)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "maxLength": 1001},
        {"type": "string", "maxLength": 10**12},
        {"type": "array", "minItems": 10**12, "items": {"type": "integer"}},
        {"type": "string", "pattern": "^((a{2000}){2000}){2000}$"},
        {"type": "string", "description": "x" * LONGEST},
    ],
)
def test_a_schema_beyond_measure_is_not_even_converted(schema: object) -> None:
    with pytest.raises(ModelError, match=r"JSON schema is too large .* maxLength or maxItems"):
        _sampler(json_schema=json.dumps(schema))


@pytest.mark.parametrize("depth", [150, 5000])
def test_a_deep_schema_is_refused(depth: int) -> None:
    text = '{"items":' * depth + "{}" + "}" * depth
    with pytest.raises(ModelError, match="JSON schema"):
        _sampler(json_schema=text)


def test_a_usual_schema_passes() -> None:
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string", "maxLength": 500},
            "day": {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        },
    }
    made = grammar_of(Sampling(json_schema=json.dumps(schema)), converter=_convert)
    assert made
    assert 500 <= nesting(made) < 510
