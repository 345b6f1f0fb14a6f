"""The servers that are compared: started in processes of their own, one at a time, on a port of this machine."""

import asyncio
import contextlib
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

_LONGEST_START = 600.0
"""Seconds."""
_LOOKING = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What both servers are told."""

    model: Path
    parallel: int
    context: int
    """Tokens that one request may take."""
    cells: int
    """Tokens that the key-value cache holds, for all requests together."""
    threads: int
    gpu: bool


def parley(setup: Setup) -> list[str]:
    """The command for Parley's server."""
    return [
        *(sys.executable, "-m", "bot.llm.server", "--model", str(setup.model)),
        *(
            "--context",
            str(setup.context),
            "--parallel",
            str(setup.parallel),
            "--threads",
            str(setup.threads),
        ),
        *("--gpu-layers", "-1" if setup.gpu else "0", "--no-speculation"),
    ]


def llama_server(program: Path, setup: Setup) -> list[str]:
    """The command for llama.cpp's server; it does not speculate unless told to."""
    return [
        *(str(program), "--model", str(setup.model), "--host", "127.0.0.1"),
        *("--ctx-size", str(setup.cells), "--parallel", str(setup.parallel), "--kv-unified"),
        *("--threads", str(setup.threads), "--gpu-layers", "all" if setup.gpu else "0"),
    ]


@contextlib.asynccontextmanager
async def running(command: Sequence[str]) -> AsyncIterator[str]:
    """The server's URL while it runs; it is stopped at the end.

    Raises:
        RuntimeError: it ended, or was not ready within ten minutes; with the end of what it wrote.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *command, "--port", str(port), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )

        def failed(what: str) -> RuntimeError:
            log.seek(0)
            written = log.read()[-2000:].decode(errors="replace")
            return RuntimeError(f"{Path(command[0]).name} {what}; its last words:\n{written}")

        try:
            async with asyncio.timeout(_LONGEST_START):
                await _ready(url, process)
            if process.returncode is not None:
                raise failed("did not start")
            yield url
        except TimeoutError as error:
            raise failed("was not ready in time") from error
        except httpx.TransportError as error:
            raise failed("broke off") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _ready(url: str, process: asyncio.subprocess.Process) -> None:
    async with httpx.AsyncClient() as http:
        while process.returncode is None:
            with contextlib.suppress(httpx.TransportError):
                if (await http.get(f"{url}/health")).is_success:
                    return
            await asyncio.sleep(_LOOKING)
