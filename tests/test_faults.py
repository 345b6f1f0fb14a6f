"""Hundreds of messages, while the bot and its model are killed again and again: one outcome each, no vote lost.

`parley serve` runs as it would for a team, in a process of its own, on the real slack-bolt, a real model process and a
real index; only Slack is the local one. `--messages` and `--seed` make it longer, and another one.
"""

import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.conftest import DOCUMENTS
from tests.llm.conftest import tiny
from tests.platforms.slack import Channel, LocalSlack, Message, User

__all__ = ["tiny"]

KILLS = 10
"""Of the bot, and as many of its model."""
SECONDS = 100
"""How long the messages take to come, about."""
TWICE = 0.3
"""Share of the events that are delivered a second time."""
QUESTIONS = (
    "How many days of paid leave do full-time employees get?",
    "How much may a hotel room in Vienna cost per night?",
    "Within how many days must receipts be handed in?",
    "What is the colour of the moon's other side?",
)
SETTINGS = """
shutdown_grace = 5
[llm]
model = "{model}"
max_tokens = 16
[queue]
size = 10000
per_person = 1000
per_place = 10000
parallel = 4
[policy]
person_per_hour = 100000
place_per_hour = 100000
[slack]
api_url = "{api_url}"
[[sources]]
name = "docs"
path = "docs"
"""


@dataclass
class Bot:
    """`parley serve` in a folder."""

    folder: Path
    environ: dict[str, str]
    process: asyncio.subprocess.Process | None = None
    starts: int = 0

    async def index(self) -> None:
        """What `parley reindex` does, before anybody asks."""
        command = (sys.executable, "-m", "bot", "reindex")
        process = await asyncio.create_subprocess_exec(*command, cwd=self.folder, env=self.environ)
        assert await process.wait() == 0

    async def start(self) -> None:
        self.starts += 1
        log = (self.folder / f"serve-{self.starts}.log").open("wb")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "--debug", "serve", cwd=self.folder, env=self.environ, stderr=log
        )
        log.close()

    async def kill(self) -> None:
        assert self.process
        self.process.kill()
        await self.process.wait()

    async def end(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 30)

    def kill_model(self) -> bool:
        """SIGKILL to the process that runs the model; False when there is none now."""
        assert self.process
        for child in _children(self.process.pid):
            with suppress(OSError):
                if b"bot.llm" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(child, signal.SIGKILL)
                    return True
        return False


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            yield from map(int, task.read_text(encoding="ascii").split())


@dataclass
class People:
    """They ask, and vote on what they are answered."""

    slack: LocalSlack
    random: random.Random
    users: list[User] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    asked: list[tuple[Channel, str]] = field(default_factory=list)
    pressed: dict[tuple[str, str], list[tuple[int, bool]]] = field(default_factory=dict)
    """By the message's ts and the person: the scores in order, and whether Slack saw them acknowledged."""

    async def ask(self) -> None:
        channel, user = self.random.choice(self.channels), self.random.choice(self.users)
        text = f"{self.slack.mention} {self.random.choice(QUESTIONS)}"
        self.asked.append((channel, await self.slack.post(channel, user, text)))

    async def vote(self) -> None:
        """Somebody votes on some answer, if there is one and the bot is there."""
        answers = [m for channel in self.channels for m in self.slack.answers(channel) if _has_buttons(m)]
        if not answers or not self.slack.connections:
            return
        answer, user = self.random.choice(answers), self.random.choice(self.users)
        score = self.random.choice((1, -1))
        receipt = await self.slack.press(answer, "positive" if score > 0 else "negative", user)
        self.pressed.setdefault((answer.thread_ts or "", user.id), []).append((score, receipt.acked))

    def may_be_stored(self, ts: str, person: str) -> set[int | None]:
        """The last vote that was acknowledged, or one after it that was kept without Slack hearing of it."""
        possible: set[int | None] = {None}
        for score, acked in self.pressed[ts, person]:
            possible = {score} if acked else possible | {score}
        return possible

    @property
    def answered(self) -> int:
        """Questions that have their outcome."""
        return sum(any(map(_is_complete, self.outcomes(channel, ts))) for channel, ts in self.asked)

    async def wait_for_more(self) -> None:
        """Until the bot has answered something that it had not answered yet."""
        before = self.answered
        await self.slack.wait_for(lambda: self.answered > before, 90)

    def outcomes(self, channel: Channel, ts: str) -> list[Message]:
        return [m for m in self.slack.answers(channel, ts) if m.ts != ts]


