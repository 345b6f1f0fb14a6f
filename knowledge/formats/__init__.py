"""What can be read, by the suffix of the file's name; each kind of file has a module here.

Such a module has a function `convert(data, *, suffix)` that turns bytes into Markdown, see
`knowledge.conversion.convert`. It runs in a process that may be killed, and imports its parser only there.
"""

import re

from knowledge.formats.languages import CODE_TYPES

MODULES = {
    **dict.fromkeys((".md", ".markdown", ".txt", ".rst"), "text"),
    **dict.fromkeys((".csv", ".tsv"), "tables"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".yaml", ".yml", ".toml"), "data"),
    **dict.fromkeys((".rss", ".atom", ".xml"), "feeds"),
    **dict.fromkeys((".xlsx", ".xlsm"), "sheets"),
    **dict.fromkeys(CODE_TYPES, "code"),
    ".pdf": "pdf",
    ".docx": "word",
    ".pptx": "slides",
    ".xls": "old_sheets",
    ".epub": "epub",
    ".eml": "mail",
    ".msg": "outlook",
    ".ipynb": "notebook",
}
"""The module here that reads files with that suffix (lower case, with the dot)."""

KNOWN_TYPES = frozenset(MODULES)
"""The suffixes of all files that can be read."""
PLAIN_TYPES = frozenset({".md", ".markdown", ".txt", ".rst"})
"""Those that need no parser that could hang, explode or crash: only decoding, and YAML of a bounded length."""

_GENERATED = re.compile(
    r"package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.ya?ml|packages\.lock\.json|composer\.lock|.*[.-]min\.\w+"
    r"|(?:.*[.-])?bundle\.m?js|.*_pb2(?:_grpc)?\.pyi?|.*\.pb(?:\.gw)?\.go|.*_generated\.\w+|.*\.g(?:\.i)?\.(?:dart|cs)"
    r"|.*\.designer\.cs|.*\.tfstate"
)


def is_generated(name: str) -> bool:
    """Whether a file of that name is one that programs write for programs, which nobody asks about."""
    return _GENERATED.fullmatch(name.lower()) is not None


__all__ = ["CODE_TYPES", "KNOWN_TYPES", "MODULES", "PLAIN_TYPES", "is_generated"]
