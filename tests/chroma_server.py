"""A Chroma server that the tests start for themselves: `chroma run` on a free port, over a folder of its own.

It is gone with the tests, however they end. Beside it a proxy such as stands before a server that needs a token: since
version 1, Chroma asks for none itself.

    from tests.chroma_server import chroma_server, chroma_url
"""

import atexit
import functools
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from knowledge.chroma_server import ChromaServer

__all__ = ["Proxy", "chroma_server", "chroma_url", "free_port", "proxied"]

# The shell outlives whoever started it, sees its input end, and clears up.
_SERVER = """
trap '' PIPE
"$1" run --path "$2/data" --host 127.0.0.1 --port "$3" >"$2/log" 2>&1 </dev/null &
echo started
cat >/dev/null
kill $!
wait $!
rm -rf "$2"
"""


@pytest.fixture(scope="session")
def chroma_url() -> str:
    """Where a server runs."""
    return _start()


@pytest.fixture
def chroma_server(chroma_url: str) -> ChromaServer:
    """The server with a database that no other test has."""
    return ChromaServer(chroma_url, database=f"test-{uuid.uuid4().hex}")


def free_port() -> int:
    """A port at which nobody listens, as far as one can know."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@functools.cache  # the fixture is one for each folder that imports it
def _start() -> str:
    program = Path(sys.executable).with_name("chroma")
    folder = Path(tempfile.mkdtemp(prefix="parley-chroma-"))
    port = free_port()
    server = subprocess.Popen(
        ["/bin/sh", "-c", _SERVER, "server", str(program), str(folder), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the tests
    )
    atexit.register(server.communicate)  # closes its input
    url = f"http://127.0.0.1:{port}"
    waiting = threading.Event()
    for _ in range(600):
        try:
            if httpx.get(f"{url}/api/v2/heartbeat").is_success:
                return url
        except httpx.TransportError:
            waiting.wait(0.1)
    pytest.fail(f"Chroma does not start: {(folder / 'log').read_text()}")


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a server, unless it is told to do something else."""

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.token: str | None = None
        """What requests must show."""
        self.answers: list[tuple[int, str]] = []
        """Status and text for the next requests, in place of the server's."""
        self.cut = 0
        """So many of the next requests find their connection closed."""
        self.mute = ""
        """Requests whose path holds this get no answer before the end."""
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.mute and self.server.mute in self.path:
            self.server.ended.wait()
            self.close_connection = True
            return
        if self.server.cut:
            self.server.cut -= 1
            self.close_connection = True
            return
        if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._send(401, b"<html>who are you?</html>")
        elif self.server.answers:
            status, text = self.server.answers.pop(0)
            self._send(status, text.encode())
        else:
            found = httpx.request(
                self.command,
                self.server.target + self.path,
                content=body,
                headers={"Content-Type": self.headers.get("Content-Type", "")},
            )
            self._send(found.status_code, found.content)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - so the library calls them

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    """A proxy before a server, in a thread."""
    with Proxy(target) as proxy:
        proxy.daemon_threads = True
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.ended.set()
            proxy.shutdown()
            thread.join()
