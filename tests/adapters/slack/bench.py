"""A question that was asked on a local Slack, and replies to it over the real client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.api import SlackApi, WorkspacePace
from adapters.slack.events import Place, place_of
from adapters.slack.reply import SlackReply
from bot import tables
from bot.database import open_database
from bot.messages import Final, IncomingMessage
from bot.outbox import Outbox
from feedback.records import Mode, SourceRecord
from tests.platforms.slack import Channel, LocalSlack, Message

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
    """One question in a channel, a direct message, or by a command; every `reply` is that of a new process."""

    def __init__(self, slack: LocalSlack, engine: sa.Engine) -> None:
        self.slack = slack
        self.engine = engine
        self.outbox = Outbox(engine)
        self.pace = WorkspacePace()
        self.asker = slack.add_user("ada")
        self.channel = slack.add_channel("general", members=[self.asker])
        self._count = 0

    async def ask(
        self, text: str = "What is the hotel limit?", *, in_thread: str | None = None
    ) -> IncomingMessage:
        """In the channel, by a mention."""
        mention = f"{self.slack.mention} {text}"
        ts = await self.slack.post(self.channel, self.asker, mention, thread_ts=in_thread)
        return self._message(self.channel, ts, text, thread_ts=in_thread or ts)

    async def ask_directly(self, text: str = "What is the hotel limit?") -> IncomingMessage:
        ts = await self.slack.direct(self.asker, text)
        message = self._message(self.slack.direct_channel(self.asker), ts, text, thread_ts=ts)
        return replace(message, addressed="direct", thread_id=message.conversation_id)

    def command(self, text: str = "What is the hotel limit?") -> IncomingMessage:
        """By `/ask`: the asker alone sees the answer."""
        self._count += 1
        url = self.slack.responses.url(self.slack.workspace, self.channel.id, self.asker.id)
        return IncomingMessage(
            platform="slack",
            event_id=f"command:{self._count}",
            conversation_id=self.channel.id,
            thread_id=f"command:{self._count}",
            user_id=self.asker.id,
            text=text,
            workspace_id=self.slack.workspace.id,
            addressed="mention",
            is_private=True,
            reply_to=str(Place(response_url=url)),
        )

    def reply(
        self,
        message: IncomingMessage,
        *,
        pace: WorkspacePace | None = None,
        outbox: Outbox | None = None,
    ) -> SlackReply:
        client = AsyncWebClient(token=self.slack.bot_token, base_url=self.slack.api_url, timeout=2)
        return SlackReply(
            message,
            api=SlackApi(client, pace or self.pace, bot_name="Parley"),
            outbox=outbox or self.outbox,
            bot_user_id=self.slack.bot.id,
        )

    def answers(self, message: IncomingMessage) -> list[Message]:
        """The bot's messages below the question, as everybody sees them."""
        return self.slack.answers(message.conversation_id, place_of(message).thread_ts or None)

    def whispers(self) -> list[Message]:
        """What the asker alone sees."""
        return [m for m in self.slack.messages(self.channel) if m.ephemeral_to == self.asker.id]

    async def sees(self, message: IncomingMessage, text: str, *, part: int = 0) -> Message:
        """Wait until the answer has this text in that part."""

        def look() -> Message | None:
            found = self.answers(message)
            return found[part] if len(found) > part and text in found[part].text else None

        return await self.slack.wait_for(look)

    def called(self, method: str) -> int:
        """How often Slack did it."""
        return sum(1 for call in self.slack.called(method) if not call.error)

    def _message(self, channel: Channel, ts: str, text: str, *, thread_ts: str) -> IncomingMessage:
        return IncomingMessage(
            platform="slack",
            event_id=f"{channel.id}:{ts}",
            conversation_id=channel.id,
            thread_id=thread_ts,
            message_id=ts,
            user_id=self.asker.id,
            text=text,
            workspace_id=self.slack.workspace.id,
            addressed="mention",
            reply_to=str(Place(thread_ts=thread_ts, message_ts=ts)),
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
    async with LocalSlack() as slack:
        yield Bench(slack, engine)
    engine.dispose()


async def crash(reply: SlackReply) -> None:
    """End what a reply is doing, as the end of its process does."""
    await reply._pump.close()
    await reply._status.hide()
