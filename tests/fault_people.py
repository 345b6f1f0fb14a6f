"""People who ask and vote while the fault test makes its accidents, on each platform."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Self

from tests.platforms.discord import LocalDiscord
from tests.platforms.discord import Message as DiscordMessage
from tests.platforms.slack import LocalSlack
from tests.platforms.slack import Message as SlackMessage

QUESTIONS = (
    "How many days of paid leave do full-time employees get?",
    "How much may a hotel room in Vienna cost per night?",
    "Within how many days must receipts be handed in?",
    "What is the colour of the moon's other side?",
)
CHANNELS, PERSONS = 25, 20
TWICE = 0.3
"""Share of the events that are delivered a second time."""


@dataclass
class Outcome:
    """What a question has come to, as it stands there now."""

    question: str
    """The message's id."""
    text: str
    can_vote: bool
    is_whole: bool
    message: SlackMessage | DiscordMessage


class People(ABC):
    """Twenty people in twenty-five channels."""

    name: ClassVar[str]

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.asked: list[str] = []
        self.pressed: dict[tuple[str, str], list[tuple[int, bool]]] = {}
        """By the question and the person: the scores in order, and whether they saw them acknowledged."""

    @property
    @abstractmethod
    def settings(self) -> str:
        """What the bot needs in parley.toml."""

    @property
    @abstractmethod
    def environ(self) -> dict[str, str]:
        """What it needs in the environment."""

    @property
    @abstractmethod
    def bot_is_there(self) -> bool: ...

    @abstractmethod
    async def ask(self) -> None:
        """Somebody asks something somewhere; the event may come twice."""

    @abstractmethod
    def outcomes(self) -> list[Outcome]:
        """Everything that the bot has answered."""

    @abstractmethod
    async def press(self, answer: Outcome, score: int) -> tuple[str, bool]:
        """Somebody's vote: who it was, and whether it was acknowledged."""

    @abstractmethod
    async def wait_for(self, look: Callable[[], object], seconds: float) -> None: ...

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Fails when the platform's rules were broken; what nobody was there to acknowledge is no such case."""

    async def vote(self) -> None:
        """Somebody votes on some answer, if there is one and the bot is there."""
        answers = [outcome for outcome in self.outcomes() if outcome.can_vote]
        if answers and self.bot_is_there:
            answer, score = self.chance.choice(answers), self.chance.choice((1, -1))
            person, acked = await self.press(answer, score)
            self.pressed.setdefault((answer.question, person), []).append((score, acked))

    def may_be_stored(self, question: str, person: str) -> set[int | None]:
        """The last vote that was acknowledged, or one after it that was kept without anybody hearing of it."""
        possible: set[int | None] = {None}
        for score, acked in self.pressed[question, person]:
            possible = {score} if acked else possible | {score}
        return possible

    @property
    def answered(self) -> int:
        """Questions that have their outcome."""
        return len({outcome.question for outcome in self.outcomes() if outcome.is_whole})

    async def wait_for_more(self) -> None:
        """Until the bot has answered something that it had not answered yet."""
        before = self.answered
        await self.wait_for(lambda: self.answered > before, 90)


class SlackPeople(People):
    name: ClassVar[str] = "slack"

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.slack = LocalSlack(seed=chance.randrange(1000), duplicates=TWICE)
        self.slack.delivery.retry_delays = (0.0, *[1.0] * 60)
        self.users = [self.slack.add_user(f"person{n}") for n in range(PERSONS)]
        self.channels = [self.slack.add_channel(f"channel{n}", members=self.users) for n in range(CHANNELS)]

    async def __aenter__(self) -> Self:
        await self.slack.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        violations = self.slack.violations
        violations[:] = [text for text in violations if "not acknowledged" not in text]
        await self.slack.__aexit__(kind, error, trace)

    @property
    def settings(self) -> str:
        return f'[slack]\napi_url = "{self.slack.api_url}"\n'

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PARLEY_SLACK_BOT_TOKEN": self.slack.bot_token,
            "PARLEY_SLACK_APP_TOKEN": self.slack.app_token,
        }

    @property
    def bot_is_there(self) -> bool:
        return bool(self.slack.connections)

    async def ask(self) -> None:
        channel, user = self.chance.choice(self.channels), self.chance.choice(self.users)
        text = f"{self.slack.mention} {self.chance.choice(QUESTIONS)}"
        self.asked.append(await self.slack.post(channel, user, text))

    def outcomes(self) -> list[Outcome]:
        found = []
        for message in (m for channel in self.channels for m in self.slack.answers(channel)):
            can_vote = any(button["type"] == "feedback_buttons" for button in message.buttons)
            whole = not message.streaming and (can_vote or "set it aside" in message.text)
            found.append(Outcome(message.thread_ts or "", message.text, can_vote, whole, message))
        return found

    async def press(self, answer: Outcome, score: int) -> tuple[str, bool]:
        assert isinstance(answer.message, SlackMessage)
        user = self.chance.choice(self.users)
        receipt = await self.slack.press(answer.message, "positive" if score > 0 else "negative", user)
        return user.id, receipt.acked

    async def wait_for(self, look: Callable[[], object], seconds: float) -> None:
        await self.slack.wait_for(look, seconds)


class DiscordPeople(People):
    name: ClassVar[str] = "discord"

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.discord = LocalDiscord()
        self.users = [self.discord.add_user(f"person{n}") for n in range(PERSONS)]
        self.channels = [self.discord.add_channel(f"channel{n}") for n in range(CHANNELS)]

    async def __aenter__(self) -> Self:
        await self.discord.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        violations = self.discord.violations
        violations[:] = [text for text in violations if "not answered" not in text]
        await self.discord.__aexit__(kind, error, trace)

    @property
    def settings(self) -> str:
        return f'[discord]\napi_url = "{self.discord.api_url}"\n'

    @property
    def environ(self) -> dict[str, str]:
        return {"PARLEY_DISCORD_TOKEN": self.discord.token}

    @property
    def bot_is_there(self) -> bool:
        return bool(self.discord.connections)

    async def ask(self) -> None:
        channel, user = self.chance.choice(self.channels), self.chance.choice(self.users)
        text = f"{self.discord.mention} {self.chance.choice(QUESTIONS)}"
        self.asked.append((await self.discord.post(channel, user, text)).id)
        if self.chance.random() < TWICE:
            for session in self.discord.gateway.sessions.values():
                for event in [event for event in session.events if event.name == "MESSAGE_CREATE"][-1:]:
                    session.keep(event.name, event.data)

    def outcomes(self) -> list[Outcome]:
        found = []
        for message in (m for channel in self.channels for m in self.discord.answers(channel)):
            can_vote = any((button.get("emoji") or {}).get("name") == "👍" for button in message.buttons)
            whole = can_vote or "set it aside" in message.text
            question = message.reference.id if message.reference else ""
            found.append(Outcome(question, message.text, can_vote, whole, message))
        return found

    async def press(self, answer: Outcome, score: int) -> tuple[str, bool]:
        assert isinstance(answer.message, DiscordMessage)
        user = self.chance.choice(self.users)
        interaction = await self.discord.press(answer.message, "👍" if score > 0 else "👎", user)
        return user.id, interaction.acked

    async def wait_for(self, look: Callable[[], object], seconds: float) -> None:
        await self.discord.wait_for(look, seconds)
