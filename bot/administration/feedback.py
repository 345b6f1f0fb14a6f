"""`feedback summary`: what people think of the answers, in figures."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from bot.commands import Command, Request
from bot.periods import period
from feedback.records import now

DEFAULT = "7d"


def feedback_command(summarise: Callable[[datetime, datetime], str]) -> Command:
    """`summarise` makes Markdown of what was asked between two moments; it blocks."""

    async def run(request: Request) -> str:
        until = now()
        return await asyncio.to_thread(summarise, until - period(request.argument or DEFAULT), until)

    return Command(
        name="feedback summary",
        about="what people think of the answers, in figures",
        run=run,
        argument=r"\d\S*(?:\s+\w+)?",
        is_optional=True,
        placeholder="7d",
        needs_admin=True,
    )
