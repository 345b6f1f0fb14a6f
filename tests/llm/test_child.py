"""One child process, watched: that it starts in time, does not hang, and ends when it shall."""

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from bot.errors import ModelUnavailableError
from bot.llm.child import Stillness
from bot.llm.local import LocalLLM
from bot.llm.supervisor import Load, ModelProcess, Pace
from tests.llm.children import HANGING_CHILD, QUESTION, QUICK, runs, scripted_child, text, until_so
from tests.llm.serving import until


@pytest.mark.parametrize("way", ["in llama.cpp", "altogether"])
async def test_a_hung_child_is_noticed_and_replaced(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    hang = tmp_path / "hang"
    monkeypatch.setenv("HANG_WHEN", str(hang))
    pace = Pace(first_wait=0.01, hung_after=1.0)
    async with ModelProcess(tiny, load=Load(threads=1), command=HANGING_CHILD, pace=pace) as process:
        llm = LocalLLM(process)
        await llm.ready()
        first = process.pid
        assert first
        async with llm.stream(QUESTION, max_tokens=4000) as deltas:
            await anext(deltas)
            await asyncio.to_thread(hang.touch)
            if way == "altogether":
                os.kill(first, signal.SIGSTOP)
            with pytest.raises(ModelUnavailableError, match=r"went away|cannot be reached|broke"):
                [delta async for delta in deltas]
        hang.unlink()
        await until_so(lambda: process.state.name != "ready")
        assert "stood still for 1 s" in process.state.reason
        await llm.ready()
        assert process.pid != first
        assert await text(llm)
        await llm.aclose()


def test_a_pause_of_the_whole_machine_is_not_taken_for_a_hang() -> None:
    still = Stillness(most=9.0, since=0.0)
    still.look(2.0, moved=True)
    still.look(3600.0, moved=False)
    assert still.seconds == 9.0
    still.look(3602.0, moved=False)
    assert still.seconds == 11.0
    still.look(3604.0, moved=True)
    still.look(3606.0, moved=False)
    assert still.seconds == 2.0


async def test_an_idle_child_does_not_count_as_hung(tiny: Path) -> None:
    async with ModelProcess(tiny, load=Load(threads=1), pace=Pace(hung_after=0.2)) as process:
        await process.ready()
        first = process.pid
        llm = LocalLLM(process)
        await asyncio.sleep(0.8)  # four times as long as a hung one would be given
        assert await text(llm)
        assert process.pid == first
        await llm.aclose()


async def test_our_secrets_are_not_the_childs(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "environment"
    monkeypatch.setenv("PARLEY_DISCORD_TOKEN", "hush-hush")
    monkeypatch.setenv("PARLEY_MODEL_API_KEY", "its own")
    child = scripted_child(f"open({str(log)!r}, 'w').write(repr(dict(os.environ))); sys.exit(78)")
    async with ModelProcess(tiny, command=child, pace=QUICK) as process:
        await process.given_up()
    written = log.read_text()
    assert "hush-hush" not in written
    assert "its own" in written


async def test_a_child_that_never_gets_ready_is_ended(tiny: Path) -> None:
    pace = Pace(first_wait=0.01, give_up_after=1, start_within=0.3)
    async with ModelProcess(tiny, command=scripted_child("signal.pause()"), pace=pace) as process:
        with pytest.raises(ModelUnavailableError, match="was not ready within"):
            await process.ready()


async def test_a_child_that_ignores_sigterm_is_killed(tiny: Path) -> None:
    code = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', file=sys.stderr, flush=True)\n"
        "while True: signal.pause()"
    )
    process = ModelProcess(tiny, command=scripted_child(code), pace=Pace(end_within=0.2))
    await process.start()
    await until_so(lambda: "up" in process.stderr)
    pid = process.pid
    await process.aclose()
    assert pid
    assert not runs(pid)


async def test_a_child_is_ready_when_it_has_passed_its_self_test(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = tmp_path / "hang"
    hang.touch()
    monkeypatch.setenv("HANG_WHEN", str(hang))
    async with ModelProcess(tiny, load=Load(threads=1), command=HANGING_CHILD) as process:
        transport = httpx.AsyncHTTPTransport(uds=str(process.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:

            async def status(path: str) -> int:
                try:
                    return (await client.get(path)).status_code
                except httpx.HTTPError:
                    return 0

            async def loading() -> bool:
                return await status("/health") == 503

            await until(loading)
            assert await status("/v1/models") == 503
            assert process.state.name == "starting"
            hang.unlink()
            await process.ready()
            assert await status("/health") == 200
