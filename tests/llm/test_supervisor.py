import asyncio
import json
import os
import shutil
import signal
import stat
import sys
from pathlib import Path

import pytest

from bot.errors import ModelFileError, ModelUnavailableError
from bot.llm import machine
from bot.llm.local import LocalLLM, Unavailable, connect
from bot.llm.supervisor import Load, ModelProcess, Pace
from tests.llm.children import QUESTION, QUICK, SIGILL_CHILD, runs, scripted_child, text, until_so


async def test_a_child_killed_in_mid_stream_is_an_error_and_comes_back(tiny: Path) -> None:
    async with ModelProcess(tiny, load=Load(threads=1), pace=QUICK) as process:
        llm = LocalLLM(process)
        await llm.ready()
        first = process.pid
        assert first
        async with llm.stream(QUESTION, max_tokens=4000) as deltas:
            await anext(deltas)
            os.kill(first, signal.SIGKILL)
            with pytest.raises(ModelUnavailableError, match=r"went away|cannot be reached|broke off"):
                [delta async for delta in deltas]
        await until_so(lambda: process.state.name != "ready")
        with pytest.raises(ModelUnavailableError, match=r"was killed \(out of memory\?\)"):
            await text(llm)
        await llm.ready()
        assert process.pid != first
        assert await text(llm)
        await llm.aclose()


