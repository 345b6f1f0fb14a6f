"""The commands that people give in chat: one definition for all platforms.

A platform's own form of command (`/parley …`) is always taken as one, and a wrong one gets a sentence with the right
form. What is said to the bot in a mention or a direct message is a command only when it matches the form of one
exactly, so that "status of the project?" stays a question.

What a command does is given by whoever makes it (`bot.administration`); this module knows no app. Who is an admin is
decided in `bot.policy`. What only admins may do is written to the audit log, whether it was done or refused.
"""

import asyncio
import difflib
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.errors import EXPLAINED, UsageError
from bot.messages import IncomingMessage
from bot.notices import Notice

_SHOWN = 60
"""Characters of a wrong command that are repeated."""

AuditOutcome = Literal["done", "refused", "failed"]
Record = Callable[[IncomingMessage, str, AuditOutcome, str], Awaitable[None]]
"""Writes to the audit log: the message, the command, what became of it, and one sentence."""
Report = Callable[[str], Awaitable[None]]
"""Shows how far the work is, in Markdown."""


async def _nowhere(_: str) -> None:
    pass


async def _unrecorded(_message: IncomingMessage, _command: str, _outcome: AuditOutcome, _detail: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A command as somebody gave it."""

    message: IncomingMessage
    argument: str = ""
    """What follows the name."""
    is_admin: bool = False
    report: Report = _nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One form of a command: a name of one or more words, and perhaps an argument."""

    name: str
    about: str
    """What it does, in one sentence without a full stop."""
    run: Callable[[Request], Awaitable[Notice | str]]
    """Returns what to show, a text in Markdown; raises `UsageError` when the argument cannot be used."""
    argument: str = ""
    """What follows the name, as a regular expression; empty: nothing may."""
    is_optional: bool = False
    """Whether the argument may be left out."""
    placeholder: str = ""
    """How people are shown the argument: "TEXT|none". Empty: as `argument` has it."""
    needs_admin: bool = False
    alone: str = "show"
    """What it is called where `name` is a group of commands too and cannot be given itself, as on Discord."""
    is_listed: bool = True
    """Whether people are told of it; what is only behind a button is not."""

    @property
    def usage(self) -> str:
        """How it is written."""
        argument = self.placeholder or self.argument
        return f"{self.name} {f'[{argument}]' if self.is_optional else argument}".strip()

    @property
    def form(self) -> re.Pattern[str]:
        """What its text must match as a whole, in any case; a full stop or "!" after a name alone is forgiven."""
        name = r"\s+".join(map(_word, self.name.split()))
        alone = r"\s*[.!]*"
        if not self.argument:
            return re.compile(name + alone, re.IGNORECASE | re.DOTALL)
        given = rf"\s+(?P<argument>{self.argument})"
        rest = f"(?:{given}|{alone})" if self.is_optional else given
        return re.compile(name + rest, re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A command that was recognised."""

    command: Command
    argument: str = ""

    @property
    def text(self) -> str:
        """As it is said."""
        return f"{self.command.name} {self.argument}".strip()


class Commands:
    """The commands there are; `help` is one of them."""

    def __init__(self, commands: Iterable[Command], *, record: Record = _unrecorded) -> None:
        """`record` writes to the audit log."""
        listed = Command(name="help", about="show what I understand", run=self._help)
        self._commands = (listed, *commands)
        self._record = record

    def __iter__(self) -> Iterator[Command]:
        """Those that people are told of."""
        return (command for command in self._commands if command.is_listed)

    def add(self, commands: Iterable[Command]) -> None:
        """More of them, after the others."""
        self._commands += tuple(commands)

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
                argument = (matched["argument"] or "") if command.argument else ""
                return Call(command, argument.strip())
        return UsageError(self._correction(text)) if explicit else None

    async def run(
        self, call: Call, message: IncomingMessage, *, is_admin: bool, report: Report = _nowhere
    ) -> Notice:
        """What the command has to show, be it why it was not done."""
        if call.command.needs_admin and not is_admin:
            await self._record(message, call.text, "refused", "not an admin")
            return Notice(
                f"`{call.command.name}` is for admins; one of them can do it for you, or add "
                f"{message.person} to policy.admins."
            )
        request = Request(message=message, argument=call.argument, is_admin=is_admin, report=report)
        try:
            told = await call.command.run(request)
        except asyncio.CancelledError:  # it is given again after the next start
            raise
        except EXPLAINED as error:
            if call.command.needs_admin:
                await self._record(message, call.text, "failed", str(error))
            return Notice(str(error))
        except Exception as error:
            if call.command.needs_admin:
                await self._record(message, call.text, "failed", type(error).__name__)
            raise
        notice = Notice(told) if isinstance(told, str) else told
        if call.command.needs_admin:
            asked = "asked before doing it" if notice.actions and not notice.is_failure else ""
            await self._record(message, call.text, "failed" if notice.is_failure else "done", asked)
        return notice

    async def _help(self, request: Request) -> str:
        listed = [c for c in self if request.is_admin or not c.needs_admin]
        lines = "\n".join(f"- `{command.usage}`: {command.about}" for command in listed)
        return f"Ask me anything in your own words. I also understand:\n\n{lines}"

    def _correction(self, text: str) -> str:
        """One sentence: the right form of the command that was begun, else the nearest name and all of them."""
        words = text.casefold().split()
        for length in range(len(words), 0, -1):
            begun = words[:length]
            if alike := [c.usage for c in self if c.name.split()[:length] == begun]:
                return f"I do not understand {code(text)}; it should be {listing(alike, 'or')}."
        names = list(dict.fromkeys(c.name.split()[0] for c in self))
        if near := difflib.get_close_matches(words[0], names, n=1):
            wrong = f"There is no command {code(words[0])}, perhaps you mean {code(near[0])}"
        else:
            wrong = (
                f"There is no command {code(words[0])} (to ask something, mention me or write to me directly)"
            )
        return f"{wrong}; there are {listing(names, 'and')}."


def _word(word: str) -> str:
    """What one word of a name must match: chats make a long dash of the two in "--dry-run"."""
    bare = re.escape(word.removeprefix("--"))
    return bare if not word.startswith("--") else f"(?:--|[–—]-?)?{bare}"


def code(text: str) -> str:
    """As code, on one line, and not too long."""
    line = " ".join(text.replace("`", "'").split())
    return f"`{line}`" if len(line) <= _SHOWN else f"`{line[:_SHOWN]}…`"


def listing(items: Sequence[str], word: str) -> str:
    """`a`, `b` and `c`."""
    *most, last = (f"`{item}`" for item in items)
    return f"{', '.join(most)} {word} {last}" if most else last
