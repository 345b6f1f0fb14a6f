"""The contract of a source: a named set of files with the principals that may see them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What the source knows about it, see `Document.metadata`; what the file itself says comes first."""
    problem: str = ""
    """Why it cannot be read, a clause with the way out: it is reported, and the rest of the source is indexed. It may
    be a folder or an archive as well: what was indexed at this path and below it stays as it was."""
    root: Path | None = None
    """Where given, the bytes may come only from below this folder, which is no link."""


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
