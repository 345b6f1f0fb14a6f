"""Git repositories to read from, and a server that hands them out as git servers do."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Repository:
    """A repository with a work tree, for one who writes documents."""

    def __init__(self, path: Path, *, branch: str = "main") -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", f"--initial-branch={branch}")

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *arguments]
        environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        return subprocess.run(
            command, cwd=self.path, env=environment, check=True, capture_output=True, encoding="utf-8"
        ).stdout

    def commit(self, *, remove: tuple[str, ...] = (), **files: str) -> None:
        """Write `files`, whose names have `__` for a slash and `_` for the dot of their suffix, and commit."""
        self.write(
            {name.replace("__", "/")[::-1].replace("_", ".", 1)[::-1]: text for name, text in files.items()}
        )
        for name in remove:
            (self.path / name).unlink()
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=change")

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


@dataclass
class Server:
    """What a server knows of its visitors."""

    url: str
    """Of the folder that is served; names of repositories follow it."""
    requests: list[str] = field(default_factory=list)


@contextmanager
def serving(folder: Path, *, password: str = "", simple: bool = False) -> Iterator[Server]:
    """Serve the repositories below `folder` over HTTP; a simple server only hands out files."""
    expected = f"Basic {base64.b64encode(password.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append(f"{self.command} {self.path}")
            if password and self.headers.get("Authorization") != expected:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.end_headers()
                return
            self._file() if simple else self._backend()

        do_POST = do_GET  # noqa: N815 - the names are http.server's

        def _file(self) -> None:
            file = folder / urlsplit(self.path).path.strip("/")
            self.send_response(200 if file.is_file() else 404)
            self.end_headers()
            self.wfile.write(file.read_bytes() if file.is_file() else b"")

        def _backend(self) -> None:
            parts = urlsplit(self.path)
            ran = subprocess.run(
                ["git", "http-backend"],
                input=self.rfile.read(int(self.headers.get("Content-Length", 0))),
                env=os.environ
                | {
                    "GIT_PROJECT_ROOT": str(folder),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_CONFIG_COUNT": "2",
                    "GIT_CONFIG_KEY_0": "uploadpack.allowFilter",
                    "GIT_CONFIG_VALUE_0": "true",
                    "GIT_CONFIG_KEY_1": "safe.directory",
                    "GIT_CONFIG_VALUE_1": "*",
                    "PATH_INFO": parts.path,
                    "QUERY_STRING": parts.query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                },
                check=True,
                capture_output=True,
            ).stdout
            head, _, body = ran.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        server = Server(f"http://127.0.0.1:{httpd.server_port}/")
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            httpd.shutdown()
            thread.join()
