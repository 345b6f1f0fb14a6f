"""What was said, as Markdown: pure.

A thread is a document. So is a talk outside of threads: messages on one day (UTC) without a long pause between them.
Nobody's text can end a code block of somebody else's, or make a heading.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from knowledge.sources.chat.messages import Message

PAUSE = timedelta(minutes=30)
"""Silence after which another talk begins."""
_LONGEST_TITLE = 100

_FENCE = "```"
_HEADING = re.compile(r"^( {0,3})(#{1,6})(?=\s|$)", re.MULTILINE)
_BLOCK = re.compile(r"^( {0,3})(?=(?:=+|-+)[ \t]*$|~~~|<(?!https?://)[!?/A-Za-z])", re.MULTILINE)
"""What underlines a heading, or begins a block that would go on beyond the message."""
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)|<(https?://[^<>\s]*)>")
_MARKUP = re.compile(r"[*`~|\\]+|^(?:\s*(?:[>#]+|[-+•]|\d+[.)])\s+)+|(?<!\w)_+|_+(?!\w)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")


@dataclass(frozen=True, slots=True)
class Transcript:
    """A document made of messages."""

    text: str
    uri: str
    """The link to the first message."""
    author: str
    """Who wrote the first message."""
    changed: datetime
    """When the last message was written."""


def day_of(moment: datetime) -> date:
    """The day by which messages are kept apart."""
    return moment.astimezone(UTC).date()


def talks(messages: Sequence[Message]) -> list[list[Message]]:
    """Messages that stand in no thread, in talks; they need to be in order."""
    found: list[list[Message]] = []
    for message in messages:
        before = found[-1][-1] if found else None
        if before and message.at - before.at <= PAUSE and day_of(message.at) == day_of(before.at):
            found[-1].append(message)
        else:
            found.append([message])
    return found


def transcript(messages: Sequence[Message], *, channel: str, title: str = "") -> Transcript:
    """A document of at least one message, in order; without a title, the first one that says something gives it."""
    first = messages[0]
    days = [(day, list(said)) for day, said in groupby(messages, key=lambda message: day_of(message.at))]
    title = _short(title) or next(filter(None, map(_titled, messages)), "") or f"{first.author} in {channel}"
    parts = [f"# {title}", f"{channel}, {_spelled(days[0][0])}"]
    for day, said in days:
        if len(days) > 1:
            parts.append(f"## {_spelled(day)}")
        parts += [_entry(message) for message in said]
    return Transcript("\n\n".join(parts) + "\n", first.link, first.author, messages[-1].at)


def safe(text: str, *, languages: bool = False) -> str:
    """Somebody's Markdown in a form that cannot reach beyond itself.

    Code between three backticks becomes a block with lines of its own; what is opened and not closed is no code.
    `languages`: a word right behind the backticks, alone on its line, names the language.
    """
    pieces = text.split(_FENCE)
    if len(pieces) % 2 == 0:  # the last one was never closed
        last = pieces.pop()
        pieces[-1] += f"'''{last}"
    parts = []
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            parts.append(_quiet(piece.strip()))
        elif piece.strip():
            language = re.match(r"([\w+#.-]*)\n", piece) if languages else None
            code = piece[language.end() :] if language else piece
            parts.append(f"{_FENCE}{language[1] if language else ''}\n{code.strip(chr(10))}\n{_FENCE}")
    return "\n\n".join(part for part in parts if part.strip())


def _quiet(text: str) -> str:
    """Without headings, which are the document's own, and without blocks that have no end."""
    return _BLOCK.sub(r"\1\\", _HEADING.sub(r"\1\\\2", text))


def _entry(message: Message) -> str:
    who = re.sub(r"[*`\[\]<>\\]", "", message.author).strip() or message.author_id
    when = message.at.astimezone(UTC).strftime("%H:%M")
    to = f", to {re.sub(r'[*`<>]', '', message.replying_to)}" if message.replying_to else ""
    text = message.text.strip("\n")
    if message.attachments:
        text = f"{text}\n\nAttached: {', '.join(message.attachments)}".strip()
    begins_block = re.match(r"```|[>|#]|\s*(?:[-*+]|\d+[.)])\s|\s{4}|\n", text)
    return f"**{who}** ({when}{to}):{chr(10) * 2 if begins_block else ' '}{text}"


def _titled(message: Message) -> str:
    lines = message.text.split(_FENCE)[0].splitlines()
    plain = (_MARKUP.sub("", _LINK.sub(lambda link: link[1] or link[2] or "", line)) for line in lines)
    first = next((line for line in plain if line.strip()), "")
    return _short(first) or (message.attachments[0] if message.attachments else "")


def _short(text: str) -> str:
    """One line of readable length: whole sentences if they fit, else whole words."""
    text = " ".join(re.sub(r"[{}]", "", text).split())
    if len(text) <= _LONGEST_TITLE:
        return text
    sentence = _SENTENCE_END.split(text, maxsplit=1)[0]
    if len(sentence) <= _LONGEST_TITLE:
        return sentence
    return text[:_LONGEST_TITLE].rsplit(" ", 1)[0] + "…"


def _spelled(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
