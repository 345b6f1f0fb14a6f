"""A website to read, served from this machine."""

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HTML = "text/html; charset=utf-8"


@dataclass
class Reply:
    """What the website answers at one address."""

    body: bytes = b""
    type: str = HTML
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""
    fails: int = 0
    """How many requests get a 503 first."""
    breaks: bool = False
    """Whether the connection ends before the answer."""

    def now(self, known: str) -> tuple[int, bytes]:
        """Status and body for somebody who has the page with that etag."""
        if self.fails:
            self.fails -= 1
            return 503, b"later"
        return (304, b"") if self.etag and known == self.etag else (self.status, self.body)


def page(*links: str, text: str = "", title: str = "") -> Reply:
    """A page with some text and links."""
    anchors = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
    return Reply(f"<title>{title}</title><p>{text or 'text'}</p><ul>{anchors}</ul>".encode())


def moved(to: str, *, status: int = 302) -> Reply:
    """Another address instead."""
    return Reply(status=status, headers={"Location": to})


def sitemap(*links: str, changed: str = "", index: bool = False, packed: bool = False) -> Reply:
    """A sitemap, or an index of sitemaps."""
    outer, inner = ("sitemapindex", "sitemap") if index else ("urlset", "url")
    last = f"<lastmod>{changed}</lastmod>" if changed else ""
    entries = "".join(f"<{inner}><loc>{link}</loc>{last}</{inner}>" for link in links)
    text = f'<?xml version="1.0"?><{outer} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</{outer}>'
    body = text.encode()
    return Reply(gzip.compress(body) if packed else body, "application/xml")


class Site:
    """Change `replies` while it is served."""

    def __init__(self, url: str) -> None:
        self.url = url
        """Without a slash at the end."""
        self.replies: dict[str, Reply] = {}
        """By path."""
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        """Paths with headers, in their order."""
        self.connections = 0

    @property
    def paths(self) -> list[str]:
        """What was asked for, without what every reading asks for first."""
        return [path for path, _ in self.requests if not path.endswith(("robots.txt", "sitemap.xml"))]


@contextmanager
def serving(host: str = "127.0.0.1", *, port: int = 0) -> Iterator[Site]:
    """A website at an address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            site.connections += 1
            super().setup()

        def do_GET(self) -> None:
            site.requests.append((self.path, dict(self.headers.items())))
            reply = site.replies.get(self.path, Reply(b"nothing here", status=404))
            if reply.breaks:
                self.close_connection = True
            else:
                self._send(reply, *reply.now(self.headers.get("If-None-Match", "")))

        def _send(self, reply: Reply, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", reply.type)
            if reply.etag:
                self.send_header("ETag", reply.etag)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a visitor that hangs up early

    with Server((host, port), Handler) as server:
        site = Site(f"http://{host}:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
