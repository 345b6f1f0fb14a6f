"""Programming languages by the suffix of their files, and where their grammar is.

The grammars are tree-sitter's own packages, one for each language. The packages that hold hundreds of languages fetch
them from the network when one is first needed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodeLanguage:
    """A language that can be fenced, and cut by symbols when it has a grammar."""

    name: str
    """What Markdown's fences call it."""
    module: str = ""
    """The package of its grammar, or '' when it has none."""
    function: str = "language"
    """The package's function that gives the grammar."""
    separator: str = "."
    """Between the parts of a qualified name."""


_BASH = CodeLanguage("bash", "tree_sitter_bash")
_C = CodeLanguage("c", "tree_sitter_c")
_CPP = CodeLanguage("cpp", "tree_sitter_cpp", separator="::")
_JAVASCRIPT = CodeLanguage("javascript", "tree_sitter_javascript")
_KOTLIN = CodeLanguage("kotlin", "tree_sitter_kotlin")
_PYTHON = CodeLanguage("python", "tree_sitter_python")
_TYPESCRIPT = CodeLanguage("typescript", "tree_sitter_typescript", "language_typescript")

LANGUAGES = {
    **dict.fromkeys((".py", ".pyi"), _PYTHON),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), _JAVASCRIPT),
    **dict.fromkeys((".ts", ".mts", ".cts"), _TYPESCRIPT),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx"), _CPP),
    **dict.fromkeys((".sh", ".bash", ".zsh"), _BASH),
    **dict.fromkeys((".kt", ".kts"), _KOTLIN),
    ".tsx": CodeLanguage("tsx", "tree_sitter_typescript", "language_tsx"),
    ".c": _C,
    ".cs": CodeLanguage("csharp", "tree_sitter_c_sharp"),
    ".go": CodeLanguage("go", "tree_sitter_go"),
    ".java": CodeLanguage("java", "tree_sitter_java"),
    ".php": CodeLanguage("php", "tree_sitter_php", "language_php", separator="::"),
    ".rb": CodeLanguage("ruby", "tree_sitter_ruby", separator="::"),
    ".rs": CodeLanguage("rust", "tree_sitter_rust", separator="::"),
    ".sql": CodeLanguage("sql", "tree_sitter_sql"),
    ".dart": CodeLanguage("dart"),
    ".ex": CodeLanguage("elixir"),
    ".exs": CodeLanguage("elixir"),
    ".graphql": CodeLanguage("graphql"),
    ".groovy": CodeLanguage("groovy"),
    ".hs": CodeLanguage("haskell"),
    ".jl": CodeLanguage("julia"),
    ".lua": CodeLanguage("lua"),
    ".pl": CodeLanguage("perl"),
    ".pm": CodeLanguage("perl"),
    ".proto": CodeLanguage("protobuf"),
    ".ps1": CodeLanguage("powershell"),
    ".r": CodeLanguage("r"),
    ".scala": CodeLanguage("scala"),
    ".swift": CodeLanguage("swift"),
    ".tf": CodeLanguage("hcl"),
}
"""A header of C reads as C++, which differs from it in nothing that is looked for."""
CODE_TYPES = frozenset(LANGUAGES)
"""The suffixes of source code. Such a file is called by its name: it has no title."""
