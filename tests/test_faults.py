"""Hundreds of messages, while the bot and its model are killed again and again: one outcome each, no vote lost.

`parley serve` runs as it would for a team, in a process of its own, on the real slack-bolt and discord.py, a real model
process and a real index; only Slack and Discord are local ones. `--messages` and `--seed` make it longer, and another
one.
"""

import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import DOCUMENTS
from tests.fault_people import DiscordPeople, People, SlackPeople
from tests.llm.conftest import tiny

__all__ = ["tiny"]

KILLS = 10
"""Of the bot, and as many of its model."""
SECONDS = 100
"""How long the messages take to come, about."""
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
@pytest.mark.parametrize("platform", [SlackPeople, DiscordPeople], ids=lambda platform: platform.name)
async def test_every_message_ends_with_one_outcome_and_every_vote_is_kept(
    tmp_path: Path, tiny: Path, pytestconfig: pytest.Config, platform: type[People]
) -> None:
    count, seed = pytestconfig.getoption("--messages"), pytestconfig.getoption("--seed")
    chance = random.Random(seed)  # noqa: S311
    async with platform(chance) as people:
        bot = Bot(_folder(tmp_path, tiny, people), _environ(people))
        await bot.index()
        async with _running(bot):
            await people.wait_for(lambda: people.bot_is_there, 90)
            await asyncio.gather(_ask(people, count), _kill(bot, people, chance))
            await _settle(people)
            assert await bot.end() == 0

        answers = Counter(outcome.question for outcome in people.outcomes())
        assert {question: answers[question] for question in people.asked if answers[question] != 1} == {}
        assert answers.keys() == set(people.asked)
    stored = _stored(bot.folder)
    assert [key for key in people.pressed if stored.get(key) not in people.may_be_stored(*key)] == []
    assert stored
    assert stored.keys() <= people.pressed.keys()


async def _ask(people: People, count: int) -> None:
    """All the messages, spread over the time that the accidents take; a vote comes with every tenth."""
    for n in range(count):
        await people.ask()
        await asyncio.sleep(people.chance.expovariate(count / SECONDS))
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


def _folder(folder: Path, model: Path, people: People) -> Path:
    (folder / "docs").mkdir()
    for name, text in DOCUMENTS.items():
        (folder / "docs" / name).write_text(text, encoding="utf-8")
    settings = SETTINGS.format(model=model) + people.settings
    (folder / "parley.toml").write_text(settings, encoding="utf-8")
    return folder


def _environ(people: People) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    return kept | people.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}


def _stored(folder: Path) -> dict[tuple[str, str], int]:
    """The votes in the database, by the question's message and the person."""
    query = "SELECT inbox.message_id, votes.user_id, votes.score FROM votes JOIN inbox USING (turn_id)"
    with closing(sqlite3.connect(folder / ".parley" / "parley.db")) as database:
        return {(ts, user): score for ts, user, score in database.execute(query)}