async def test_only_the_owner_can_reach_the_socket_and_it_is_removed(tiny: Path) -> None:
    async with ModelProcess(tiny, load=Load(threads=1)) as process:
        await process.ready()
        assert stat.S_IMODE(process.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(process.socket.parent.stat().st_mode) == 0o700
        assert len(str(process.socket)) < 100
        pid = process.pid
    assert pid
    assert not runs(pid)
    assert not process.socket.parent.exists()
    with pytest.raises(ModelUnavailableError, match="was stopped"):
        await process.ready()


async def test_closing_while_it_loads_leaves_nothing(tiny: Path) -> None:
    process = ModelProcess(tiny, load=Load(threads=1))
    await process.start()
    await until_so(lambda: process.pid is not None)
    pid = process.pid
    assert pid
    await process.aclose()
    assert not runs(pid)
    assert not process.socket.parent.exists()


async def test_two_models_at_once(tiny: Path, tiny_without_template: Path) -> None:
    async with (
        connect(path=tiny, load=Load(threads=1)) as one,
        connect(path=tiny_without_template, load=Load(threads=1)) as two,
    ):
        await asyncio.gather(one.ready(), two.ready())
        assert all(await asyncio.gather(text(one), text(two)))
        assert (one.context_window, two.context_window) == (4096, 512)


async def test_the_child_dies_with_its_parent(tiny: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from bot.llm.supervisor import Load, ModelProcess\n"
        "async def main():\n"
        "    async with ModelProcess(Path(sys.argv[1]), load=Load(threads=1)) as process:\n"
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
    assert runs(int(pid))
    parent.kill()
    await parent.wait()
    await until_so(lambda: not runs(int(pid)))
    shutil.rmtree(folder)  # nobody was left to do it


async def test_sigill_is_cured_and_remembered(tiny: Path, tmp_path: Path) -> None:
    state_file = tmp_path / "state" / "model.json"
    async with ModelProcess(
        tiny, load=Load(threads=1), command=SIGILL_CHILD, state_file=state_file
    ) as process:
        await process.ready()
        assert process.without_extra_bufts
        llm = LocalLLM(process)
        assert await text(llm)
        await llm.aclose()
    assert json.loads(state_file.read_text())["without_extra_bufts"]["reason"] == "SIGILL"

    log = tmp_path / "starts"
    counting = scripted_child(f"open({str(log)!r}, 'a').write(' '.join(sys.argv) + '\\n'); sys.exit(1)")
    async with ModelProcess(tiny, command=counting, state_file=state_file, pace=QUICK) as process:
        with pytest.raises(ModelUnavailableError):
            await process.ready()
    assert all("--no-extra-bufts" in line for line in log.read_text().splitlines())


async def test_sigill_without_a_cure_is_given_up(tiny: Path) -> None:
    child = scripted_child("os.kill(os.getpid(), signal.SIGILL)")
    async with ModelProcess(tiny, command=child, pace=QUICK) as process:
        with pytest.raises(ModelUnavailableError, match="an instruction this CPU does not have"):
            await process.ready()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"without_extra_bufts": 3}'])
async def test_a_damaged_state_file_does_no_harm(tiny: Path, tmp_path: Path, content: str) -> None:
    state_file = tmp_path / "model.json"
    state_file.write_text(content)
    async with ModelProcess(tiny, load=Load(threads=1), state_file=state_file) as process:
        assert not process.without_extra_bufts


async def test_it_gives_up_with_the_last_line_and_tries_again_when_asked_later(
    tiny: Path, tmp_path: Path
) -> None:
    log = tmp_path / "starts"
    code = f"open({str(log)!r}, 'a').write('x'); print('no such luck', file=sys.stderr); sys.exit(3)"
    async with ModelProcess(tiny, command=scripted_child(code), pace=QUICK) as process:
        with pytest.raises(ModelUnavailableError, match="no such luck"):
            await process.ready()
        assert process.state.name == "failed"
        assert log.read_text() == "xxx"
        assert process.stderr == "no such luck"
        with pytest.raises(ModelUnavailableError, match="no such luck"):
            await process.ready()
        assert log.read_text() == "xxxxxx"


async def test_a_child_that_dies_at_each_first_question_is_given_up(tiny: Path, tmp_path: Path) -> None:
    log = tmp_path / "starts"
    code = (
        f"open({str(log)!r}, 'a').write('x')\n"
        "import socket\n"
        "server = socket.socket(socket.AF_UNIX)\n"
        "server.bind(sys.argv[sys.argv.index('--socket') + 1])\n"
        "server.listen()\n"
        "caller, _ = server.accept()\n"
        "caller.recv(10_000)\n"
        "caller.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}')\n"
        "caller.recv(10_000)\n"
        "sys.exit(3)"
    )
    pace = Pace(first_wait=0.01, longest_wait=0.01, give_up_after=3, try_again_after=3600.0, hung_after=1.0)
    async with ModelProcess(tiny, command=scripted_child(code), pace=pace) as process:
        async with asyncio.timeout(60):
            await process.given_up()
        assert log.read_text() == "xxx"


async def test_a_command_that_does_not_exist_is_a_reason(tiny: Path) -> None:
    async with ModelProcess(tiny, command=("/no/such/python",)) as process:
        with pytest.raises(ModelUnavailableError, match="cannot be started"):
            await process.ready()


async def test_llama_cpp_refusing_the_file_is_given_up_at_once(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "strange.gguf"
    data = await asyncio.to_thread(tiny.read_bytes)
    await asyncio.to_thread(path.write_bytes, data.replace(b"output_norm.weight", b"output_mron.weight"))
    async with ModelProcess(path, load=Load(threads=1)) as process:
        with pytest.raises(ModelUnavailableError, match=r"llama.cpp cannot run .*output_norm"):
            await process.ready()


async def test_an_architecture_that_llama_cpp_does_not_know_starts_no_child(
    tiny: Path, tmp_path: Path
) -> None:
    path = tmp_path / "strange.gguf"
    data = await asyncio.to_thread(tiny.read_bytes)
    await asyncio.to_thread(path.write_bytes, data.replace(b"llama", b"lllma"))
    process = ModelProcess(path)
    with pytest.raises(ModelFileError, match="does not know the architecture 'lllma'"):
        await process.start()
    assert process.pid is None


async def test_a_model_that_does_not_fit_starts_no_child_until_there_is_room(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 10_000_000)
    async with ModelProcess(tiny, load=Load(threads=1), pace=QUICK) as process:
        with pytest.raises(ModelUnavailableError, match=r"needs about .* and 10 MB are free"):
            await process.ready()
        assert process.pid is None
        monkeypatch.undo()
        await process.ready()


async def test_giving_up_is_waited_for(tiny: Path) -> None:
    code = "print('no such luck', file=sys.stderr); sys.exit(78)"
    async with ModelProcess(tiny, command=scripted_child(code), pace=QUICK) as process:
        assert await process.given_up() == "no such luck"


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
