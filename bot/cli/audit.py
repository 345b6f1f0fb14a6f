"""`parley audit`."""

from typing import Annotated, Literal

import typer

from bot.cli.context import out, print_json
from bot.cli.feedback import database


def register(app: typer.Typer) -> None:
    app.command()(audit)


def audit(
    *,
    days: Annotated[int | None, typer.Option("--days", min=1, max=3660, help="How many days back.")] = None,
    outcome: Annotated[
        Literal["done", "refused", "failed"] | None, typer.Option("--outcome", help="Only those.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show who gave which command for admins, and who was refused one."""
    from dataclasses import asdict
    from datetime import UTC, datetime, timedelta

    from rich.table import Table
    from rich.text import Text

    from bot.audit import Audit

    since = None if days is None else datetime.now(UTC) - timedelta(days=days)
    with database() as engine:
        entries = Audit(engine).entries(since=since, outcome=outcome, limit=limit)
    if as_json:
        print_json([asdict(one) | {"at": one.at.isoformat(timespec="seconds")} for one in entries])
        return
    if not entries:
        which = "" if outcome is None else f" with the outcome {outcome}"
        span = "" if days is None else " in the last day" if days == 1 else f" in the last {days} days"
        out().print(f"There is no command for admins on record{which}{span}.")
        return
    table = Table("when", "who", "where", "command", "outcome")
    for one in entries:
        became = f"{one.outcome}: {one.detail}" if one.detail else one.outcome
        when = one.at.astimezone().strftime("%d %b %Y %H:%M")
        table.add_row(when, *map(Text, (one.person, one.place, one.command, became)))
    out().print(table)
