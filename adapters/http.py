"""A small HTTP server on an address of this machine, for what asks Parley over HTTP. It does not do TLS."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp
from uvicorn import Config, Server

from bot.errors import SettingsError


async def serve(application: ASGIApp, *, host: str, port: int, keys: str) -> None:
    """Serve until cancelled, and let the requests under way come to their end.

    Raises `SettingsError` when the port cannot be had; `keys` is what the keys of host and port begin with in
    parley.toml, such as "web.".
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise SettingsError(
            f"Port {port} of {host} cannot be used ({error.strerror}); set {keys}port to a free one, and "
            f"{keys}host to an address of this machine."
        ) from error
    server = _Server(Config(application, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


class _Server(Server):
    """uvicorn without its signal handlers: `parley serve` has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
