"""The process that serves a model over HTTP: on a Unix socket for Parley, on a port for a team, or on both.

    python -m bot.llm.server --model FILE --socket PATH
    python -m bot.llm.server --model FILE --port 8080

Answers 503 until the model is loaded and has passed its self-test. On a port, `PARLEY_MODEL_API_KEY` is what clients
must show; without it only this machine can be listened to. A socket is open to its owner only. Exits when the model
cannot be used (`EXIT_UNUSABLE`, the reason as the last line of stderr) and, with --with-parent, when its parent is
gone. A crash inside llama.cpp ends it; `bot.llm.supervisor` starts it again.
"""

import argparse
import asyncio
import logging
import os
import select
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from bot.errors import ModelError, ModelFileError, ModelUnavailableError, SettingsError
from bot.llm.access import check_exposure, key_from
from bot.llm.cores import default_threads
from bot.llm.endpoints import ModelServer
from bot.llm.engine import Engine
from bot.llm.lora import parse_lora
from bot.llm.machine import gpu_backends

_log = logging.getLogger(__name__)

EXIT_UNUSABLE = 78
"""The model can never be served as asked (EX_CONFIG of sysexits.h): starting again would not help."""


async def serve(
    engine: Engine, *, model_id: str, listeners: Sequence[socket.socket], key: str | None = None
) -> int:
    """Serve until told to stop (SIGTERM, SIGINT); the exit status.

    The sockets answer /health with 503 while the model loads, so a watcher can tell "loading" from "dead".
    """
    served = ModelServer(engine, model_id=model_id)
    config = uvicorn.Config(
        served.app(key=key),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        backlog=128,
    )
    server = uvicorn.Server(config)
    http = asyncio.create_task(server.serve(sockets=list(listeners)))
    try:
        loading = asyncio.create_task(engine.start())
        await asyncio.wait({http, loading}, return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            loading.result()
            served.ready = True
        await http
    except ModelError as error:
        _log.error("%s", error)
        return EXIT_UNUSABLE if isinstance(error, ModelFileError) else 1
    return 0


def _listen_on_port(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ModelUnavailableError(
            f"{host}:{port} cannot be listened to ({error.strerror}): choose another port."
        ) from error


def _listen_on_socket(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o177)  # owner only from the first moment; uvicorn's own `uds` is open to everyone
    try:
        listener.bind(str(path))
    finally:
        os.umask(umask)
    listener.listen(128)
    return listener


def _end_with_parent() -> None:
    """End this process when the parent ends, however it ends.

    The parent holds the other end of stdin and never writes: end of file means that it is gone. A process
    that it forked may keep that end open, so the parent's id is looked at, too. Nothing is tidied up: a
    thread may be deep in llama.cpp, and the system frees everything.
    """
    parent = os.getppid()
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], 1.0)
        if readable and not os.read(sys.stdin.fileno(), 1024):
            break
    os._exit(0)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bot.llm.server", description="Serve a GGUF model.")
    parser.add_argument("--model", type=Path, required=True, help="the GGUF file")
    parser.add_argument("--model-id", help="the name it is served under (default: the file's name)")
    parser.add_argument("--socket", type=Path, help="listen on this Unix socket")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, help="listen on this port (default without --socket: 8080)")
    parser.add_argument("--context", type=int, default=0, help="tokens; 0: as trained, at most 8192")
    parser.add_argument("--parallel", type=int, default=0, help="answers at once; 0: as memory allows")
    parser.add_argument("--queue-size", type=int, default=32, help="requests that may wait")
    parser.add_argument("--threads", type=int, default=0, help="0: the physical cores")
    parser.add_argument("--gpu-layers", type=int, default=-1, help="-1: all, when there is a GPU")
    parser.add_argument("--lora", action="append", default=[], metavar="FILE[=SCALE]", help="a LoRA adapter")
    parser.add_argument("--no-speculation", action="store_true", help="do not guess tokens from the prompt")
    parser.add_argument(
        "--no-extra-bufts", action="store_true", help="do not repack weights for AMX and the like"
    )
    parser.add_argument(
        "--with-parent", action="store_true", help="exit when stdin closes or the parent ends"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    given = _arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if given.with_parent:
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    listeners, key = [], None
    try:
        if given.socket:
            listeners.append(_listen_on_socket(given.socket))
        if given.port is not None or not given.socket:
            key = key_from()
            check_exposure(given.host, key)
            listeners.append(_listen_on_port(given.host, 8080 if given.port is None else given.port))
        adapters = [parse_lora(text) for text in given.lora]
    except (SettingsError, ModelUnavailableError) as error:
        _log.error("%s", error)
        sys.exit(EXIT_UNUSABLE)
    engine = Engine(
        given.model,
        context=given.context,
        parallel=given.parallel,
        queue_size=given.queue_size,
        threads=given.threads or default_threads(),
        gpu_layers=given.gpu_layers if gpu_backends() else 0,  # so that memory is known to be this machine's
        lora=adapters,
        speculation=not given.no_speculation,
        use_extra_bufts=not given.no_extra_bufts,
    )
    model_id = given.model_id or given.model.name
    code = asyncio.run(serve(engine, model_id=model_id, listeners=listeners, key=key))
    logging.shutdown()
    os._exit(code)  # the engine's thread may be inside llama.cpp, which must not be unloaded under it


if __name__ == "__main__":
    main()
