"""The commands that people give in chat: one definition for all platforms.

A platform's own form of command (`/parley …`) is always taken as one, and a wrong one gets a sentence with the right
form. What is said to the bot in a mention or a direct message is a command only when it matches the form of one
exactly, so that "status of the project?" stays a question.

What a command does is given by whoever makes it; this module knows no app. Who is an admin is decided in `bot.policy`.
"""

import asyncio
import difflib
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from bot.config import NAME
from bot.errors import EXPLAINED, UsageError
from bot.messages import IncomingMessage
from bot.places import Places, PlaceSettings, When

log = logging.getLogger(__name__)

LONGEST_PERSONA = 500
LONGEST_LANGUAGE = 40
"""Characters; both become part of every prompt."""
_SHOWN = 60
"""Characters of a wrong command that are repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A command as somebody gave it."""

    message: IncomingMessage
    argument: str = ""
    """What follows the name."""
    is_admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One form of a command: a name of one or more words, and perhaps an argument."""

    name: str
    about: str
    """What it does, in one sentence without a full stop."""
    run: Callable[[Request], Awaitable[str]]
    """Returns Markdown; raises `UsageError` when the argument cannot be used."""
    argument: str = ""
    """What must follow the name, as a regular expression; empty: nothing may."""
    placeholder: str = ""
    """How people are shown the argument: "TEXT|none". Empty: as `argument` has it."""
    needs_admin: bool = False

    @property
    def usage(self) -> str:
        """How it is written."""
        return f"{self.name} {self.placeholder or self.argument}".strip()

    @property
    def form(self) -> re.Pattern[str]:
        """What its text must match as a whole, in any case; a full stop or "!" after a name alone is forgiven."""
        name = r"\s+".join(map(re.escape, self.name.split()))
        rest = rf"\s+(?P<argument>{self.argument})" if self.argument else r"\s*[.!]*"
        return re.compile(name + rest, re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A command that was recognised."""

    command: Command
    argument: str = ""


