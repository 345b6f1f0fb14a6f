"""`reindex …` and `rollback`: bring the index up to date, and take that back."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bot.administration.differences import described, dropped, progress_text, rolled
from bot.administration.naming import may_know_all, naming, unknown_source
from bot.commands import Command, Request
from bot.config import NAME
from bot.errors import UsageError
from bot.notices import Action, Notice
from bot.reindexing import Reindexing, Run
from knowledge.errors import EvaluationDropError, SourceError

if TYPE_CHECKING:
    from knowledge.rollback import Rollback

EVERY = 1.0
"""Seconds between two looks at how far the work is."""

Work = Callable[[Request], Awaitable[Notice | str]]


class Reindex:
    """`reindex …`."""

    def __init__(
        self,
        reindexing: Reindexing,
        *,
        source_names: Callable[[], Sequence[str]],
        visible_to: Mapping[str, frozenset[str]],
    ) -> None:
        """`source_names` gives the names of the sources that there are now; `visible_to` says who may see each."""
        self._reindexing = reindexing
        self._source_names = source_names
        self._visible_to = visible_to

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
        only, may_name = self._chosen(request), naming(request.message, self._visible_to)
        if (run := self._reindexing.joinable(only)) is None:
            if running := self._reindexing.running:
                what = "another source"
                if running.only is None:
                    what = "the whole index"
                elif may_name(running.only):
                    what = _what(running.only)
                await request.report(f"Waiting: {what} is being read.")
            await request.report(f"Looking for what has changed in {_what(only)} …")
            with self._discreet(request):
                difference = await self._reindexing.preview(only)
            if difference.is_large():
                go = Action("Go on", f"reindex go {only or ''}".strip())
                told = described(difference, may_name=may_name, asked=only)
                return Notice(f"{told}\n\nThis is much. Shall I go on?", (go,))
            run = await self._reindexing.begin(only)
        return await self._follow(run, request, asked=only)

    async def _go(self, request: Request) -> Notice:
        only = self._chosen(request)
        return await self._follow(await self._reindexing.begin(only), request, asked=only)

    async def _anyway(self, request: Request) -> Notice:
        only = self._chosen(request)
        return await self._follow(await self._reindexing.begin(only, force=True), request, asked=only)

    async def _dry_run(self, request: Request) -> str:
        only = self._chosen(request)
        with self._discreet(request):
            difference = await self._reindexing.preview(only)
        return described(difference, may_name=naming(request.message, self._visible_to), asked=only)

    async def _follow(self, run: Run, request: Request, *, asked: str | None) -> Notice:
        """Show how far it is until it has ended, and then what it did."""
        may_name = naming(request.message, self._visible_to)
        # Also a run for one source reads all of them when the embedding model has changed.
        is_open = may_know_all(request.message, self._visible_to)
        shown = ""
        with run.followed():
            while not await run.wait(EVERY):
                if run.progress and (now := progress_text(run.progress, is_open=is_open)) != shown:
                    shown = now
                    await request.report(f"{shown}\n\n`reindex cancel` stops it.")
        try:
            with self._discreet(request):
                return Notice(described(await run.report(), may_name=may_name, asked=asked))
        except EvaluationDropError as error:
            anyway = Action("Show it anyway", f"reindex anyway {run.only or ''}".strip(), is_dangerous=True)
            told = dropped(error, may_name=may_name, asked=asked)
            return Notice(told, (anyway,), is_failure=True)

    @contextmanager
    def _discreet(self, request: Request) -> Iterator[None]:
        """A source that cannot be read says where it is; that is for those who may know of all of them."""
        try:
            yield
        except SourceError as error:
            if may_know_all(request.message, self._visible_to):
                raise
            raise UsageError(
                "A source cannot be read; `reindex` in a direct message to me says which, and why."
            ) from error

    async def _cancel(self, _: Request) -> str:
        if self._reindexing.cancel():
            return "Stopping; what people see stays as it was."
        return "No source is being read."

    def _chosen(self, request: Request) -> str | None:
        name = request.argument.casefold()
        known = self._source_names()
        if name and name not in known:
            raise unknown_source(name, known, request.message, self._visible_to)
        return name or None


def rollback_commands(
    roll_back: Callable[[int | None], Awaitable["Rollback"]], *, visible_to: Mapping[str, frozenset[str]]
) -> list[Command]:
    """`roll_back` takes the revision of that number back; without one it only says what going back would change."""

    async def ask(request: Request) -> Notice:
        would = await roll_back(None)
        changes = rolled(would, may_name=naming(request.message, visible_to))
        return Notice(
            f"Going back to the state before the last change would mean:\n\n{changes}\n\n"
            "The schedules of these sources are paused then, or they would bring the change again.",
            (Action("Roll back", f"rollback yes {would.revision}", is_dangerous=True),),
        )

    async def yes(request: Request) -> str:
        done = await roll_back(int(request.argument))
        changes = rolled(done, may_name=naming(request.message, visible_to))
        return (
            f"Done: people see the state before the last change.\n\n{changes}\n\n"
            "The schedules of these sources are paused; `reindex SOURCE` brings its change again, and "
            "`sources resume SOURCE` its schedule."
        )

    return [
        Command(
            name="rollback yes",
            about="go back without asking",
            run=yes,
            argument=r"\d{1,15}",
            needs_admin=True,
            is_listed=False,
        ),
        Command(
            name="rollback",
            about="go back to the documents as they were before the last change",
            run=ask,
            needs_admin=True,
        ),
    ]


def _what(only: str | None) -> str:
    return f"`{only}`" if only else "all sources"
