"""The terminal as a chat platform: streamed answers, sources, votes and commands.

With a terminal it edits lines, renders Markdown and shows what is being done; fed from a file or a pipe it prints
plain text and no moving parts (`adapters.terminal`). Ctrl-C stops the answer or the command, not the program.

Administration is that of chat, with a slash: who sits here is an admin.
"""

import asyncio
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text as Styled

from adapters.protocol import OnTheLine
from adapters.render import REASONS, plain_source
from adapters.terminal import ConsoleReply
from bot.app import App
from bot.errors import UsageError
from bot.messages import Final, IncomingMessage
from bot.notices import Notice
from feedback.records import Score, Vote

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
OWN = {
    "/good": "the last answer was good",
    "/bad [reason]": "it was not: wrong, incomplete, outdated, … (and `: comment`, if you like)",
    "/cited": "the passages behind the last answer, in full",
    "/new": "start a new thread",
    "/help": "show this",
    "/quit": "leave (so does Ctrl-D)",
}
"""What only the terminal has, and what it does."""


@dataclass
class _Thread:
    """What the next message belongs to."""

    id: str
    last: Final | None = None


class ConsoleAdapter(OnTheLine):
    """Chat in the terminal, or along a script on standard input."""

    name: ClassVar[str] = "console"
    interactive: ClassVar[bool] = True

    def __init__(self, app: App, *, console: Console | None = None, echo: bool = False) -> None:
        """`echo` prints the lines read from a pipe, so that the output reads as a conversation."""
        self._app = app
        self._console = console or Console(highlight=False)
        self._echo = echo
        self._thread = _Thread(uuid.uuid4().hex)
        self._task: asyncio.Task[Any] | None = None
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "/good": self._good,
            "/bad": self._bad,
            "/cited": self._cited,
            "/new": self._new,
            "/help": self._help,
        }

    @property
    def configured(self) -> bool:
        return True

    async def run(self) -> None:
        """Read lines until `/quit`, Ctrl-D or the end of the input."""
        self._console.print(
            f"[bold]{self._app.settings.chat.assistant_name}[/] · ask the documents: "
            f"{', '.join(self._app.source_names)} · /help lists the commands, /quit leaves"
        )
        async for line in self._lines():
            if line in {"/quit", "/exit"}:
                break
            await self.enter(line)

    async def enter(self, line: str) -> None:
        """Do what a line says: one of the terminal's commands, one of Parley's, or a question."""
        command, _, rest = line.partition(" ")
        if command in self._commands:
            await self._commands[command](rest.strip())
        elif line.startswith("/"):
            await self._run_command(line[1:])
        else:
            await self.ask(line)

    def interrupt(self) -> None:
        """Stop what is being done, as Ctrl-C does."""
        if self._task:
            self._task.cancel()

    async def _lines(self) -> AsyncIterator[str]:
        if not (sys.stdin.isatty() and self._console.is_terminal):
            while line := await asyncio.to_thread(sys.stdin.readline):
                if self._echo:
                    self._console.print(f"\nyou › {line.strip()}", style="bold", markup=False)
                yield line.strip()
            return
        from prompt_toolkit import PromptSession
        from prompt_toolkit.formatted_text import HTML

        session: PromptSession[str] = PromptSession()
        while True:
            try:
                yield (await session.prompt_async(HTML("\n<b>you › </b>"))).strip()
            except KeyboardInterrupt:
                self._console.print("/quit or Ctrl-D leaves.", style="dim")
            except EOFError:
                return

    async def ask(self, question: str) -> Final | None:
        """Answer one question aloud; None when there was no answer."""
        if not question:
            self._console.print("Ask me anything in your own words; /help lists the commands.")
            return None
        message = self._message(question)
        task = await self._interruptible(self._app.desk.ask(self, message, self.reply(message)))
        if task.cancelled():
            return None
        self._thread.last = task.result() or self._thread.last
        return task.result()

    def reply(self, message: IncomingMessage) -> ConsoleReply:  # noqa: ARG002
        """The next answer, below all that is there."""
        return ConsoleReply(self._console)

    def _message(self, text: str) -> IncomingMessage:
        return IncomingMessage(
            platform=self.name,
            event_id=uuid.uuid4().hex,
            conversation_id=f"terminal:{self._app.user}",
            thread_id=self._thread.id,
            user_id=self._app.user,
            text=text,
        )

    async def _interruptible(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """The task of that work, ended; cancelled by Ctrl-C."""
        self._task = task = asyncio.create_task(work)
        with _interrupts(task):
            await asyncio.wait([task])
        self._task = None
        return task

    async def _good(self, _: str) -> None:
        await self._vote(1, "")

    async def _bad(self, reason: str) -> None:
        await self._vote(-1, reason)

    async def _vote(self, score: Score, reason: str) -> None:
        if self._thread.last is None:
            self._console.print("There is no answer to vote on yet: ask something first.")
            return
        first, _, comment = reason.partition(":")
        known = first.strip().lower() in REASONS
        vote = Vote(
            turn_id=self._thread.last.turn_id,
            user_id=self._app.user,
            score=score,
            reason=first.strip().lower() if known else ("other" if reason else ""),
            comment=comment.strip() if known else reason,
        )
        await asyncio.to_thread(self._app.feedback.save_vote, vote)
        self._console.print("Thank you, 👍 noted." if score > 0 else "Thank you, 👎 noted.")

    async def _cited(self, _: str) -> None:
        if self._thread.last is None or not self._thread.last.sources:
            self._console.print("The last answer has no sources; ask something first.")
            return
        for source in self._thread.last.sources:
            self._console.print(plain_source(source), style="bold", soft_wrap=True)
            self._console.print(source.text, markup=False)

    async def _new(self, _: str) -> None:
        self._thread = _Thread(uuid.uuid4().hex)
        self._console.print("A new thread; what was said before is not part of it.")

    async def _help(self, _: str) -> None:
        self._console.print("Ask anything in your own words; a follow-up may lean on the question before it.")
        shared = {f"/{command.usage}": command.about for command in self._app.desk.commands}
        for heading, listed in (
            ("In the terminal", OWN),
            ("Here and in chat", {k: v for k, v in shared.items() if k not in OWN}),
        ):
            table = Table.grid(padding=(0, 2))
            for usage, about in listed.items():
                table.add_row(Styled(usage, style="bold"), Styled(about))
            self._console.print(f"\n{heading}:")
            self._console.print(Padding(table, (0, 0, 0, 2)))

    async def _run_command(self, text: str) -> None:
        message = self._message(text)
        reply = self.reply(message)
        task = await self._interruptible(self._app.desk.run_command(message, report=reply.report))
        if task.cancelled():
            await reply.stopped()
            return
        try:
            notice = task.result()
        except UsageError as error:
            notice = Notice(str(error))
        except Exception:
            await reply.withdraw()
            raise
        await reply.say(notice.markdown, actions=notice.actions)


@contextmanager
def _interrupts(task: "asyncio.Task[Any]") -> "Iterator[None]":
    """Ctrl-C cancels the task while the block runs."""
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGINT, task.cancel)
    except (NotImplementedError, RuntimeError, ValueError):  # not the main thread, as in tests
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
