"""What a source file defines: its classes, functions and the like, with the lines on which they stand.

The grammars of tree-sitter call the same things by much the same names, so that one table does for all languages.
What stands within a function is part of it. A file with mistakes is read as far as it makes sense, as an editor would.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from knowledge.formats.languages import CodeLanguage

_FUNCTIONS = frozenset(
    """
    function_definition function_declaration function_item function_signature_item function_signature
    generator_function_declaration method_definition method_declaration method_signature abstract_method_signature
    method singleton_method constructor_declaration destructor_declaration operator_declaration secondary_constructor
    compact_constructor_declaration local_function_statement macro_definition type_alias_declaration type_spec
    create_table create_view create_materialized_view create_function create_procedure create_index create_trigger
    create_type create_schema create_sequence alter_table enum_item enum_specifier enum_declaration delegate_declaration
""".split()
)
"""Definitions that are one piece, whatever stands within them."""
_CONTAINERS = frozenset(
    """
    class_definition class_declaration abstract_class_declaration interface_declaration enum_class_declaration
    record_declaration annotation_type_declaration struct_declaration object_declaration companion_object
    trait_declaration class_specifier struct_specifier union_specifier namespace_definition namespace_declaration
    internal_module module class struct_item union_item trait_item impl_item mod_item
""".split()
)
"""Definitions whose parts are definitions too."""
_NEED_BODY = frozenset({
    "class_specifier", "struct_specifier", "union_specifier", "enum_specifier", "namespace_definition",
})  # fmt: skip
"""Without a body they only mention what is defined elsewhere."""
_ASSIGNMENTS = {"variable_declarator": ("name", "value"), "field_definition": ("property", "value"),
                "public_field_definition": ("name", "value"), "assignment_expression": ("left", "right")}  # fmt: skip
_VALUES = frozenset({"arrow_function", "function_expression", "function", "generator_function", "class"})
"""Values by which an assignment is a definition."""
_WRAPPERS = frozenset(
    """
    decorated_definition export_statement ambient_declaration expression_statement lexical_declaration statement
    variable_declaration template_declaration type_definition type_declaration declaration field_declaration
""".split()
)
"""What stands around a definition and belongs to it."""
_TRANSPARENT = _WRAPPERS | frozenset(
    """
    block class_body interface_body enum_body enum_body_declarations enum_class_body declaration_list body_statement
    field_declaration_list statement_block compound_statement linkage_specification if_statement elif_clause else_clause
    try_statement preproc_ifdef preproc_if preproc_else preproc_elif ERROR
""".split()
)
"""What may hold definitions without being one."""
_LEADING = re.compile(r"comment|^(?:inner_)?attribute_item$|^decorator$|^attribute_list$|annotation$")
"""What stands above a definition and speaks of it."""
_DEEPEST = 8
_LONGEST_NAME = 150
_SECONDS = 10.0
"""A file of a megabyte takes less than one."""
_SLICE = 65_536
_NAME_FIELDS = {"impl_item": "type", "create_index": "column"}


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition. Lines are counted from 0 and the last one is part of it."""

    name: str
    """Qualified by the definitions around it."""
    first: int
    last: int
    inner: tuple["Symbol", ...] = ()


@dataclass(frozen=True, slots=True)
class Outline:
    """The definitions of a file and what its other lines are."""

    symbols: tuple[Symbol, ...]
    statements: frozenset[int]
    """Lines with code that is part of no definition inside the one around it."""
    remarks: frozenset[int]
    """Lines with comments or attributes, which belong to what follows."""


def outline(source: str, language: CodeLanguage) -> Outline | None:
    """What `source` defines; `language` must have a grammar. None when the parser does not come to an end.

    Its effort grows with the square of what it cannot understand: 10,000 openings of comments take it minutes.
    """
    from tree_sitter import Language, Parser

    data = source.encode("utf-8", "replace")
    end = time.monotonic() + _SECONDS
    parser = Parser(Language(getattr(import_module(language.module), language.function)()))
    try:
        tree = parser.parse(
            lambda start, _: data[start : start + _SLICE],
            progress_callback=lambda _offset, _has_error: time.monotonic() > end,
        )
    except ValueError:
        return None
    walk = _Walk(data, language.separator)
    symbols = tuple(walk.symbols(tree.root_node, "", 0))
    return Outline(symbols, frozenset(walk.statements - walk.remarks), frozenset(walk.remarks))


