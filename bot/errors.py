"""What can go wrong in the assistant. Every message is one sentence that names its fix.

    ParleyError
    ├── SettingsError      a setting is missing, misspelt or out of range
    ├── UsageError         a command was given something it cannot use
    ├── QuestionTooLongError
    ├── DatabaseError      the database cannot be opened or migrated
    ├── QueueFullError     too many questions are waiting
    ├── PlatformError      the chat platform refuses what was asked of it
    │   └── PlatformUnavailableError   it cannot be reached now
    └── ModelError
        ├── ModelFileError     the file is not a usable GGUF model
        ├── ModelUnavailableError  no model, or it is down; quotes still work
        └── ModelBusyError     the queue is full

`knowledge.errors` and `feedback.errors` hold the trees of those packages; `EXPLAINED` names all three for the
boundaries that turn them into a sentence.
"""

from feedback.errors import FeedbackError
from knowledge.errors import KnowledgeError


class ParleyError(Exception):
    """Base of the package's errors; the message is one sentence meant for a person."""


class SettingsError(ParleyError):
    """A setting is missing, misspelt or out of range; names the file, the key and what is allowed."""


class UsageError(ParleyError):
    """A command was given something it cannot use."""


class QuestionTooLongError(ParleyError):
    """The question alone does not fit the model's context."""


class DatabaseError(ParleyError):
    """The database cannot be opened or brought to the current schema."""


class QueueFullError(ParleyError):
    """Too many questions are waiting, of this person, in this place, or in all."""


class PlatformError(ParleyError):
    """A chat platform refuses what was asked of it, and would again; the message says what to change there."""


class PlatformUnavailableError(PlatformError):
    """A chat platform cannot be reached now; the same may work later."""


class ModelError(ParleyError):
    """Base of what can go wrong with a language model."""


class ModelFileError(ModelError):
    """The file is missing, is not GGUF, is truncated or is of a kind that llama.cpp cannot run."""


class ModelUnavailableError(ModelError):
    """There is no model, or it is not answering now. Quotes still work."""


class ModelBusyError(ModelError):
    """The model's queue is full."""


EXPLAINED = (ParleyError, KnowledgeError, FeedbackError)
"""Errors whose message is a sentence for people; anything else is a fault of the program."""
