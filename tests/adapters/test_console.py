"""Commands in the terminal: what is shown while they work, at their end, and when they are stopped."""

import asyncio
import io
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from adapters.console import ConsoleAdapter
from adapters.terminal import ConsoleReply, stage_of
from bot.app import App
from bot.commands import Call, Command, Commands, Report, Request
from bot.errors import UsageError
from bot.messages import Final, IncomingMessage, Progress
from bot.notices import Action, Notice

REPORTS = (
    "Looking for what has changed in `handbook` …",
    "▓░░░ 25% · 1 of 4 files compared · `leave.md`\n\n`reindex cancel` stops it.",
    "▓▓▓░ 75% · 3 of 4 files compared · `travel/hotels.md`\n\n`reindex cancel` stops it.",
    "▓▓░░ 50% · 1 of 2 files read · `travel/hotels.md`\n\n`reindex cancel` stops it.",
)


class Desk:
    """Runs what is typed, as the real one does for an admin."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.cancelled = False
        self.error: Exception | None = None
        self.commands = Commands(
            [
                Command(
                    name="reindex",
                    about="read the sources again",
                    run=self._reindex,
                    argument=r"\w+",
                    is_optional=True,
                    placeholder="SOURCE",
                )
            ]
        )

    async def run_command(self, message: IncomingMessage, *, report: Report) -> Notice:
        call = self.commands.parse(message.text, explicit=True)
        if not isinstance(call, Call):
            raise UsageError(str(call))
        return await self.commands.run(call, message, is_admin=True, report=report)

    async def _reindex(self, request: Request) -> Notice:
        if self.error:
            raise self.error
        for report in REPORTS:
            await request.report(report)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return Notice("- `handbook`: 2 added", (Action("Show it anyway", "reindex anyway"),))


@dataclass
class Terminal:
    """The adapter, and what was printed."""

    is_terminal: bool = False
    desk: Desk = field(default_factory=Desk)

    def __post_init__(self) -> None:
        self._output = io.StringIO()
        self.console = Console(
            file=self._output, width=100, force_terminal=self.is_terminal, highlight=False, color_system=None
        )
        self.user = "ann"
        self.adapter = ConsoleAdapter(cast("App", self), console=self.console)

    @property
    def output(self) -> str:
        return self._output.getvalue()


async def test_in_a_pipe_each_stage_of_a_command_is_one_line() -> None:
    terminal = Terminal()
    terminal.desk.gate.set()
    await terminal.adapter.enter("/reindex handbook")
    assert [line.strip() for line in terminal.output.splitlines() if line.strip()] == [
        "Looking for what has changed in handbook …",
        "▓░░░ 25% · 1 of 4 files compared · leave.md",
        "▓▓░░ 50% · 1 of 2 files read · travel/hotels.md",
        "• handbook: 2 added",
        "• /reindex anyway: Show it anyway",
    ]


async def test_in_a_terminal_the_bar_moves_and_the_notice_takes_its_place() -> None:
    terminal = Terminal(is_terminal=True)
    terminal.desk.gate.set()
    await terminal.adapter.enter("/reindex")
    assert "\x1b[" in terminal.output
    last = terminal.output.rpartition("\x1b[")[2]
    assert "2 added" in last
    assert "%" not in last


async def test_the_bar_can_be_seen_and_says_how_to_stop() -> None:
    terminal = Terminal(is_terminal=True)
    entered = asyncio.create_task(terminal.adapter.enter("/reindex"))
    async with asyncio.timeout(10):
        while "50%" not in terminal.output:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert "Ctrl-C stops it" in terminal.output
    assert "reindex cancel" not in terminal.output
    terminal.desk.gate.set()
    await entered


@pytest.mark.parametrize("is_terminal", [True, False])
async def test_ctrl_c_stops_the_command_and_not_the_program(is_terminal: bool) -> None:
    terminal = Terminal(is_terminal=is_terminal)
    entered = asyncio.create_task(terminal.adapter.enter("/reindex"))
    await asyncio.sleep(0.05)
    terminal.adapter.interrupt()
    await entered
    assert terminal.desk.cancelled
    assert terminal.output.rstrip().endswith("Stopped.")
    await terminal.adapter.enter("/new")
    assert "A new thread" in terminal.output


async def test_a_wrong_command_is_a_sentence() -> None:
    terminal = Terminal()
    await terminal.adapter.enter("/reindx")
    assert "perhaps you mean reindex" in terminal.output


async def test_what_goes_wrong_leaves_the_terminal_as_it_was() -> None:
    terminal = Terminal(is_terminal=True)
    terminal.desk.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await terminal.adapter.enter("/reindex")
    await terminal.adapter.enter("/new")  # a second live display would raise
    await terminal.adapter.enter("/nonsense")
    assert "no command nonsense" in terminal.output


async def test_help_has_the_terminals_own_commands_and_those_of_chat() -> None:
    terminal = Terminal()
    await terminal.adapter.enter("/help")
    for line in ("/cited ", "/bad [reason] ", "/reindex [SOURCE]  read the sources again"):
        assert line in terminal.output
    assert terminal.output.count("/help") == 1


async def test_an_answer_in_a_terminal_takes_the_place_of_what_was_done_for_it() -> None:
    terminal = Terminal(is_terminal=True)
    reply = ConsoleReply(terminal.console)
    await reply.progress(Progress("searching", "Searching the documents"))
    await reply.text("**160 EUR.**")
    await reply.finish(Final("t", "quotes", "160 EUR.", (), "m", 1, 2, 3, note="The model is down."))
    assert "Searching" not in terminal.output.rpartition("160 EUR.")[2]
    assert "The model is down." in terminal.output


@given(st.integers(0, 10**6), st.integers(0, 20), st.text("abc/. ", max_size=20))
def test_figures_bars_and_names_make_no_new_stage(done: int, bar: int, name: str) -> None:
    assert stage_of(f"{'▓' * bar}{'░' * (20 - bar)} {done:,} files read · `{name}`") == "files read"