def _has_buttons(message: Message) -> bool:
    return any(button["type"] == "feedback_buttons" for button in message.buttons)


def _is_complete(message: Message) -> bool:
    return not message.streaming and (_has_buttons(message) or "set it aside" in message.text)


@asynccontextmanager
async def _running(bot: Bot):  # type: ignore[no-untyped-def]
    await bot.start()
    try:
        yield
    finally:
        if bot.process and bot.process.returncode is None:
            await bot.kill()


@pytest.mark.timeout(1500)
@pytest.mark.skipif(sys.platform != "linux", reason="finds the model's process in /proc")
async def test_every_message_ends_with_one_outcome_and_every_vote_is_kept(
    tmp_path: Path, tiny: Path, pytestconfig: pytest.Config
) -> None:
    count, seed = pytestconfig.getoption("--messages"), pytestconfig.getoption("--seed")
    chance = random.Random(seed)  # noqa: S311
    async with LocalSlack(seed=seed, duplicates=TWICE) as slack:
        slack.delivery.retry_delays = (0.0, *[1.0] * 60)
        people = People(slack, chance)
        people.users = [slack.add_user(f"person{n}") for n in range(20)]
        people.channels = [slack.add_channel(f"channel{n}", members=people.users) for n in range(25)]
        bot = Bot(_folder(tmp_path, tiny, slack), _environ(slack))
        await bot.index()
        async with _running(bot):
            await slack.wait_for(lambda: slack.connections, 90)
            await asyncio.gather(_ask(people, count), _kill(bot, people, chance))
            await _settle(people)
            assert await bot.end() == 0

        # An event that nobody was there to take is Slack's to deliver again, and was.
        slack.violations[:] = [text for text in slack.violations if "not acknowledged" not in text]
        wrong = {
            ts: [m.text for m in found]
            for channel, ts in people.asked
            if len(found := people.outcomes(channel, ts)) != 1
        }
        assert wrong == {}
    stored = _stored(bot.folder)
    assert [key for key in people.pressed if stored.get(key) not in people.may_be_stored(*key)] == []
    assert stored
    assert stored.keys() <= people.pressed.keys()


async def _ask(people: People, count: int) -> None:
    """All the messages, spread over the time that the accidents take; a vote comes with every tenth."""
    for n in range(count):
        await people.ask()
        await asyncio.sleep(people.random.expovariate(count / SECONDS))
        if n % 10 == 0:
            await people.vote()


async def _kill(bot: Bot, people: People, chance: random.Random) -> None:
    """Kill the bot and its model in turn, each time a while after the bot is at work, and in mid-vote."""
    for _ in range(KILLS):
        await people.wait_for_more()
        await asyncio.sleep(chance.uniform(0.0, 2.0))
        async with asyncio.timeout(60):
            while not bot.kill_model():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await asyncio.sleep(chance.uniform(0.0, 2.0))
        voting = asyncio.create_task(people.vote())
        await asyncio.sleep(chance.uniform(0.0, 0.02))
        await bot.kill()
        await voting
        await bot.start()


async def _settle(people: People) -> None:
    """Wait until every question has an outcome, and look a while longer whether it gets a second one."""
    began = last = time.monotonic()
    before = -1
    while True:
        done = people.answered
        if done == len(people.asked):
            break
        if done > before:
            before, last = done, time.monotonic()
        assert time.monotonic() - last < 90, f"{done} of {len(people.asked)} after {last - began:.0f} s"
        await asyncio.sleep(0.5)
    await asyncio.sleep(3)


def _folder(folder: Path, model: Path, slack: LocalSlack) -> Path:
    (folder / "docs").mkdir()
    for name, text in DOCUMENTS.items():
        (folder / "docs" / name).write_text(text, encoding="utf-8")
    settings = SETTINGS.format(model=model, api_url=slack.api_url)
    (folder / "parley.toml").write_text(settings, encoding="utf-8")
    return folder


def _environ(slack: LocalSlack) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    return kept | {
        "PARLEY_SLACK_BOT_TOKEN": slack.bot_token,
        "PARLEY_SLACK_APP_TOKEN": slack.app_token,
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }


def _stored(folder: Path) -> dict[tuple[str, str], int]:
    """The votes in the database, by the question's ts and the person."""
    query = "SELECT inbox.message_id, votes.user_id, votes.score FROM votes JOIN inbox USING (turn_id)"
    with closing(sqlite3.connect(folder / ".parley" / "parley.db")) as database:
        return {(ts, user): score for ts, user, score in database.execute(query)}