class _Walk:
    def __init__(self, data: bytes, separator: str) -> None:
        self._data = data
        self._separator = separator
        self.statements: set[int] = set()
        self.remarks: set[int] = set()

    def symbols(self, node: Any, outer: str, depth: int) -> Iterator[Symbol]:
        for child in node.named_children:
            definition = self._definition(child)
            if definition is not None and depth < _DEEPEST:
                name = self._name(definition)
                name = f"{outer}{self._separator}{name}" if outer else name
                is_container = definition.type in _CONTAINERS
                inner = tuple(self._body(definition, name, depth + 1)) if is_container else ()
                yield Symbol(name[:_LONGEST_NAME], *_lines(child), inner)
            elif child.type in _TRANSPARENT and depth < _DEEPEST and self._holds_definition(child, depth):
                self.statements.add(child.start_point[0])
                yield from self.symbols(child, outer, depth + 1)
            else:
                first, last = _lines(child)
                rows = self.remarks if _LEADING.search(child.type) else self.statements
                rows.update(range(first, last + 1))

    def _body(self, definition: Any, name: str, depth: int) -> Iterator[Symbol]:
        body = definition.child_by_field_name("body")
        bodies = (
            [body] if body is not None else [c for c in definition.named_children if c.type in _TRANSPARENT]
        )
        for part in bodies:
            yield from self.symbols(part, name, depth)

    def _holds_definition(self, node: Any, depth: int) -> bool:
        return any(
            self._definition(child) is not None
            or (child.type in _TRANSPARENT and depth < _DEEPEST and self._holds_definition(child, depth + 1))
            for child in node.named_children
        )

    def _definition(self, node: Any, depth: int = 0) -> Any:
        """The node itself or the one definition that it wraps, or None."""
        if node.type in _FUNCTIONS or node.type in _CONTAINERS:
            is_mention = node.type in _NEED_BODY and node.child_by_field_name("body") is None
            return None if is_mention or not self._name(node) else node
        if node.type in _ASSIGNMENTS:
            value = node.child_by_field_name(_ASSIGNMENTS[node.type][1])
            return node if value is not None and value.type in _VALUES else None
        if node.type in _WRAPPERS and depth < _DEEPEST:
            found = (self._definition(child, depth + 1) for child in node.named_children)
            inner = [definition for definition in found if definition is not None]
            return inner[0] if len(inner) == 1 else None
        return None

    def _name(self, node: Any) -> str:
        name = re.sub(r"\s+", " ", self._text(_named(node))).strip("'\"`")
        if node.type == "impl_item":
            name = name.partition("<")[0]
        receiver = self._text(node.child_by_field_name("receiver"))
        if owner := re.search(r"([^\W\d]\w*)\s*(?:\[.*\])?\s*\)$", receiver):
            return f"{owner[1]}.{name}"
        return name or ("companion" if node.type == "companion_object" else "")

    def _text(self, node: Any) -> str:
        if node is None:
            return ""
        return self._data[node.start_byte : min(node.end_byte, node.start_byte + 1_000)].decode(
            "utf-8", "replace"
        )


def _named(node: Any) -> Any:
    """The node that says what this definition is called, or None."""
    field = _ASSIGNMENTS.get(node.type, ("name",))[0]
    named = node.child_by_field_name(_NAME_FIELDS.get(node.type, field))
    if named is None:
        named = next((child for child in node.named_children if child.type == "object_reference"), None)
    return _declared(node) if named is None else named


def _declared(node: Any) -> Any:
    """The name within C's declarators, or the one after an anonymous struct."""
    declarator = node.child_by_field_name("declarator")
    if declarator is None and node.parent is not None and node.parent.type == "type_definition":
        declarator = node.parent.child_by_field_name("declarator")
    while declarator is not None and (within := _inner_declarator(declarator)) is not None:
        declarator = within
    return declarator


def _inner_declarator(node: Any) -> Any:
    within = node.child_by_field_name("declarator")
    if within is None and node.type in {"reference_declarator", "parenthesized_declarator"}:
        within = next(iter(node.named_children), None)
    return within


def _lines(node: Any) -> tuple[int, int]:
    first, (last, column) = node.start_point[0], node.end_point
    return first, max(first, last - 1 if column == 0 else last)
