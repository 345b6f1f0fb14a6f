"""Slack as a stage: the real adapter and the real slack-bolt against the local Slack."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import ClassVar, Self

from adapters.slack.adapter import SlackAdapter
from adapters.slack.choices import CHOICE
from bot.app import App
from tests.contract.stage import Asked, Feature, Shown
from tests.platforms.slack import LocalSlack, Message, User


class SlackStage:
    name: ClassVar[str] = "slack"
    lacks: ClassVar[frozenset[Feature]] = frozenset()

    def __init__(self) -> None:
        self.slack = LocalSlack(seed=7)
        self.slack.delivery.retry_delays = (0.2, 0.5)
        self._stack = AsyncExitStack()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.slack)
        self.people: dict[str, User] = {
            "ann": self.slack.add_user("ann"),
            "bob": self.slack.add_user("bob"),
            "boss": self.slack.add_user("boss", admin=True),
        }
        self.general = self.slack.add_channel("general", members=list(self.people.values()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def settings(self) -> str:
        return f'\n[slack]\napi_url = "{self.slack.api_url}"\n'

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PARLEY_SLACK_BOT_TOKEN": self.slack.bot_token,
            "PARLEY_SLACK_APP_TOKEN": self.slack.app_token,
        }

    async def start(self, app: App) -> None:
        self._running = asyncio.create_task(SlackAdapter(app).run())
        await self.until(lambda: self.slack.connections)

    async def stop(self) -> None:
        assert self._running
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self.until(lambda: not self.slack.connections)

    # What people do

    async def mention(
        self, text: str, *, person: str = "ann", thread: str = "", files: Sequence[tuple[str, bytes]] = ()
    ) -> Asked:
        who = self.people[person]
        attached = [self.slack.add_file(name, who, content) for name, content in files]
        ts = await self.slack.post(
            self.general,
            who,
            f"{self.slack.mention} {text}".strip(),
            thread_ts=thread or None,
            files=attached,
        )
        return Asked(text, person, id=ts, thread=thread or ts, place=self.general.id)

    async def direct(self, text: str, *, person: str = "ann", thread: str = "") -> Asked:
        who = self.people[person]
        ts = await self.slack.direct(who, text, thread_ts=thread or None)
        return Asked(text, person, id=ts, thread=thread or ts, place=self.slack.direct_channel(who).id)

    async def say(self, text: str, *, person: str = "ann", thread: str = "") -> Asked:
        ts = await self.slack.post(self.general, self.people[person], text, thread_ts=thread or None)
        return Asked(text, person, id=ts, thread=thread or ts, place=self.general.id)

    async def privately(self, text: str, *, person: str = "ann") -> Asked:
        return await self._slash("/ask", text, person)

    async def command(self, text: str, *, person: str = "boss") -> Asked:
        return await self._slash("/parley", text, person)

    async def _slash(self, command: str, text: str, person: str) -> Asked:
        asked = Asked(text, person, id=self.slack.state.ts(), place=self.general.id, is_private=True)
        await self.slack.slash(command, text, self.people[person], self.general)
        return asked

    async def menu(self, said: Asked, *, person: str = "ann") -> Asked:
        message = self.slack.state.find(self.general.id, said.id)
        assert message
        await self.slack.shortcut(message, "ask_about_this", self.people[person])
        return Asked(said.text, person, id=said.id, thread=said.thread, place=said.place)

    async def edit(self, asked: Asked, text: str) -> None:
        await self.slack.edit(asked.place, asked.id, f"{self.slack.mention} {text}")

    async def delete(self, asked: Asked) -> None:
        await self.slack.delete(asked.place, asked.id)

    async def stop_answer(self, asked: Asked) -> None:
        await self.slack.post(asked.place, self.people[asked.person], "stop", thread_ts=asked.thread)

    async def vote(
        self, shown: Shown, score: int, *, person: str = "ann", reason: str = "", comment: str = ""
    ) -> None:
        message, who = self._message(shown), self.people[person]
        await self.slack.press(message, "positive" if score > 0 else "negative", who)
        if reason:
            view = await self.slack.wait_for(lambda: self.slack.modal(who))
            fields = [
                block["element"]["action_id"] for block in view.payload["blocks"] if block["type"] == "input"
            ]
            await self.slack.submit_view(view, dict(zip(fields, (reason, comment), strict=True)))

    async def react(self, shown: Shown, score: int, *, person: str = "ann") -> None:
        message = self._message(shown)
        emoji = "+1::skin-tone-3" if score > 0 else "-1"
        await self.slack.react(message.channel, message.ts, self.people[person], emoji)

    async def share(self, shown: Shown, *, person: str = "ann") -> None:
        await self.slack.press(self._message(shown), "parley_share", self.people[person])

    async def press(self, shown: Shown, label: str, *, person: str = "boss") -> Asked:
        message = self._message(shown)
        asked = Asked(label, person, id=self.slack.state.ts(), place=message.channel, is_private=True)
        await self.slack.press(message, label, self.people[person])
        return asked

    async def deliver_again(self) -> None:
        for receipt in list(self.slack.receipts):
            await self.slack.deliver_again(receipt)

    async def reconnect(self) -> None:
        before = set(map(id, self.slack.connections))
        self.slack.drop_connections()
        await self.until(lambda: {id(one) for one in self.slack.connections} - before)

    # What is shown

    def shown(self, asked: Asked) -> list[Shown]:
        if asked.is_private:
            messages = self.slack.messages(asked.place)
            found = [m for m in messages if m.user == self.slack.bot.id and m.ts > asked.id]
        else:
            found = self.slack.answers(asked.place, asked.thread)
            found = [m for m in found if m.ts > asked.id] or [
                m
                for m in self.slack.messages(asked.place)
                if m.ephemeral_to == self.people[asked.person].id and m.ts > asked.id
            ]
        names = {user.id: name for name, user in self.people.items()}
        return [
            Shown(
                m.ts,
                m.text,
                only_for=names.get(m.ephemeral_to or "", ""),
                can_vote=any(button["type"] == "feedback_buttons" for button in m.buttons),
                actions=[b["text"]["text"] for b in m.buttons if CHOICE.fullmatch(b["action_id"])],
                extra=m,
            )
            for m in found
        ]

    @staticmethod
    def _message(shown: Shown) -> Message:
        assert isinstance(shown.extra, Message)
        return shown.extra

    def progress(self, asked: Asked) -> list[str]:
        return [
            status["status"]
            for status in self.slack.statuses
            if (status["channel"], status["thread_ts"]) == (asked.place, asked.thread)
        ]

    async def until(self, condition: Callable[[], object]) -> None:
        def look() -> object:
            if self._running and self._running.done() and not self._running.cancelled():
                self._running.result()  # an adapter that fell over says why
            return condition()

        await self.slack.wait_for(look)
