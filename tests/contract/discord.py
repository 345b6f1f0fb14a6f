"""Discord as a stage: the real adapter and the real discord.py against the local Discord."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import ClassVar, Self

from adapters.discord.adapter import DiscordAdapter
from adapters.discord.aloud import FOLLOW
from adapters.discord.commands import name_below
from bot.app import App
from bot.commands import Call
from tests.contract.stage import Asked, Feature, Shown
from tests.platforms.discord import Interaction, LocalDiscord, Message, User

PATIENCE = 60.0
"""Seconds; Discord takes one message a second, and a long answer has many."""
GROUP = 2
"""What Discord calls an option that has further commands below it."""


class DiscordStage:
    name: ClassVar[str] = "discord"
    lacks: ClassVar[frozenset[Feature]] = frozenset()

    def __init__(self) -> None:
        self.discord = LocalDiscord()
        self._stack = AsyncExitStack()
        self._running: asyncio.Task[None] | None = None
        self._given: dict[str, Interaction] = {}
        self._app: App | None = None

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.discord)
        self.people: dict[str, User] = {
            "ann": self.discord.add_user("ann"),
            "bob": self.discord.add_user("bob"),
            "boss": self.discord.add_user("boss", admin=True),
        }
        self.general = self.discord.add_channel("general")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def settings(self) -> str:
        return f'\n[discord]\napi_url = "{self.discord.api_url}"\n'

    @property
    def environ(self) -> dict[str, str]:
        return {"PARLEY_DISCORD_TOKEN": self.discord.token}

    async def start(self, app: App) -> None:
        self._app = app
        adapter = DiscordAdapter(app, settle=0.1)
        self._running = asyncio.create_task(adapter.run())
        await self.until(lambda: adapter.health and adapter.health.is_ready)

    async def stop(self) -> None:
        assert self._running
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self.until(lambda: not self.discord.connections)

    # What people do

    async def mention(
        self, text: str, *, person: str = "ann", thread: str = "", files: Sequence[tuple[str, bytes]] = ()
    ) -> Asked:
        return await self._post(f"{self.discord.mention} {text}", text, person, thread, files)

    async def direct(self, text: str, *, person: str = "ann", thread: str = "") -> Asked:
        who = self.people[person]
        message = await self.discord.direct(who, text)
        return Asked(text, person, id=message.id, thread=message.channel, place=message.channel)

    async def say(self, text: str, *, person: str = "ann", thread: str = "") -> Asked:
        return await self._post(text, text, person, thread, ())

    async def _post(
        self, said: str, text: str, person: str, thread: str, files: Sequence[tuple[str, bytes]]
    ) -> Asked:
        """In a talk with the bot by replying to its answer, else in a thread on the message that began the talk."""
        who = self.people[person]
        attached = [self.discord.add_file(name, content) for name, content in files]
        if not thread:
            message = await self.discord.post(self.general, who, said, files=attached)
            return Asked(text, person, id=message.id, thread=message.id, place=self.general.id)
        first = next(m for m in self.discord.messages(self.general) if m.id == thread)
        answers = [m for m in self.discord.answers(self.general) if m.reference is first]
        if answers:
            message = await self.discord.reply(answers[-1], who, said, ping=False)
        else:
            opened = self.discord.thread_of(first) or await self.discord.start_thread(
                self.general, who, "Talk", message=first
            )
            message = await self.discord.post(opened, who, said)
        return Asked(text, person, id=message.id, thread=thread, place=message.channel)

    async def privately(self, text: str, *, person: str = "ann") -> Asked:
        return await self._slash("ask", {"question": text, "private": True}, text, person)

    async def command(self, text: str, *, person: str = "boss") -> Asked:
        """As `/parley …`; who is not offered it, or what is not in it, is said in a mention."""
        assert self._app
        call = self._app.desk.commands.parse(text, explicit=True)
        path = self._path(call) if isinstance(call, Call) else ""
        if not (isinstance(call, Call) and path):
            return await self.mention(text, person=person)
        try:
            options = {"value": call.argument} if call.argument else {}
            return await self._slash(path, options, text, person)
        except ValueError as error:
            if "not offered" not in str(error):
                raise
            return await self.mention(text, person=person)

    def _path(self, call: Call) -> str:
        """Where a command is below `/parley`; empty when it is not there."""
        (parley,) = (one for one in self.discord.commands() if one["name"] == "parley")
        first = call.command.name.split()[0]
        found = next((one for one in parley["options"] if one["name"] == first), None)
        if found is None or found["type"] != GROUP:
            return f"parley {first}" if found and call.command.name == first else ""
        below = name_below(call.command)
        names = [one["name"] for one in found["options"]]
        return f"parley {first} {below}" if below in names else ""

    async def _slash(self, command: str, options: Mapping[str, object], text: str, person: str) -> Asked:
        given = await self.discord.slash(command, options, self.people[person], self.general)
        self._given[given.id] = given
        return Asked(text, person, id=given.id, place=self.general.id, is_private=True)

    async def menu(self, said: Asked, *, person: str = "ann") -> Asked:
        await self.discord.menu(self._message(said), "Ask Parley about this", self.people[person])
        return Asked(said.text, person, id=said.id, thread=said.thread, place=said.place)

    async def edit(self, asked: Asked, text: str) -> None:
        await self.discord.edit(self._message(asked), f"{self.discord.mention} {text}")

    async def delete(self, asked: Asked) -> None:
        await self.discord.delete(self._message(asked))

    async def stop_answer(self, asked: Asked) -> None:
        shown = self._message(self.shown(asked)[-1])
        await self.discord.press(shown, "Stop", self.people[asked.person])

    async def vote(
        self, shown: Shown, score: int, *, person: str = "ann", reason: str = "", comment: str = ""
    ) -> None:
        who = self.people[person]
        await self.discord.press(self._message(shown), "👍" if score > 0 else "👎", who)
        if reason:
            modal = await self.discord.wait_for(lambda: self.discord.modal(who))
            await self.discord.submit_modal(modal, {"reason": reason, "comment": comment})

    async def react(self, shown: Shown, score: int, *, person: str = "ann") -> None:
        emoji = "👍🏽" if score > 0 else "👎"
        await self.discord.react(self._message(shown), self.people[person], emoji)

    async def share(self, shown: Shown, *, person: str = "ann") -> None:
        await self.discord.press(self._message(shown), "Share in channel", self.people[person])

    async def press(self, shown: Shown, label: str, *, person: str = "boss") -> Asked:
        given = await self.discord.press(self._message(shown), label, self.people[person])
        self._given[given.id] = given
        return Asked(label, person, id=given.id, place=given.channel.id, is_private=True)

    async def deliver_again(self) -> None:
        assert self.discord.deliver_again("MESSAGE_CREATE", "INTERACTION_CREATE")

    async def reconnect(self) -> None:
        before = set(map(id, self.discord.connections))
        self.discord.drop_connections()
        await self.until(
            lambda: [one for one in self.discord.connections if id(one) not in before and one.session]
        )

    # What is shown

    def shown(self, asked: Asked) -> list[Shown]:
        names = {user.id: name for name, user in self.people.items()}
        return [
            Shown(
                m.id,
                m.text,
                only_for=names.get(m.ephemeral_to or "", ""),
                can_vote=any((button.get("emoji") or {}).get("name") == "👍" for button in m.buttons),
                actions=[b["label"] for b in m.buttons if b["custom_id"].startswith("parley:do:")],
                extra=m,
            )
            for m in self._answers(asked)
            if not (
                m.loading or m.text.startswith(FOLLOW)
            )  # these only say where, and that, there will be one
        ]

    def _answers(self, asked: Asked) -> list[Message]:
        """Those that refer to it, with the further parts of each, which refer to nothing."""
        found = [m for m in self.discord.answers(asked.place) if int(m.id) > int(asked.id)]
        if asked.is_private:
            own = [m for m in self._given[asked.id].messages if not m.deleted]
            return [*own, *(m for m in found if m.reference is None)]
        answers: list[Message] = []
        is_its = False
        for message in found:
            if message.reference is not None:
                is_its = message.reference.id == asked.id
            if is_its:
                answers.append(message)
        return answers

    def _message(self, one: Asked | Shown) -> Message:
        if isinstance(one, Shown):
            assert isinstance(one.extra, Message)
            return one.extra
        return next(m for m in self.discord.messages(one.place) if m.id == one.id)

    def progress(self, asked: Asked) -> list[str]:
        """Everything that its messages have said at some time."""
        ids = {shown.id for shown in self.shown(asked)}
        return [
            str(call.body.get("content"))
            for route in ("create_message", "edit_message")
            for call in self.discord.called(route)
            if call.path.rpartition("/")[2] in ids
            or (call.body.get("message_reference") or {}).get("message_id") in {asked.id, int(asked.id)}
        ]

    async def until(self, condition: Callable[[], object]) -> None:
        def look() -> object:
            if self._running and self._running.done() and not self._running.cancelled():
                self._running.result()  # an adapter that fell over says why
            return condition()

        await self.discord.wait_for(look, timeout=PATIENCE)
