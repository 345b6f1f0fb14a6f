"""A question that was asked on a local Discord, and replies to it over the real client."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from adapters.discord.aloud import Aloud
from adapters.discord.api import DiscordPace
from adapters.discord.events import Way
from adapters.discord.gateway import Gateway, use_api
from adapters.discord.homes import ChannelHome, Home, WhisperHome
from adapters.discord.reply import DiscordReply
from adapters.discord.signs import Typing
from bot import tables
from bot.database import open_database
from bot.messages import Final, IncomingMessage
from bot.outbox import Outbox
from feedback.records import Mode, SourceRecord
from tests.platforms.discord import LocalDiscord, Message

SOURCE = SourceRecord(
    n=1,
    chunk_id="travel-0",
    title="Travel policy",
    heading="Hotels",
    uri="https://docs.example.com/travel#hotels",
    score=0.9,
    text="Munich: 160 EUR",
)


class DiedError(Exception):
    """The process is gone."""


class DyingOutbox(Outbox):
    """That of a process which dies after so many writes: nothing is written down any more."""

    def __init__(self, engine: sa.Engine, *, writes: int) -> None:
        super().__init__(engine)
        self._left = writes

    def intend(self, message: IncomingMessage, part: int) -> None:
        self._live()
        super().intend(message, part)

    def posted(self, message: IncomingMessage, part: int, ref: str) -> None:
        self._live()
        super().posted(message, part, ref)

    def withdrawn(self, turn_id: str, part: int) -> None:
        self._live()
        super().withdrawn(turn_id, part)

    def _live(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise DiedError


class Bench:
    """One question in a channel, or by a command; every `reply` is that of a new process."""

    def __init__(self, discord: LocalDiscord, engine: sa.Engine, client: Gateway) -> None:
        self.discord = discord
        self.engine = engine
        self.client = client
        self.outbox = Outbox(engine)
        self.asker = discord.add_user("ada")
        self.channel = discord.add_channel("general")

    async def ask(self, text: str = "What is the hotel limit?") -> IncomingMessage:
        """In the channel, by a mention."""
        said = await self.discord.post(self.channel, self.asker, f"{self.discord.mention} {text}")
        return self._message(said.id, text, Way(self.channel.id, said.id))

    async def command(self, text: str = "What is the hotel limit?") -> IncomingMessage:
        """Deferred, as by `/ask` for the asker alone."""
        given = await self._defer()
        way = Way(
            self.channel.id,
            application_id=self.discord.bot.id,
            token=given["token"],
            response_id=given["original"],
        )
        return replace(self._message(given["id"], text, way), is_private=True)

    async def _defer(self) -> dict[str, str]:
        import asyncio

        command = {"name": "ask", "description": "Ask", "type": 1}
        await self.client.http.bulk_upsert_global_commands(int(self.discord.bot.id), payload=[command])
        given = asyncio.create_task(self.discord.slash("ask", {}, self.asker, self.channel))
        # No gateway here: the interaction is answered by hand.
        interaction = await self.discord.wait_for(
            lambda: self.discord.interactions.all[-1] if self.discord.interactions.all else None
        )
        route = f"/interactions/{interaction.id}/{interaction.token}/callback?with_response=true"
        import aiohttp

        async with (
            aiohttp.ClientSession() as session,
            session.post(self.discord.api_url + route, json={"type": 5, "data": {"flags": 64}}) as answer,
        ):
            shown = json.loads(await answer.text())
        await given
        original = str(shown["interaction"]["response_message_id"])
        return {"id": interaction.id, "token": interaction.token, "original": original}

    def reply(
        self,
        message: IncomingMessage,
        *,
        pace: DiscordPace | None = None,
        outbox: Outbox | None = None,
    ) -> DiscordReply:
        pace, outbox = pace or DiscordPace(), outbox or self.outbox
        way = Way.of(message)
        channel = self._channel_home(message, way, pace)
        home: Home = channel
        aloud = None
        if message.is_private:
            home = whisper = WhisperHome(
                self.client,
                pace,
                way=way,
                user_id=message.user_id,
                event_id=message.event_id,
                turn_id=message.turn_id,
            )
            aloud = Aloud(message, home=channel, whisper=whisper, outbox=outbox)
        return DiscordReply(
            message,
            home=home,
            outbox=outbox,
            pace=pace,
            typing=Typing(self.client, pace, channel_id="" if message.is_private else way.channel_id),
            aloud=aloud,
        )

    def _channel_home(self, message: IncomingMessage, way: Way, pace: DiscordPace) -> ChannelHome:
        return ChannelHome(
            self.client,
            pace,
            channel_id=way.channel_id,
            question_id=way.question_id,
            turn_id=message.turn_id,
            since=message.event_id,
        )

    def answers(self) -> list[Message]:
        """The bot's messages in the channel, as everybody sees them."""
        return self.discord.answers(self.channel)

    def whispers(self) -> list[Message]:
        """What the asker alone sees."""
        return [m for m in self.discord.ephemeral(self.asker) if not m.deleted and not m.loading]

    def direct(self) -> list[Message]:
        return self.discord.answers(self.discord.direct_channel(self.asker))

    async def sees(self, text: str, *, part: int = 0) -> Message:
        """Wait until the answer has this text in that part."""

        def look() -> Message | None:
            found = self.answers()
            return found[part] if len(found) > part and text in found[part].text else None

        return await self.discord.wait_for(look)

    def called(self, route: str) -> int:
        """How often Discord did it."""
        return sum(1 for call in self.discord.called(route) if call.status < 300)

    def _message(self, number: str, text: str, way: Way) -> IncomingMessage:
        return IncomingMessage(
            platform="discord",
            event_id=number,
            conversation_id=self.channel.id,
            thread_id=number,
            message_id=number,
            user_id=self.asker.id,
            text=text,
            workspace_id=self.discord.guild.id,
            addressed="mention",
            reply_to=str(way),
        )


def final(message: IncomingMessage, answer: str, *, mode: Mode = "written", note: str = "") -> Final:
    return Final(
        turn_id=message.turn_id,
        mode=mode,
        answer=answer,
        sources=(SOURCE,),
        model_id="scripted",
        retrieve_ms=1,
        first_text_ms=1,
        total_ms=2,
        note=note,
    )


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    engine = open_database(f"sqlite:///{folder / 'core.db'}")
    tables.metadata.create_all(engine)
    async with LocalDiscord() as discord:
        await use_api(discord.api_url)
        async with Gateway(message_content=True, shards=1) as client:
            await client.login(discord.token)
            yield Bench(discord, engine, client)
    engine.dispose()


async def crash(reply: DiscordReply) -> None:
    """End what a reply is doing, as the end of its process does."""
    await reply._pump.close()
    await reply._quieten()
