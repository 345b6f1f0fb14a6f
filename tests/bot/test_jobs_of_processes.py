"""A job goes on in another process when its own is killed, and does not take one after the other down with it."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.connection import Connection

import pytest
import sqlalchemy as sa

from bot.database import open_database
from bot.job_runs import DIED, JobRuns
from bot.jobs import Entry, Jobs
from bot.schedule import Every

SOON = 0.01
HOURLY = Every(timedelta(hours=1))


def _serve_until_killed(url: str, said: Connection) -> None:
    async def run() -> str:
        said.send(os.getpid())
        await asyncio.Event().wait()
        return ""

    async def tell(sentence: str) -> None:
        said.send(sentence)

    async def serve() -> None:
        engine = open_database(url)
        Jobs(engine, [Entry("read docs", HOURLY, run)], tell=tell, look_every=SOON).start()
        await asyncio.Event().wait()

    asyncio.run(serve())


class Process:
    """A process that serves, and what it says: its id when it begins the job, and what admins hear."""

    def __init__(self, process: multiprocessing.process.BaseProcess, heard: Connection) -> None:
        self._process = process
        self.heard = heard

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


@pytest.fixture
def start(engine: sa.Engine, database_url: str) -> Iterator[Callable[[], Process]]:
    spawn = multiprocessing.get_context("spawn")
    started: list[Process] = []

    def start() -> Process:
        heard, said = spawn.Pipe(duplex=False)
        process = spawn.Process(target=_serve_until_killed, args=(database_url, said), daemon=True)
        process.start()
        said.close()
        started.append(Process(process, heard))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def test_a_killed_process_is_followed_by_one_that_takes_its_job_up(
    engine: sa.Engine, start: Callable[[], Process]
) -> None:
    first = start()
    assert first.heard.recv() == first.pid
    second = start()
    assert not second.heard.poll(0.5)
    first.kill()
    assert second.heard.recv() == second.pid
    second.kill()
    third = start()  # does not die of it a third time
    assert third.heard.recv() == f"The job `read docs` failed: {DIED}"
    (row,) = JobRuns(engine).all().values()
    assert (row.outcome, row.failures) == ("interrupted", 1)
