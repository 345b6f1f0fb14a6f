"""A Hugging Face hub on this machine: what huggingface_hub asks when a file is downloaded, and its mishaps.

As on the real one, `/resolve/` answers with a redirect to another host that has the bytes, and names size and SHA-256
in `X-Linked-Size` and `X-Linked-ETag`; the file server understands ranges.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


class Hub:
    """Files by repository and name; `with hub.serving()` gives it an address."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], bytes] = {}
        self.gated: set[str] = set()
        self.breaks: list[int] = []
        """The next downloads end after so many bytes, without a word."""
        self.corrupts = False
        """Whether the file server hands out other bytes than were stored."""
        self.ignores_ranges = False
        self.ranges: list[str] = []
        """The `Range` of each download, empty where there was none."""
        self.tokens: list[str] = []
        """The `Authorization` that the file server was shown."""
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator["Hub"]:
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def served(self, key: tuple[str, str]) -> bytes:
        data = self.files[key]
        return bytes(byte ^ 1 for byte in data) if self.corrupts else data


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/main/(.+)", self.path)
        if not found:
            self._fail(404, "EntryNotFound")
            return
        key = (found[1], found[2])
        if key[0] in self.hub.gated:
            self._fail(403, "GatedRepo")
        elif not any(repo == key[0] for repo, _ in self.hub.files):
            self._fail(401, "RepoNotFound")
        elif key not in self.hub.files:
            self._fail(404, "EntryNotFound")
        else:
            data = self.hub.files[key]
            self.send_response(302)
            # Another host, as the real file server is.
            port = self.hub.url.rpartition(":")[2]
            self.send_header("Location", f"http://localhost:{port}/files/{key[0]}/{key[1]}")
            self.send_header("X-Linked-ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(data)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_GET(self) -> None:
        if found := re.match(r"/api/models/([^/]+/[^/]+)/tree/main", self.path):
            self._list(found[1])
        elif found := re.fullmatch(r"/files/([^/]+/[^/]+)/(.+)", self.path):
            self._send(self.hub.served((found[1], found[2])))
        else:
            self._fail(404, "EntryNotFound")

    def _list(self, repo: str) -> None:
        names = [name for owner, name in self.hub.files if owner == repo]
        if not names:
            self._fail(401, "RepoNotFound")
            return
        entries = [{"type": "file", "path": name, "size": 1, "oid": "0" * 40} for name in names]
        body = json.dumps(entries).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send(self, data: bytes) -> None:
        asked = self.headers.get("Range", "")
        self.hub.ranges.append(asked)
        self.hub.tokens.append(self.headers.get("Authorization", ""))
        start = 0 if self.hub.ignores_ranges or not asked else int(asked.removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        rest = data[start:]
        if self.hub.breaks:
            self.wfile.write(rest[: self.hub.breaks.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(rest)

    def _fail(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""
