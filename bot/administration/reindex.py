"""`reindex …` and `rollback`: bring the index up to date, and take that back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from bot.administration.differences import described, dropped, progress_text, rolled
from bot.commands import Command, Report, Request, listing
from bot.config import NAME
from bot.errors import UsageError
from bot.notices import Action, Notice
from bot.reindexing import Reindexing, Run
from knowledge.errors import EvaluationDropError

if TYPE_CHECKING:
    from knowledge.rollback import Rollback

EVERY = 1.0
"""Seconds between two looks at how far the work is."""

Work = Callable[[Request], Awaitable[Notice | str]]


class Reindex:
    """`reindex …`."""

    def __init__(self, reindexing: Reindexing, *, source_names: Callable[[], Sequence[str]]) -> None:
        """`source_names` gives the names of the sources that there are now."""
        self._reindexing = reindexing
        self._source_names = source_names

    def commands(self) -> list[Command]:
        def command(name: str, about: str, run: Work, *, is_listed: bool = True) -> Command:
            return Command(
                name=name,
                about=about,
                run=run,
                argument=NAME,
                is_optional=True,
                placeholder="SOURCE",
                needs_admin=True,
                alone="now",
                is_listed=is_listed,
            )

        return [  # the first that matches is taken, so what is not the name of a source comes first
            command("reindex --dry-run", "what reading the sources again would change", self._dry_run),
            Command(
                name="reindex cancel",
                about="stop reading the sources; the next time goes on there",
                run=self._cancel,
                needs_admin=True,
            ),
            command("reindex go", "read the sources without asking", self._go, is_listed=False),
            command("reindex anyway", "show a state that finds less", self._anyway, is_listed=False),
            command("reindex", "read the sources, or one of them, again", self._ask),
        ]

    async def _ask(self, request: Request) -> Notice:
        only = self._chosen(request)
        if running := self._reindexing.running:
            if running.covers(only, force=False):
                return await _follow(running, request.report)
            await request.report(f"Waiting: {_what(running.only)} is being read.")
        else:
            await request.report(f"Looking for what has changed in {_what(only)} …")
            difference = await self._reindexing.preview(only)
            if difference.is_large():
                go = Action("Go on", f"reindex go {only or ''}".strip())
                return Notice(f"{described(difference)}\n\nThis is much. Shall I go on?", (go,))
        return await _follow(await self._reindexing.begin(only), request.report)

    async def _go(self, request: Request) -> Notice:
        return await _follow(await self._reindexing.begin(self._chosen(request)), request.report)

    async def _anyway(self, request: Request) -> Notice:
        run = await self._reindexing.begin(self._chosen(request), force=True)
        return await _follow(run, request.report)

    async def _dry_run(self, request: Request) -> str:
        return described(await self._reindexing.preview(self._chosen(request)))

    async def _cancel(self, _: Request) -> str:
        if self._reindexing.cancel():
            return "Stopping at the next file; what people see stays as it was."
        return "No source is being read."

    def _chosen(self, request: Request) -> str | None:
        name = request.argument.casefold()
        known = self._source_names()
        if name and name not in known:
            there = f"the sources are {listing(known, 'and')}" if known else "there are no sources yet"
            raise UsageError(f"There is no source `{name}`; {there}.")
        return name or None


def rollback_commands(roll_back: Callable[[bool], Awaitable["Rollback"]]) -> list[Command]:
    """`roll_back` goes back to the state before the last one; with False it only says what that would change."""

    async def ask(_: Request) -> Notice:
        would = await roll_back(False)
        return Notice(
            f"Going back to the state before the last change would mean:\n\n{rolled(would)}\n\n"
            "The schedules of these sources are paused then, or they would bring the change again.",
            (Action("Roll back", "rollback yes", is_dangerous=True),),
        )

    async def yes(_: Request) -> str:
        done = await roll_back(True)
        return (
            f"Done: people see the state before the last change.\n\n{rolled(done)}\n\n"
            "The schedules of these sources are paused; `reindex SOURCE` brings its change again, and "
            "`sources resume SOURCE` its schedule."
        )

    return [
        Command(
            name="rollback yes", about="go back without asking", run=yes, needs_admin=True, is_listed=False
        ),
        Command(
            name="rollback",
            about="go back to the documents as they were before the last change",
            run=ask,
            needs_admin=True,
        ),
    ]


async def _follow(run: Run, report: Report) -> Notice:
    """Show how far it is until it has ended, and then what it did."""
    shown = ""
    try:
        while not await run.wait(EVERY):
            if run.progress and (now := progress_text(run.progress)) != shown:
                shown = now
                await report(f"{shown}\n\n`reindex cancel` stops it.")
    except asyncio.CancelledError:  # Ctrl-C, or Parley stops
        run.cancel()
        raise
    try:
        return Notice(described(await run.report()))
    except EvaluationDropError as error:
        anyway = Action("Show it anyway", f"reindex anyway {run.only or ''}".strip(), is_dangerous=True)
        return Notice(dropped(error), (anyway,))


def _what(only: str | None) -> str:
    return f"`{only}`" if only else "all sources"
