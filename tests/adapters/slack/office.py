"""A local Slack, the real adapter on it with the real slack-bolt and slack-sdk, and a desk that keeps notes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import sqlalchemy as sa
from pydantic import SecretStr

from adapters.slack.adapter import SlackAdapter
from adapters.slack.blocks import answer_blocks
from adapters.slack.whispers import TOLD, WHISPERED
from bot.app import App
from bot.config import ChatSettings, SlackSettings
from bot.errors import SettingsError, UsageError
from bot.inbox import Inbox
from bot.messages import Final, IncomingMessage
from bot.outbox import Outbox
from bot.telemetry import Telemetry
from bot.vault import Vault
from feedback.records import Turn, Vote, now
from feedback.store import FeedbackStore
from tests.platforms.slack import LocalSlack, Message, User

ASKED = IncomingMessage(
    platform="slack", event_id="e1", conversation_id="C1", thread_id="5.0", user_id="U1", text="?"
)
TURN = Turn(
    id=ASKED.turn_id,
    platform="slack",
    conversation_id="C1",
    thread_id="5.0",
    user_id="U1",
    question="How many days of leave?",
    answer="28 days. [1]",
    mode="written",
    outcome="answered",
    sources=(),
    retrieved=(),
    model_id="m",
    prompt_id="p",
    started_at=now(),
    retrieve_ms=1,
    first_text_ms=1,
    total_ms=1,
)
SECRETS = {"bot_token", "app_token", "signing_secret", "client_id", "client_secret", "secret_key"}


class NotingDesk:
    """Keeps what it was handed, and its votes as the real desk does; `troubles` are raised one after the other."""

    def __init__(self, engine: sa.Engine, feedback: FeedbackStore) -> None:
        self.inbox = Inbox(engine)
        self.outbox = Outbox(engine)
        self.noted: list[Any] = []
        self.troubles: list[Exception] = []
        self.joined: list[Any] = []
        self.may_share = True
        self.can_stop = True
        self._feedback = feedback

    def join(self, platform: Any) -> None:
        self.joined.append(platform)

    async def receive(self, message: IncomingMessage) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        if await asyncio.to_thread(self.inbox.accept, message):
            self.noted.append(message)

    async def may(self, message: IncomingMessage) -> bool:
        """Only admins dig."""
        return message.text == "look" or (await self.joined[-1].complete(message)).by_admin

    async def edited(self, *what: str) -> None:
        self.noted.append(("edited", *what))

    async def deleted(self, *what: str) -> None:
        self.noted.append(("deleted", *what))

    async def stop_turn(self, turn_id: str, *, user_id: str) -> bool:
        self.noted.append(("stop_turn", turn_id, user_id))
        return self.can_stop

    async def vote(self, vote: Vote) -> None:
        await asyncio.to_thread(self._feedback.save_vote, vote)

    async def withdraw_vote(self, turn_id: str, user_id: str) -> None:
        await asyncio.to_thread(self._feedback.withdraw_vote, turn_id, user_id)

    async def shareable(self, turn_id: str, principals: frozenset[str]) -> Turn:
        self.noted.append(("shareable", turn_id, principals))
        if not self.may_share:
            raise UsageError("Not everyone here may see that.")
        return TURN

    @property
    def messages(self) -> list[IncomingMessage]:
        return [noted for noted in self.noted if isinstance(noted, IncomingMessage)]


class Office:
    """A local Slack, the adapter on it, and the desk behind it."""

    def __init__(
        self, slack: LocalSlack, engine: sa.Engine, desk: NotingDesk, feedback: FeedbackStore, vault: Vault
    ) -> None:
        self.slack, self.engine, self.desk, self.feedback, self.vault = slack, engine, desk, feedback, vault
        self.telemetry = Telemetry()
        self.ann = slack.add_user("ann")
        self.bob = slack.add_user("bob", admin=True)
        self.channel = slack.add_channel("general", members=[self.ann, self.bob])
        self.adapter: SlackAdapter = cast("SlackAdapter", None)

    def make(self, *, silence: float = 300.0, **settings: Any) -> SlackAdapter:
        tokens: dict[str, Any] = {"bot_token": self.slack.bot_token, "app_token": self.slack.app_token}
        given = {
            key: SecretStr(value) for key, value in (tokens | settings).items() if key in SECRETS and value
        }
        plain = {key: value for key, value in settings.items() if key not in SECRETS}
        slack = SlackSettings(api_url=self.slack.api_url, **plain).model_copy(update=given)
        app = SimpleNamespace(
            settings=SimpleNamespace(slack=slack, chat=ChatSettings()),
            desk=self.desk,
            feedback=self.feedback,
            vault=self.vault,
            telemetry=self.telemetry,
        )
        return SlackAdapter(cast("App", app), silence=silence)

    @asynccontextmanager
    async def running(self, **settings: Any) -> AsyncIterator[SlackAdapter]:
        self.adapter = self.make(**settings)
        task = asyncio.create_task(self.adapter.run())
        try:
            await self.until(
                lambda: task.done() or (self.slack.connections or settings.get("mode") == "http")
            )
            if task.done():
                task.result()
            yield self.adapter
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, SettingsError):
                await task

    async def until(self, look: Callable[[], Any]) -> Any:
        return await self.slack.wait_for(look)

    async def shown(self, *, private_to: User | None = None, blocks: list[Any] | None = None) -> Message:
        """An answer of the bot with its buttons, known to the stores as the answer of `TURN`."""
        self.feedback.save_turn(TURN)
        ts = self.slack.state.ts()
        message = Message(
            self.channel.id, ts, self.slack.bot.id, raw_text="28 days.", bot_id=self.slack.bot.bot_id
        )
        final = Final(TURN.id, "written", TURN.answer, (), "m", 1, 1, 1)
        message.blocks = blocks or answer_blocks(
            final, text=TURN.answer, channel_can_share=private_to is not None
        )
        message.ephemeral_to = private_to.id if private_to else None
        self.slack.state.add(message)
        asked = replace(
            ASKED, conversation_id=self.channel.id, user_id=self.ann.id, workspace_id=self.slack.workspace.id
        )
        asked = replace(asked, is_private=private_to is not None, thread_id="command:1")
        self.desk.inbox.accept(asked)
        if private_to:
            self.desk.outbox.posted(asked, WHISPERED, TOLD)
        else:
            self.desk.outbox.posted(asked, 0, ts)
        return message

    def votes(self) -> dict[str, tuple[int, str, str]]:
        return {v.user_id: (v.score, v.reason, v.comment) for v in self.feedback.votes(TURN.id)}

    def private(self, user: User) -> list[str]:
        return [m.text for m in self.slack.messages(self.channel) if m.ephemeral_to == user.id]
