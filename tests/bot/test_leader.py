"""Of the processes that share a database one is the leader, until it ends, and then another one is."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection

import pytest
import sqlalchemy as sa

from bot import leader
from bot.database import open_database
from bot.leader import lead, seat

SOON = 0.01


class Work:
    """Says when it begins and ends."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        self.begun.set()
        self.ended.clear()
        try:
            await asyncio.Event().wait()
        finally:
            self.begun.clear()
            self.ended.set()


@asynccontextmanager
async def _leading(engine: sa.Engine, work: Work) -> AsyncIterator[None]:
    task = asyncio.create_task(lead(seat(engine), work, every=SOON))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_next_one_begins_when_the_first_has_ended(engine: sa.Engine) -> None:
    first, second = Work(), Work()
    async with _leading(engine, second):
        await second.begun.wait()
        async with _leading(engine, first):
            assert not await asyncio.to_thread(seat(engine).take)
            assert not first.begun.is_set()
        assert second.begun.is_set()
    assert second.ended.is_set()
    async with _leading(engine, first):
        await first.begun.wait()


async def test_work_that_fails_is_begun_anew(engine: sa.Engine, caplog: pytest.LogCaptureFixture) -> None:
    begun = 0
    third = asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 3:
            third.set()
            await asyncio.Event().wait()
        raise [KeyError("a fault"), OSError("the disk is full")][begun - 1]

    task = asyncio.create_task(lead(seat(engine), work, every=SOON))
    await third.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "stopped at a fault" in caplog.text
    assert "no jobs are run, until this is mended: the disk is full" in caplog.text


async def test_a_lost_connection_ends_the_work(engine: sa.Engine, caplog: pytest.LogCaptureFixture) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("a lock on a file is not lost")
    work = Work()
    async with _leading(engine, work):
        await work.begun.wait()
        holder = "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_terminate_backend(({holder}))")
        await work.ended.wait()
        await work.begun.wait()  # nobody else took it
    assert "lost the lock" in caplog.text


async def test_a_server_that_does_not_answer_has_no_leader(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader, "UNANSWERED", SOON)
    answers = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Silent:
        def take(self) -> bool:
            return True

        def holds(self) -> bool:
            asyncio.run_coroutine_threadsafe(answers.wait(), loop).result()
            return True

        def leave(self) -> None:
            pass

    work = Work()
    task = asyncio.create_task(lead(Silent(), work, every=SOON))
    await work.begun.wait()
    await work.ended.wait()
    answers.set()
    await work.begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_database_out_of_reach_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("psycopg")
    engine = open_database("postgresql+psycopg://ann:hush@127.0.0.1:1/x")
    tried = asyncio.Event()
    asked = seat(engine)
    take, times, loop = asked.take, 0, asyncio.get_running_loop()

    class Counted:
        holds, leave = asked.holds, asked.leave

        def take(self) -> bool:
            nonlocal times
            times += 1
            if times == 3:
                loop.call_soon_threadsafe(tried.set)
            return take()

    task = asyncio.create_task(lead(Counted(), Work(), every=SOON))
    await tried.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert caplog.text.count("no jobs are run") == 1
    assert "hush" not in caplog.text


def _lead_until_killed(url: str, said: Connection) -> None:
    async def work() -> None:
        said.send(os.getpid())
        await asyncio.Event().wait()

    asyncio.run(lead(seat(open_database(url)), work, every=SOON))


def test_a_killed_process_is_followed_by_another(database_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    heard, said = spawn.Pipe(duplex=False)
    processes = [
        spawn.Process(target=_lead_until_killed, args=(database_url, said), daemon=True) for _ in range(2)
    ]
    for process in processes:
        process.start()
    by_pid = {process.pid: process for process in processes}
    first = by_pid.pop(heard.recv())
    (other,) = by_pid.values()
    assert not heard.poll(0.2)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    assert heard.recv() == other.pid
    other.kill()
    other.join()