class Commands:
    """The commands there are; `help` is one of them."""

    def __init__(self, commands: Iterable[Command]) -> None:
        listed = Command(name="help", about="show what I understand", run=self._help)
        self._commands = (listed, *commands)

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands)

    def parse(self, text: str, *, explicit: bool) -> Call | UsageError | None:
        """The command that `text` is; None when it is none.

        `explicit` says that it is meant as one, whatever it says: a wrong one is then a `UsageError`, which is
        returned, not raised, as it is one of the things that people say.
        """
        text = text.strip()
        if explicit and not text:
            text = "help"
        for command in self._commands:
            if matched := command.form.fullmatch(text):
                argument = matched["argument"] if command.argument else ""
                return Call(command, argument.strip())
        return UsageError(self._correction(text)) if explicit else None

    async def run(self, call: Call, message: IncomingMessage, *, is_admin: bool) -> str:
        """What the command has to tell, in Markdown, be it why it was not done."""
        if call.command.needs_admin and not is_admin:
            return (
                f"`{call.command.name}` is for admins; one of them can do it for you, or add "
                f"{message.person} to policy.admins."
            )
        try:
            return await call.command.run(Request(message=message, argument=call.argument, is_admin=is_admin))
        except EXPLAINED as error:
            return str(error)

    async def _help(self, request: Request) -> str:
        listed = [c for c in self._commands if request.is_admin or not c.needs_admin]
        lines = "\n".join(f"- `{command.usage}`: {command.about}" for command in listed)
        return f"Ask me anything in your own words. I also understand:\n\n{lines}"

    def _correction(self, text: str) -> str:
        """One sentence: the right form of the command that was begun, else the nearest name and all of them."""
        words = text.casefold().split()
        for length in range(len(words), 0, -1):
            begun = words[:length]
            if alike := [c.usage for c in self._commands if c.name.split()[:length] == begun]:
                return f"I do not understand {_code(text)}; it should be {_listed(alike, 'or')}."
        names = list(dict.fromkeys(c.name.split()[0] for c in self._commands))
        if near := difflib.get_close_matches(words[0], names, n=1):
            wrong = f"There is no command {_code(words[0])}, perhaps you mean {_code(near[0])}"
        else:
            wrong = f"There is no command {_code(words[0])} (to ask something, mention me or write to me directly)"
        return f"{wrong}; there are {_listed(names, 'and')}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `status` shows."""

    model: str
    waiting: int
    """Questions in the queue."""
    answering: int = 0
    """Questions that are being answered."""
    sources: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Documents and passages by name of the source."""


def status_command(ask: Callable[[], Awaitable[Status]]) -> Command:
    """`status`, for admins; `ask` gathers the facts."""

    async def run(_: Request) -> str:
        status = await ask()
        sources = [
            f"- source `{name}`: {documents:,} documents, {passages:,} passages"
            for name, (documents, passages) in status.sources.items()
        ]
        return "\n".join(
            (
                f"- model: {status.model}",
                f"- questions: {status.answering} being answered, {status.waiting} waiting",
                *(sources or ["- documents: none yet"]),
            )
        )

    return Command(name="status", about="the model, the queue and the documents", needs_admin=True, run=run)


def stop_command(stop: Callable[[IncomingMessage], Awaitable[bool]]) -> Command:
    """`stop`, for everyone; `stop` ends what the asker of that message waits for, and says whether there was any."""

    async def run(request: Request) -> str:
        if await stop(request.message):
            return "Stopped."
        return "There is nothing to stop: no answer to a question of yours is on its way here."

    return Command(name="stop", about="stop the answer to my question in this thread", run=run)


def channel_commands(places: Places, *, source_names: Sequence[str]) -> list[Command]:
    """What admins set for the conversation in which they say it; see `bot.places`."""

    def command(
        name: str,
        about: str,
        change: Callable[[PlaceSettings, str], PlaceSettings],
        *,
        argument: str = "",
        placeholder: str = "",
    ) -> Command:
        def write(request: Request) -> str:
            message = request.message
            before = places.get(message.platform, message.conversation_id)
            after = change(before, request.argument)
            if after != before:
                places.put(message.platform, message.conversation_id, after, by=message.person)
                log.info("%s said %r in %s", message.person, name, message.place)
            return _described(after)

        async def run(request: Request) -> str:
            return await asyncio.to_thread(write, request)

        return Command(
            name=name, about=about, run=run, argument=argument, placeholder=placeholder, needs_admin=True
        )

    return [
        command("channel", "show how I behave here", lambda place, _: place),
        command("channel on", "answer here", lambda place, _: replace(place, enabled=True)),
        command("channel off", "answer nothing here", lambda place, _: replace(place, enabled=False)),
        command(
            "channel answer",
            "answer only to my name, also to what follows in my threads, or to every question",
            lambda place, when: replace(place, answer=cast("When", when.casefold())),
            argument="mention|thread|question",
        ),
        command(
            "channel persona",
            "how I speak here, in your words",
            lambda place, text: replace(place, persona=_text(text, "persona", most=LONGEST_PERSONA)),
            argument=r"\S.*",
            placeholder="TEXT|none",
        ),
        command(
            "channel language",
            "the language of my answers",
            lambda place, text: replace(place, language=_text(text, "language", most=LONGEST_LANGUAGE)),
            argument=r"[^\W\d_][\w ()-]*",
            placeholder="NAME|none",
        ),
        command(
            "channel sources",
            "what I search here",
            lambda place, names: replace(place, sources=_chosen(names, source_names)),
            argument=rf"{NAME}(?:\s*,\s*{NAME})*",
            placeholder="NAME[, NAME …]|all",
        ),
    ]


def _text(given: str, what: str, *, most: int) -> str:
    text = " ".join(given.split())
    if len(text) > most:
        raise UsageError(
            f"A {what} has at most {most} characters, this one has {len(text)}; make it shorter."
        )
    return "" if text.casefold() == "none" else text


def _chosen(given: str, known: Sequence[str]) -> tuple[str, ...]:
    if given.casefold() == "all":
        return ()
    names = tuple(dict.fromkeys(name.strip().casefold() for name in given.split(",")))
    for name in names:
        if name not in known:
            there = f"the sources are {_listed(known, 'and')}" if known else "there are no sources yet"
            raise UsageError(f"There is no source {_code(name)}; {there}.")
    return names


_WHEN: dict[When, str] = {
    "mention": "to my name",
    "thread": "to my name, and to what follows in my threads",
    "question": "to every question",
}


def _described(place: PlaceSettings) -> str:
    when = (
        f"{_WHEN[place.answer]} (`{place.answer}`)"
        if place.enabled
        else "not at all (`channel on` changes that)"
    )
    return "\n".join(
        (
            f"- I answer here: {when}",
            f"- persona: {place.persona or 'none'}",
            f"- language: {place.language or 'that of the question'}",
            f"- sources: {_listed(place.sources, 'and') if place.sources else 'all'}",
        )
    )


def _code(text: str) -> str:
    """As code, on one line, and not too long."""
    line = " ".join(text.replace("`", "'").split())
    return f"`{line}`" if len(line) <= _SHOWN else f"`{line[:_SHOWN]}…`"


def _listed(items: Sequence[str], word: str) -> str:
    """`a`, `b` and `c`."""
    *most, last = (f"`{item}`" for item in items)
    return f"{', '.join(most)} {word} {last}" if most else last
