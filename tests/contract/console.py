"""The terminal as a stage: one person, who is an admin, and nothing but text."""

import asyncio
import io
import re
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import ClassVar, Self

from rich.console import Console

from adapters.console import ConsoleAdapter
from bot.app import App
from tests.contract.stage import Asked, Feature, Shown

ACTION = re.compile(r"^ • /(?P<command>.+): (?P<label>.+?) *$", re.MULTILINE)
"""What can be done next, as the terminal writes it."""


class ConsoleStage:
    name: ClassVar[str] = "console"
    lacks: ClassVar[frozenset[Feature]] = frozenset(
        {
            "direct",
            "follow-up",
            "overhearing",
            "private",
            "menu",
            "status",
            "edit",
            "delete",
            "files",
            "redelivery",
            "reconnect",
            "restart",
            "reaction",
            "many people",
            "thread context",
            "buttons",
            "reports",
        }
    )
    settings = ""
    environ: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self._output = io.StringIO()
        self._adapter: ConsoleAdapter | None = None
        self._asking: asyncio.Task[object] | None = None
        self._from: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def start(self, app: App) -> None:
        console = Console(file=self._output, width=4000, highlight=False)
        self._adapter = ConsoleAdapter(app, console=console)

    async def stop(self) -> None:
        if self._asking:
            await asyncio.gather(self._asking, return_exceptions=True)

    @property
    def adapter(self) -> ConsoleAdapter:
        assert self._adapter
        return self._adapter

    async def mention(
        self, text: str, *, person: str = "ann", thread: str = "", files: Sequence[tuple[str, bytes]] = ()
    ) -> Asked:
        return self._type(text)

    async def command(self, text: str, *, person: str = "boss") -> Asked:
        return self._type(f"/{text}")

    def _type(self, line: str) -> Asked:
        asked = Asked(line, "ann", id=str(len(self._from)))
        self._from[asked.id] = len(self._output.getvalue())
        self._asking = asyncio.create_task(self.adapter.enter(line))
        return asked

    async def stop_answer(self, asked: Asked) -> None:
        """Ctrl-C."""
        assert self._asking
        self.adapter.interrupt()
        await asyncio.wait([self._asking])

    async def vote(
        self, shown: Shown, score: int, *, person: str = "ann", reason: str = "", comment: str = ""
    ) -> None:
        await self.adapter.enter("/good" if score > 0 else f"/bad {reason}: {comment}")

    async def press(self, shown: Shown, label: str, *, person: str = "boss") -> Asked:
        commands = {named["label"]: named["command"] for named in ACTION.finditer(shown.text)}
        return await self.command(commands[label], person=person)

    def shown(self, asked: Asked) -> list[Shown]:
        starts = [*self._from.values(), len(self._output.getvalue())]
        at = int(asked.id)
        text = self._output.getvalue()[starts[at] : starts[at + 1]]
        actions = [named["label"] for named in ACTION.finditer(text)]
        return [Shown(asked.id, text, can_vote=" in 0.0 s" in text, actions=actions)] if text.strip() else []

    def progress(self, asked: Asked) -> list[str]:
        return []

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
