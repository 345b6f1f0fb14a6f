"""What can go wrong with documents and the index. Every message names its fix."""


class KnowledgeError(Exception):
    """Base of the package's errors; the message is one sentence meant for the person at the keyboard."""


class SourceError(KnowledgeError):
    """A source as a whole cannot be read: its folder is missing, or its kind is unknown."""


class LoadError(KnowledgeError):
    """One file cannot be turned into text. It costs that file only and is reported by name."""


class EmbeddingModelError(KnowledgeError):
    """The embedding model cannot be found or loaded."""


class IndexOutdatedError(KnowledgeError):
    """The index was built with another embedding model or chunking than the one configured."""


class IndexBusyError(KnowledgeError):
    """Another process is indexing."""


class IndexDamagedError(KnowledgeError):
    """The files of the index cannot be read."""
