"""`model …`: which language model writes the answers, and another one in its place."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bot.commands import Command, Request, code, listing
from bot.errors import UsageError


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that is on this machine."""

    name: str
    """What it is called in `model use`."""
    about: str
    """Its size and the like, or why it cannot be used."""
    is_used: bool = False


def model_commands(
    *,
    installed: Callable[[], Sequence[Installed]],
    in_use: Callable[[], str],
    use: Callable[[str], Awaitable[str]],
) -> list[Command]:
    """`installed` blocks; `use` switches to one of these and returns what it is now, or raises an explained error."""

    async def show(_: Request) -> str:
        models = await asyncio.to_thread(installed)
        lines = [f"- `{model.name}`{' (in use)' if model.is_used else ''}: {model.about}" for model in models]
        there = "\n".join(lines) or "- none; `parley model pull` in the terminal fetches one"
        return f"Answers are written by {in_use()}. On this machine are:\n\n{there}"

    async def switch(request: Request) -> str:
        models = await asyncio.to_thread(installed)
        names = [model.name for model in models]
        wanted = next((name for name in names if name.casefold() == request.argument.casefold()), None)
        if wanted is None:
            there = (
                f"on this machine are {listing(names, 'and')}" if names else "there is none on this machine"
            )
            raise UsageError(
                f"There is no model {code(request.argument)}; {there}, and `parley model pull` in the terminal "
                "fetches others."
            )
        await request.report(f"Loading `{wanted}`; until it is there, the one before goes on answering …")
        return f"Answers are written by {await use(wanted)} from now on."

    return [
        Command(name="model", about="which model writes the answers", run=show, needs_admin=True),
        Command(
            name="model use",
            about="let another model of this machine write the answers",
            run=switch,
            argument=r"\S+",
            placeholder="NAME",
            needs_admin=True,
        ),
    ]
