"""YAML from people nobody knows, read by the fast parser (libyaml).

That parser recurses in C: what is nested some thousand levels deep ends the process, not the call. So nothing is
given to it that may be nested so deeply, and merged mappings (`<<`) may not grow without end. Aliases may: what is
made of them is small, what is written of it may be endless. No type is made but those of JSON and dates.
"""

import re
from functools import cache
from typing import Any

_DEEPEST = 500
_MOST_MERGED = 1_000
"""Keys that one mapping may get from others."""
_PREFIX = re.compile(r"(?m)^[ \t?:-]+")


def load_all(text: str) -> list[Any]:
    """The documents in the text; what has a type of its own is taken as what stands under it.

    Raises:
        yaml.YAMLError, ValueError, TypeError, RecursionError: it is no YAML that can be read.
    """
    import yaml

    if _may_be_deep(text) and _is_deep(text):
        raise ValueError("nested too deeply")
    return list(yaml.load_all(text, Loader=_loader()))


def _may_be_deep(text: str) -> bool:
    """Each level takes a bracket, or a sign before the first word of a line."""
    longest = max((match.end() - match.start() for match in _PREFIX.finditer(text)), default=0)
    return text.count("[") + text.count("{") + longest > _DEEPEST


def _is_deep(text: str) -> bool:
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=_loader()):  # does not recurse
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            return True
    return False


@cache
def _loader() -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Knows no type but takes what stands under it."""

        def flatten_mapping(self, node: Any) -> None:
            own = len(node.value)
            super().flatten_mapping(node)
            if len(node.value) > own + _MOST_MERGED:
                raise ValueError("merged without end")

    def unknown(loader: Any, _: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return loader.construct_scalar(node)

    Loader.add_multi_constructor("", unknown)
    return Loader
