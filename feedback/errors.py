"""What can go wrong with records of answers and votes. Every message is one sentence meant for a person.

FeedbackError
├── UnknownTurnError   a vote names an answer that is not there
├── StoreError         the database refused or could not be reached
└── QuestionFileError  an evaluation set is not usable
"""


class FeedbackError(Exception):
    """Base of the package's errors; the message is one sentence meant for a person."""


class UnknownTurnError(FeedbackError):
    """A vote names an answer that is not in the database."""


class StoreError(FeedbackError):
    """The database refused the record or could not be reached; the cause is the library's own error."""


class QuestionFileError(FeedbackError):
    """A file of evaluation questions is missing or malformed; names the file, the line and the key."""
