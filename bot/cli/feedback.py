"""`parley feedback list|summary|export`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bot.cli.context import err, out, print_json, settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from feedback.store import FeedbackStore

commands = typer.Typer(help="Answers and what people thought of them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="feedback")


@contextmanager
def database() -> "Iterator[Engine]":
    """The database of the settings, with the tables of this version."""
    from bot.database import migrate, open_database

    engine = open_database(settings().database_url.get_secret_value())
    try:
        migrate(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _store() -> "Iterator[FeedbackStore]":
    from feedback.store import FeedbackStore

    with database() as engine:
        yield FeedbackStore(engine)


@commands.command("list")
def list_turns(
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many answers, newest first.")] = 20,
    bad: Annotated[bool, typer.Option("--bad", help="Only answers with a 👎.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the latest answers with their votes."""
    from rich.table import Table

    with _store() as store:
        rated = store.turns(limit=limit, score=-1 if bad else None)
    if as_json:
        print_json([
            {
                "turn_id": one.turn.id,
                "at": one.turn.started_at.isoformat(timespec="seconds"),
                "platform": one.turn.platform,
                "question": one.turn.question,
                "answer": one.turn.answer,
                "mode": one.turn.mode,
                "outcome": one.turn.outcome,
                "up": sum(vote.score > 0 for vote in one.votes),
                "down": sum(vote.score < 0 for vote in one.votes),
                "reasons": [vote.comment or vote.reason for vote in one.votes if vote.score < 0],
            }
            for one in rated
        ])  # fmt: skip
        return
    if not rated:
        out().print("No answers yet." if not bad else "No answer has a 👎.")
        return
    table = Table("when", "question", "answer", "how", "votes")
    for one in rated:
        up = sum(vote.score > 0 for vote in one.votes)
        down = [vote.comment or vote.reason for vote in one.votes if vote.score < 0]
        votes = " ".join(
            filter(
                None,
                [f"👍 {up}" if up else "", f"👎 {len(down)}" if down else "", ", ".join(filter(None, down))],
            )
        )
        table.add_row(
            one.turn.started_at.astimezone().strftime("%d %b %H:%M"),
            _short(one.turn.question),
            _short(one.turn.answer) or (one.turn.error or one.turn.outcome),
            one.turn.mode if one.turn.outcome == "answered" else one.turn.outcome,
            votes,
        )
    out().print(table)


@commands.command()
def summary(
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="How many days back.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count answers and votes, by place and by week."""
    from datetime import timedelta

    from rich.markdown import Markdown

    from feedback import report
    from feedback.records import now

    until = now()
    with _store() as store:
        found = report.summary(store, since=until - timedelta(days=days), until=until)
    if as_json:
        print_json(report.as_json(found))
    elif (console := out()).is_terminal:
        console.print(Markdown(report.as_markdown(found)))
    else:
        console.print(report.as_markdown(found), markup=False)


@commands.command()
def export(
    *,
    form: Annotated[
        Literal["jsonl", "csv"], typer.Option("--format", help="jsonl keeps everything.")
    ] = "jsonl",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file instead of standard output.")
    ] = None,
) -> None:
    """Write every answer with its votes, oldest first."""
    from bot.errors import ParleyError
    from feedback.export import write_csv, write_jsonl

    write = write_jsonl if form == "jsonl" else write_csv
    with _store() as store:
        if output is None:
            count = write(store.iterate(), sys.stdout)
        else:
            try:
                with output.open("w", encoding="utf-8", newline="") as stream:
                    count = write(store.iterate(), stream)
            except OSError as error:
                raise ParleyError(
                    f"{output} cannot be written ({error.strerror}); choose another --output."
                ) from error
    err().print(f"{count} answers exported.")


def _short(text: str, width: int = 70) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
