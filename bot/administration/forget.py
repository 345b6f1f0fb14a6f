"""`forget`: delete what a person asked and thought; see `bot.forgetting`."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from bot.commands import Command, Request
from bot.forgetting import REMAINS, Forgotten
from bot.notices import Action, Notice

Named = Callable[[str, str], tuple[str, str]]
"""Platform and id of the person that a text names, on the platform where it was said."""


class Forgets(Protocol):
    """`bot.forgetting.Forgetting`."""

    def preview(self, platform: str, user_id: str, *, asked_in: str = "") -> Forgotten: ...

    def forget(self, platform: str, user_id: str, *, asked_in: str = "") -> Forgotten: ...


def forget_commands(forgetting: Forgets, *, named: Named) -> list[Command]:
    """`named` raises `UsageError` for a text that names nobody."""

    async def ask(request: Request) -> Notice:
        platform, user_id = named(request.argument, request.message.platform)
        found = await asyncio.to_thread(
            forgetting.preview, platform, user_id, asked_in=request.message.turn_id
        )
        if found.is_nothing:
            return Notice(found.sentence)
        return Notice(
            f"Of this person there are {found.counts}, which would be deleted for good. {REMAINS}",
            (Action("Forget them", f"forget yes {platform}:{user_id}", is_dangerous=True),),
        )

    async def yes(request: Request) -> str:
        platform, user_id = named(request.argument, request.message.platform)
        found = await asyncio.to_thread(
            forgetting.forget, platform, user_id, asked_in=request.message.turn_id
        )
        return found.sentence

    return [
        Command(
            name="forget yes",
            about="forget without asking",
            run=yes,
            argument=r"\S+",
            needs_admin=True,
            is_listed=False,
        ),
        Command(
            name="forget",
            about="delete what somebody asked, was answered and thought",
            run=ask,
            argument=r"\S.*",
            placeholder="@PERSON",
            needs_admin=True,
        ),
    ]
