"""`parley chat` and `parley ask`."""

import sys
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.context import out, print_json, run_app, sync_progress

if TYPE_CHECKING:
    from bot.app import App


def register(app: typer.Typer) -> None:
    app.command()(chat)
    app.command()(ask)


def chat(
    *,
    echo: Annotated[bool, typer.Option("--echo", help="Print the lines read from a pipe.")] = False,
) -> None:
    """Open a conversation in the terminal, or play one from standard input.

    Reads the documents first when nothing is indexed yet.
    """

    async def run(app: "App") -> None:
        from bot.plugins import adapter_class
        from bot.reports import sync_lines

        if not app.library.counts:
            with sync_progress(quiet=False) as on_progress:
                report = await app.reindex(on_progress=on_progress)
            for line in sync_lines(report):
                out().print(line, markup=False)
        app.start()
        await adapter_class("console")(app, echo=echo).run()

    run_app(run)


def ask(
    question: Annotated[str, typer.Argument(help="The question; `-` reads one a line from standard input.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each answer.")] = False,
) -> None:
    """Answer one question, or one a line from standard input (`parley ask -`)."""
    questions = _lines() if question == "-" else iter([question.strip()])
    failed = run_app(lambda app: (_print_json if as_json else _print_text)(app, questions))
    if failed:
        raise typer.Exit(1)


async def _print_text(app: "App", questions: Iterator[str]) -> bool:
    """Answer aloud; returns whether any question failed."""
    from bot.plugins import adapter_class

    app.start()
    failed = False
    for text in questions:
        console = adapter_class("console")(app)  # each question in a thread of its own
        failed |= await console.ask(_checked(text)) is None
    return failed


async def _print_json(app: "App", questions: Iterator[str]) -> bool:
    """One object a line, also for a question that failed; returns whether any did."""
    from bot.errors import EXPLAINED
    from bot.messages import Final, IncomingMessage
    from bot.reports import answer_json

    app.start()
    failed = False
    for text in questions:
        message = IncomingMessage(
            platform="cli",
            event_id=uuid.uuid4().hex,
            conversation_id="cli",
            thread_id=uuid.uuid4().hex,
            user_id=app.user,
            text=_checked(text),
        )
        try:
            async with app.assistant.answer(message) as events:
                async for event in events:
                    if isinstance(event, Final):
                        print_json(answer_json(event))
        except EXPLAINED as error:
            failed = True
            print_json({"error": str(error), "question": text})
    return failed


def _checked(text: str) -> str:
    from bot.errors import UsageError

    if not text:
        raise UsageError('There is no question: give one, as in `parley ask "How much leave do I get?"`.')
    return text


def _lines() -> Iterator[str]:
    return (line.strip() for line in sys.stdin if line.strip())
