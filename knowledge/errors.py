"""What can go wrong with documents and the index. Every message names its fix."""

from collections.abc import Sequence


class KnowledgeError(Exception):
    """Base of the package's errors; the message is one sentence meant for the person at the keyboard."""


class SourceError(KnowledgeError):
    """A source as a whole cannot be read: its folder is missing, or its kind is unknown."""


class LoadError(KnowledgeError):
    """One file cannot be turned into text. It costs that file only and is reported by name."""


class EmbeddingModelError(KnowledgeError):
    """The embedding model cannot be found or loaded."""


class RerankingModelError(KnowledgeError):
    """The cross-encoder cannot be found or loaded."""


class IndexOutdatedError(KnowledgeError):
    """The index was built with another embedding model or chunking than the one configured."""


class IndexBusyError(KnowledgeError):
    """Another process is indexing."""


class IndexDamagedError(KnowledgeError):
    """The files of the index cannot be read."""


class FilterError(KnowledgeError):
    """A question is narrowed down to a source that may not be seen here, or to days that there are not."""


class VectorServerError(KnowledgeError):
    """The Chroma server cannot be reached, refuses the token, is of another version, or fails."""


class RollbackError(KnowledgeError):
    """There is no earlier state of the index, or the settings must be changed back before it can be used."""


class EvaluationDropError(KnowledgeError):
    """A source's questions find their documents less often in its new state, which has not become visible."""

    def __init__(
        self,
        *,
        source: str,
        before: tuple[int, int],
        after: tuple[int, int],
        tolerance: float,
        missed: Sequence[str],
    ) -> None:
        """`before` and `after`: so many found of so many; `missed`: the questions that were found until now."""
        super().__init__(
            f"{source}: the new state finds {after[0]} of {after[1]} questions, the present one {before[0]} of "
            f"{before[1]}, a fall of more than {tolerance:.0%}, so nothing was changed; correct the documents or the "
            "questions, or tell it to go on anyway."
        )
        self.source = source
        self.before = before
        self.after = after
        self.missed = tuple(missed)
