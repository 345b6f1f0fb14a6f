"""The contract of a source: a named set of files with the principals that may see them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source, not yet read."""

    path: str
    """Posix path within the source; the file's identity there. Always encodable as UTF-8."""
    uri: str
    """Where a person opens it: an absolute path or a URL."""
    local: Path
    """Where the bytes are."""


class Source(Protocol):
    """A place with documents."""

    @property
    def name(self) -> str:
        """Unique among the configured sources."""

    @property
    def visible_to(self) -> frozenset[str]:
        """Principals that may see its documents, see `knowledge.access`."""

    def files(self) -> Iterator[SourceFile]:
        """Every file once, in a stable order.

        Raises:
            SourceError: the source as a whole cannot be read. Nothing may be concluded about its files then.
        """
