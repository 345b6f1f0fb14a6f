"""Where documents come from. A source lists files, and fetches them first; it does not parse or index them."""

from knowledge.formats import KNOWN_TYPES
from knowledge.sources.folder import FolderSource
from knowledge.sources.protocol import Source, SourceFile

__all__ = ["KNOWN_TYPES", "FolderSource", "Source", "SourceFile"]
