import asyncio
import json
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.errors import ModelFileError, ModelUnavailableError
from bot.llm.local import LocalLLM, Unavailable, connect
from bot.llm.protocol import LLM, ChatMessage
from bot.llm.supervisor import ModelProcess, Pace

QUESTION = [ChatMessage("user", "What is the hotel limit?")]
QUICK = Pace(first_wait=0.01, longest_wait=0.05, give_up_after=3, try_again_after=0.0)
SIGILL_CHILD = (sys.executable, str(Path(__file__).with_name("child_with_sigill.py")))


def _runs(pid: int) -> bool:
    """Whether a process does anything; a dead one that nobody has buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def _until(condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)


async def _text(llm: LLM, *, max_tokens: int = 5) -> str:
    async with llm.stream(QUESTION, max_tokens=max_tokens) as deltas:
        return "".join([delta.content async for delta in deltas])


def _scripted_child(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"import os, signal, sys\n{code}")


async def test_a_child_killed_in_mid_stream_is_an_error_and_comes_back(tiny: Path) -> None:
    async with ModelProcess(tiny, threads=1, pace=QUICK) as process:
        llm = LocalLLM(process)
        await llm.ready()
        first = process.pid
        assert first
        async with llm.stream(QUESTION, max_tokens=4000) as deltas:
            await anext(deltas)
            os.kill(first, signal.SIGKILL)
            with pytest.raises(ModelUnavailableError, match=r"went away|cannot be reached|broke off"):
                [delta async for delta in deltas]
        await _until(lambda: process.state.name != "ready")
        with pytest.raises(ModelUnavailableError, match=r"was killed \(out of memory\?\)"):
            await _text(llm)
        await llm.ready()
        assert process.pid != first
        assert await _text(llm)
        await llm.aclose()


async def test_only_the_owner_can_reach_the_socket_and_it_is_removed(tiny: Path) -> None:
    async with ModelProcess(tiny, threads=1) as process:
        await process.ready()
        assert stat.S_IMODE(process.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(process.socket.parent.stat().st_mode) == 0o700
        assert len(str(process.socket)) < 100
        pid = process.pid
    assert pid
    assert not _runs(pid)
    assert not process.socket.parent.exists()
    with pytest.raises(ModelUnavailableError, match="was stopped"):
        await process.ready()


async def test_closing_while_it_loads_leaves_nothing(tiny: Path) -> None:
    process = ModelProcess(tiny, threads=1)
    await process.start()
    await _until(lambda: process.pid is not None)
    pid = process.pid
    assert pid
    await process.aclose()
    assert not _runs(pid)
    assert not process.socket.parent.exists()


async def test_two_models_at_once(tiny: Path, tiny_without_template: Path) -> None:
    async with connect(path=tiny, threads=1) as one, connect(path=tiny_without_template, threads=1) as two:
        await asyncio.gather(one.ready(), two.ready())
        assert all(await asyncio.gather(_text(one), _text(two)))
        assert (one.context_window, two.context_window) == (4096, 512)


async def test_the_child_dies_with_its_parent(tiny: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from bot.llm.supervisor import ModelProcess\n"
        "async def main():\n"
        "    async with ModelProcess(Path(sys.argv[1]), threads=1) as process:\n"
        "        await process.ready()\n"
        "        print(process.pid, process.socket.parent, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tiny), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout
    pid, folder = (await parent.stdout.readline()).decode().split()
    assert _runs(int(pid))
    parent.kill()
    await parent.wait()
    await _until(lambda: not _runs(int(pid)))
    shutil.rmtree(folder)  # nobody was left to do it


async def test_sigill_is_cured_and_remembered(tiny: Path, tmp_path: Path) -> None:
    state_file = tmp_path / "state" / "model.json"
    async with ModelProcess(tiny, threads=1, command=SIGILL_CHILD, state_file=state_file) as process:
        await process.ready()
        assert process.without_extra_bufts
        llm = LocalLLM(process)
        assert await _text(llm)
        await llm.aclose()
    assert json.loads(state_file.read_text())["without_extra_bufts"]["reason"] == "SIGILL"

    log = tmp_path / "starts"
    counting = _scripted_child(f"open({str(log)!r}, 'a').write(' '.join(sys.argv) + '\\n'); sys.exit(1)")
    async with ModelProcess(tiny, command=counting, state_file=state_file, pace=QUICK) as process:
        with pytest.raises(ModelUnavailableError):
            await process.ready()
    assert all("--no-extra-bufts" in line for line in log.read_text().splitlines())


async def test_sigill_without_a_cure_is_given_up(tiny: Path) -> None:
    child = _scripted_child("os.kill(os.getpid(), signal.SIGILL)")
    async with ModelProcess(tiny, command=child, pace=QUICK) as process:
        with pytest.raises(ModelUnavailableError, match="an instruction this CPU does not have"):
            await process.ready()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"without_extra_bufts": 3}'])
async def test_a_damaged_state_file_does_no_harm(tiny: Path, tmp_path: Path, content: str) -> None:
    state_file = tmp_path / "model.json"
    state_file.write_text(content)
    async with ModelProcess(tiny, threads=1, state_file=state_file) as process:
        assert not process.without_extra_bufts


async def test_it_gives_up_with_the_last_line_and_tries_again_when_asked_later(
    tiny: Path, tmp_path: Path
) -> None:
    log = tmp_path / "starts"
    code = f"open({str(log)!r}, 'a').write('x'); print('no such luck', file=sys.stderr); sys.exit(3)"
    async with ModelProcess(tiny, command=_scripted_child(code), pace=QUICK) as process:
        with pytest.raises(ModelUnavailableError, match="no such luck"):
            await process.ready()
        assert process.state.name == "failed"
        assert log.read_text() == "xxx"
        assert process.stderr == "no such luck"
        with pytest.raises(ModelUnavailableError, match="no such luck"):
            await process.ready()
        assert log.read_text() == "xxxxxx"


async def test_a_child_that_never_gets_ready_is_ended(tiny: Path) -> None:
    pace = Pace(first_wait=0.01, give_up_after=1, start_within=0.3)
    async with ModelProcess(tiny, command=_scripted_child("signal.pause()"), pace=pace) as process:
        with pytest.raises(ModelUnavailableError, match="was not ready within"):
            await process.ready()


async def test_a_child_that_ignores_sigterm_is_killed(tiny: Path) -> None:
    code = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', file=sys.stderr, flush=True)\n"
        "while True: signal.pause()"
    )
    process = ModelProcess(tiny, command=_scripted_child(code), pace=Pace(end_within=0.2))
    await process.start()
    await _until(lambda: "up" in process.stderr)
    pid = process.pid
    await process.aclose()
    assert pid
    assert not _runs(pid)


async def test_a_command_that_does_not_exist_is_a_reason(tiny: Path) -> None:
    async with ModelProcess(tiny, command=("/no/such/python",)) as process:
        with pytest.raises(ModelUnavailableError, match="cannot be started"):
            await process.ready()


async def test_llama_cpp_refusing_the_file_is_given_up_at_once(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "strange.gguf"
    data = await asyncio.to_thread(tiny.read_bytes)
    await asyncio.to_thread(path.write_bytes, data.replace(b"llama", b"lllma"))
    async with ModelProcess(path, threads=1) as process:
        with pytest.raises(ModelUnavailableError, match=r"llama.cpp cannot run .*unknown model architecture"):
            await process.ready()


@pytest.fixture(params=[b"", b"not a model", None])
def bad_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "bad.gguf"
    if request.param is not None:
        path.write_bytes(request.param)
    return path


async def test_a_bad_file_starts_no_child(bad_file: Path) -> None:
    process = ModelProcess(bad_file)
    with pytest.raises(ModelFileError):
        await process.start()
    assert process.pid is None
    async with connect(path=bad_file) as llm:
        assert isinstance(llm, Unavailable)
