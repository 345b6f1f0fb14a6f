"""Which addresses belong to a website: those on its host, below its path; pure.

Everything else that a page links to, redirects to or lists in a sitemap is not the website's.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from yarl import URL

_FILES = frozenset({".html", ".htm", ".xhtml", ".php", ".asp", ".aspx", ".jsp", ".md", ".txt", ".pdf"})
"""Suffixes that show that the last part of an address is a page and not a folder."""
LONGEST = 2000
"""Characters of an address; what is longer is a trap for crawlers."""


@dataclass(frozen=True)
class Scope:
    """The website that begins at `start`."""

    start: URL

    @property
    def prefix(self) -> str:
        """The path below which everything belongs to it, with a slash at the end."""
        path = self.start.raw_path
        if PurePosixPath(path).suffix.lower() in _FILES:
            return path.rpartition("/")[0] + "/"
        return path.rstrip("/") + "/"

    def resolve(self, link: str, base: URL) -> URL | None:
        """A link on the page `base` as the address of a page of the website; None when it leads elsewhere."""
        url = self.resolve_on_site(link, base)
        return url if url and self.contains(url) else None

    def resolve_on_site(self, link: str, base: URL) -> URL | None:
        """A link as an address on the website's host, whatever the path; None when it leads elsewhere."""
        try:
            url = base.join(URL(link.strip())).with_fragment(None)
            if self._is_insecure_twin(url):
                url = url.with_scheme("https").with_port(None)
        except ValueError:
            return None
        return url if self.is_on_site(url) and len(str(url)) <= LONGEST else None

    def contains(self, url: URL) -> bool:
        """Whether the address is one of a page of the website."""
        # Servers may take an encoded slash, backslash or dot for the sign itself.
        decoded = re.split(r"[/\\]", unquote(unquote(url.raw_path)))
        if not self.is_on_site(url) or ".." in decoded or not str(url).isprintable():
            return False
        return url.raw_path.startswith(self.prefix) or url.raw_path == self.prefix.rstrip("/")

    def is_on_site(self, url: URL) -> bool:
        """Whether the host is the website's; a website without TLS may lead to the same one with it."""
        if url.scheme not in {"http", "https"} or url.user is not None or url.password is not None:
            return False
        if url.host is None or url.host.rstrip(".") != (self.start.host or "").rstrip("."):
            return False
        if (url.scheme, url.port) == (self.start.scheme, self.start.port):
            return True
        return self._is_secure_twin(url)

    def path(self, url: URL) -> str:
        """The path below the prefix, readable; the page at the prefix itself is 'index'."""
        below = url.raw_path.removeprefix(self.prefix) if url.raw_path.startswith(self.prefix) else ""
        parts = []
        for part in below.split("/"):
            plain = unquote(part)
            parts.append(plain if plain.isprintable() and "/" not in plain else part)
        return "/".join(parts) + "index" * (not parts[-1])

    def _is_secure_twin(self, url: URL) -> bool:
        return (self.start.scheme, self.start.port, url.scheme, url.port) == ("http", 80, "https", 443)

    def _is_insecure_twin(self, url: URL) -> bool:
        return (url.scheme, url.port, self.start.scheme, self.start.port) == ("http", 80, "https", 443)


def document_path(scope: Scope, url: URL, suffix: str) -> str:
    """The path of a page as a document: `suffix`, such as ".html", says what its bytes are.

    Addresses that name the same page in the usual ways, such as `a`, `a.html` and `a/index.html` or `a/`, get one path
    each for a page and for a folder.
    """
    path = scope.path(url)
    if url.raw_query_string:
        path += f"?{url.raw_query_string}"
    return path if PurePosixPath(path).suffix.lower() == suffix else path + suffix
