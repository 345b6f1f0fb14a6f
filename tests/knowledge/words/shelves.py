"""Passages in dictionaries, as the manifest gives them; and words to make them of."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from knowledge.documents import Chunk


def chunk(
    text: str,
    *,
    title: str = "T",
    heading: str = "",
    source: str = "docs",
    language: str = "en",
    key: str = "",
) -> Chunk:
    """A passage whose key is its text unless it is given."""
    key = key or text
    return Chunk(key, f"d-{key}", source, 0, title, heading, f"/{key}", text, language=language, key=key)


class Passages:
    """What is live; satisfies `knowledge.lexical.Keyed`."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self.chunks = list(chunks)
        self.read: list[str] = []
        """Keys whose passages were asked for."""

    def live_keys(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for one in self.chunks:
            found.setdefault(one.source, set()).add(one.key)
        return found

    def find_keys(self, keys: Iterable[str], *, sources: AbstractSet[str]) -> dict[str, list[Chunk]]:
        found: dict[str, list[Chunk]] = {}
        wanted = set(keys)
        self.read += sorted(wanted)
        for one in self.chunks:
            if one.key in wanted and one.source in sources:
                found.setdefault(one.key, []).append(one)
        return found
