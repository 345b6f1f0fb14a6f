"""A local Discord with the real adapter on it, and the real desk with a scripted assistant behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import sqlalchemy as sa
from sqlalchemy import Engine

from adapters.discord.adapter import DiscordAdapter
from bot.app import App
from bot.assistant import Assistant
from bot.config import load_settings
from bot.library import Library
from bot.llm.local import Unavailable
from bot.llm.switch import SwitchableLLM
from bot.messages import IncomingMessage
from bot.tables import outbox
from feedback.records import Score
from tests.contract.scripted import ANSWER, ScriptedAssistant
from tests.platforms.discord import LocalDiscord, Message

SETTINGS = """
[llm]
enabled = false

[[sources]]
name = "handbook"
path = "."

[discord]
api_url = "{api_url}"
"""


class Town:
    """People, a channel, and a bot that comes and goes."""

    def __init__(self, discord: LocalDiscord, engine: Engine, folder: Path) -> None:
        self.discord = discord
        self.engine = engine
        self.folder = folder
        self.ann = discord.add_user("ann")
        self.bob = discord.add_user("bob")
        self.boss = discord.add_user("boss", admin=True)
        self.general = discord.add_channel("general")
        self.adapter = cast("DiscordAdapter", None)
        self.app = cast("App", None)
        self.script: dict[str, list[str]] = {}
        self._running: asyncio.Task[None] | None = None

    @property
    def asked(self) -> list[IncomingMessage]:
        return self.assistant.asked

    @property
    def assistant(self) -> ScriptedAssistant:
        return cast("ScriptedAssistant", self.app.desk._serving._assistant)

    def votes(self) -> dict[str, tuple[Score, str, str]]:
        """Score, reason and comment by the person's id."""
        return {
            vote.user_id: (vote.score, vote.reason, vote.comment)
            for rated in self.app.feedback.iterate()
            for vote in rated.votes
        }

    @asynccontextmanager
    async def open(self, settings: str = "") -> AsyncIterator[None]:
        """The bot is there; `settings` follow those of `[discord]`."""
        self.make(settings)
        self._running = asyncio.create_task(self.adapter.run())
        try:
            await self.until(lambda: self.adapter.health and self.adapter.health.is_ready)
            yield
        finally:
            await self.app.close()
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None
            await self.until(lambda: not self.discord.connections)

    def make(self, settings: str = "") -> None:
        """The app and the adapter, which does not run yet."""
        file = self.folder / "parley.toml"
        file.write_text(SETTINGS.format(api_url=self.discord.api_url) + settings, encoding="utf-8")
        loaded = load_settings(file, {"PARLEY_DISCORD_TOKEN": self.discord.token})
        library = Library(loaded, self.engine)
        llm = cast("SwitchableLLM", Unavailable("none"))
        self.app = App(loaded, library=library, llm=llm, engine=self.engine)
        scripted = ScriptedAssistant(self.app.feedback)
        scripted.script |= self.script
        self.app.desk._serving._assistant = cast("Assistant", scripted)
        self.adapter = DiscordAdapter(self.app, settle=0.1)

    async def ask(self, text: str = "What is the limit?") -> Message:
        """By a mention in the channel."""
        return await self.discord.post(self.general, self.ann, f"{self.discord.mention} {text}")

    def answers_to(self, asked: Message) -> list[Message]:
        return [m for m in self.discord.answers(asked.channel) if m.reference is asked]

    async def answer(self, asked: Message, *, containing: str = ANSWER) -> Message:
        """The one answer to it, complete."""
        await self.until(lambda: any(is_complete(m) for m in self.answers_to(asked)))
        (answer,) = self.answers_to(asked)
        await self.until(lambda: self._is_noted(answer))  # nobody replies within the same millisecond
        assert containing in answer.text
        return answer

    def _is_noted(self, answer: Message) -> bool:
        with self.engine.connect() as connection:
            found = connection.execute(sa.select(outbox.c.turn_id).where(outbox.c.ref == answer.id))
            return found.first() is not None

    async def until(self, condition: Callable[[], object]) -> None:
        def look() -> object:
            if self._running and self._running.done() and not self._running.cancelled():
                self._running.result()
            return condition()

        await self.discord.wait_for(look, timeout=20.0)


def is_complete(message: Message) -> bool:
    return any((button.get("emoji") or {}).get("name") == "👍" for button in message.buttons)
