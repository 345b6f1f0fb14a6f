"""Websites as sources, read over real connections."""

import asyncio
import gzip
import logging
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from knowledge.errors import SourceError
from knowledge.loaders import Loader
from knowledge.sources import website
from knowledge.sources.storage import fetching
from knowledge.sources.web import addresses
from knowledge.sources.web.content import Content
from knowledge.sources.web.fetching import Limits
from knowledge.sources.web.reading import Reader, UnreadableError
from knowledge.sources.website import WebsiteSource
from tests.knowledge.sources.web.conftest import ReaderAtHand
from tests.knowledge.sources.web.site import Reply, Site, moved, page, serving, sitemap

Make = Callable[..., WebsiteSource]


def paths(source: WebsiteSource) -> list[str]:
    return [file.path for file in source.files()]


def test_pages_are_found_by_links_nearest_first(site: Site, source: Make) -> None:
    site.replies |= {
        "/docs/": page("travel", "food/#soup", "/docs/", "https://elsewhere.example/x"),
        "/docs/travel": page("travel/hotels.html"),
        "/docs/food/": page("../about.html", "mailto:ann@example.org"),
        "/docs/travel/hotels.html": page(),
        "/docs/about.html": page(),
    }
    files = list(source().files())
    assert [(file.path, file.uri.removeprefix(site.url)) for file in files] == [
        ("index.html", "/docs/"),
        ("travel.html", "/docs/travel"),
        ("food/index.html", "/docs/food/"),
        ("travel/hotels.html", "/docs/travel/hotels.html"),
        ("about.html", "/docs/about.html"),
    ]


def test_it_stays_below_the_path(site: Site, source: Make) -> None:
    site.replies |= {
        "/docs/": page(
            "/secret", "../secret", "%2e%2e/secret", "..%2fsecret", "/docs-old/", "//other.example/docs/", "a"
        ),
        "/docs/a": page(),
        "/secret": page(),
        "/docs-old/": page(),
    }
    assert paths(source()) == ["index.html", "a.html"]
    assert set(site.paths) == {"/docs/", "/docs/a"}


def test_depth_and_number_of_pages(site: Site, source: Make, caplog: pytest.LogCaptureFixture) -> None:
    site.replies |= {f"/docs/{n}": page(f"/docs/{n + 1}") for n in range(1, 9)}
    site.replies["/docs/"] = page("1")
    assert paths(source(depth=2)) == ["index.html", "1.html", "2.html"]
    with caplog.at_level(logging.WARNING):
        assert paths(source(pages=4)) == ["index.html", "1.html", "2.html", "3.html"]
    assert "'docs' has more than 4 pages" in caplog.text


def test_patterns_are_compared_with_the_address(site: Site, source: Make) -> None:
    site.replies |= {
        "/docs/": page("guide/a", "guide/b.pdf", "drafts/c"),
        "/docs/guide/a": page(),
        "/docs/guide/b.pdf": Reply(b"%PDF-", "application/pdf"),
        "/docs/drafts/c": page(),
    }
    assert paths(source(include=("guide/**",))) == ["guide/a.html", "guide/b.pdf"]
    assert paths(source(exclude=("drafts/**", "*.pdf"))) == ["index.html", "guide/a.html"]
    assert site.paths.count("/docs/drafts/c") == 1, "what is excluded is not asked for"


@pytest.mark.parametrize("packed", [False, True])
def test_a_sitemap_says_which_pages_there_are(site: Site, source: Make, packed: bool) -> None:
    site.replies |= {
        "/robots.txt": Reply(f"Sitemap: {site.url}/maps/index.xml".encode(), "text/plain"),
        "/maps/index.xml": sitemap(f"{site.url}/maps/a.xml", "https://elsewhere.example/map.xml", index=True),
        "/maps/a.xml": sitemap(
            f"{site.url}/docs/a", f"{site.url}/blog/b", "http://10.0.0.1/docs/c", packed=packed
        ),
        "/docs/": page("b"),
        "/docs/a": page("b"),
        "/docs/b": page(),
    }
    assert paths(source()) == ["a.html"]
    assert paths(source(sitemap=False)) == ["index.html", "b.html"]


@pytest.mark.parametrize("place", ["/sitemap.xml", "/docs/sitemap.xml"])
def test_a_sitemap_in_its_usual_place(site: Site, source: Make, place: str) -> None:
    site.replies |= {place: sitemap(f"{site.url}/docs/a"), "/docs/a": page()}
    assert paths(source()) == ["a.html"]


BOMB = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><urlset>&b;</urlset>'


@pytest.mark.parametrize("body", [b"<html>not found</html>", b"<urlset>", BOMB, b"\x1f\x8bno", b""])
def test_a_sitemap_that_is_none_is_passed_over(site: Site, source: Make, body: bytes) -> None:
    site.replies |= {"/sitemap.xml": Reply(body, "text/xml"), "/docs/": page("a"), "/docs/a": page()}
    assert paths(source()) == ["index.html", "a.html"]


def test_a_sitemap_that_fails_is_an_error(site: Site, source: Make) -> None:
    site.replies |= {"/sitemap.xml": Reply(status=500), "/docs/": page()}
    with pytest.raises(SourceError, match="status 500"):
        paths(source())


def test_robots_txt_is_obeyed(site: Site, source: Make) -> None:
    rules = "User-agent: *\nDisallow: /docs/no*\nAllow: /docs/no-but-yes\n"
    site.replies |= {
        "/robots.txt": Reply(rules.encode(), "text/plain"),
        "/docs/": page("no", "no/thing", "no-but-yes"),
        "/docs/no": page(),
        "/docs/no-but-yes": page(),
    }
    assert paths(source()) == ["index.html", "no-but-yes.html"]
    site.replies["/robots.txt"] = Reply(b"User-agent: ParleyBot\nDisallow: /\n", "text/plain")
    with pytest.raises(SourceError, match=r"its robots.txt does not let programs read it; ask who runs it"):
        paths(source())


def test_a_robots_txt_that_fails_forbids_all(site: Site, source: Make) -> None:
    site.replies |= {"/robots.txt": Reply(status=503), "/docs/": page()}
    with pytest.raises(
        SourceError, match=r"'docs': http://.*/docs/ cannot be read: it answers with status 503"
    ):
        paths(source())
    assert site.paths == []


def test_a_very_slow_pace_is_refused(site: Site, source: Make) -> None:
    site.replies["/robots.txt"] = Reply(b"User-agent: *\nCrawl-delay: 3600\n", "text/plain")
    with pytest.raises(SourceError, match="wants 3600 s between two pages"):
        paths(source())


def test_the_pace_is_kept(site: Site, source: Make) -> None:
    """By the clock: more time may pass on a busy machine, but not less."""
    site.replies |= {"/docs/": page(*"abc")} | {f"/docs/{name}": page() for name in "abc"}
    began = asyncio.run(_now())
    assert len(paths(source(rate=20.0))) == 4
    assert asyncio.run(_now()) - began >= (len(site.requests) - 1) / 20


async def _now() -> float:
    return asyncio.get_running_loop().time()


def test_only_what_has_changed_is_sent_again(site: Site, source: Make) -> None:
    site.replies |= {
        "/docs/": Reply(page("a").body, etag='"1"'),
        "/docs/a": Reply(page("b", text="old").body, etag='"1"'),
        "/docs/b": page(),
    }
    assert paths(source()) == ["index.html", "a.html", "b.html"]
    site.requests.clear()
    site.replies["/docs/a"] = Reply(page("b", text="new").body, etag='"2"')
    files = {file.path: file.local.read_text() for file in source().files()}
    assert list(files) == ["index.html", "a.html", "b.html"]
    assert "new" in files["a.html"]
    sent = {path: headers.get("If-None-Match") for path, headers in site.requests}
    assert sent["/docs/"] == '"1"'
    assert sent["/docs/b"] is None


def test_what_the_sitemap_says_is_unchanged_is_not_asked_for(site: Site, source: Make) -> None:
    site.replies |= {
        "/sitemap.xml": sitemap(f"{site.url}/docs/a", changed="2026-01-01"),
        "/docs/a": page(text="old"),
    }
    assert paths(source()) == ["a.html"]
    assert paths(source()) == ["a.html"]
    assert site.paths == ["/docs/a"]
    site.replies["/sitemap.xml"] = sitemap(f"{site.url}/docs/a", changed="2026-01-02")
    assert paths(source()) == ["a.html"]
    assert site.paths == ["/docs/a"] * 2


def test_a_page_that_could_not_be_taken_apart_is_read_again(
    site: Site, source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the website says that it has not changed: only so its links are found once it can be read."""
    failing = {f"{site.url}/docs/"}

    class NotYet(ReaderAtHand):
        async def read(self, data: bytes, *, charset: str, url: str) -> Content:
            if url in failing:
                raise UnreadableError
            return await super().read(data, charset=charset, url=url)

    monkeypatch.setattr(website, "Reader", NotYet)
    site.replies |= {"/docs/": Reply(page("a").body, etag='"1"'), "/docs/a": page()}
    assert paths(source()) == ["index.html"]
    failing.clear()
    site.requests.clear()
    assert paths(source()) == ["index.html", "a.html"]
    sent = {path: headers.get("If-None-Match") for path, headers in site.requests}
    assert sent["/docs/"] is None


def test_pages_that_are_gone_are_gone(site: Site, source: Make, tmp_path: Path) -> None:
    site.replies |= {"/docs/": page("a", "b"), "/docs/a": page(), "/docs/b": page()}
    assert paths(source()) == ["index.html", "a.html", "b.html"]
    del site.replies["/docs/a"]
    assert paths(source()) == ["index.html", "b.html"]
    site.replies["/docs/"] = page()
    assert paths(source()) == ["index.html"]
    assert len(list(tmp_path.glob("data/sources/docs/*/*.body"))) == 1


def test_a_page_that_fails_is_left_as_it_was(site: Site, source: Make) -> None:
    site.replies |= {"/docs/": page("a"), "/docs/a": page("b", text="Soup"), "/docs/b": page()}
    assert len(paths(source())) == 3
    for broken in (Reply(status=500), Reply(b"x" * 200_000), Reply(fails=9)):
        site.replies["/docs/a"] = broken
        files = {
            file.path: file.local.read_text()
            for file in source(limits=Limits(size=100_000, pauses=(0.0,))).files()
        }
        assert list(files) == ["index.html", "a.html", "b.html"], "its links count, too"
        assert "Soup" in files["a.html"]


def test_a_website_that_is_busy_for_a_moment(site: Site, source: Make) -> None:
    site.replies |= {"/docs/": page("a"), "/docs/a": Reply(page().body, fails=1)}
    assert paths(source()) == ["index.html", "a.html"]


def test_a_website_that_goes_down_half_way_is_an_error(site: Site, source: Make) -> None:
    names = [str(n) for n in range(9)]
    site.replies |= {"/docs/": page(*names)} | {f"/docs/{name}": page() for name in names}
    assert len(paths(source())) == 10
    for name in names[3:]:
        site.replies[f"/docs/{name}"] = Reply(status=502)
    with pytest.raises(
        SourceError, match=r"5 pages in a row failed, the last /docs/7: it answers with status 502"
    ):
        paths(source())
    for name in names[3:]:
        site.replies[f"/docs/{name}"] = Reply(breaks=True)
    with pytest.raises(SourceError, match="it broke the connection off; try again later"):
        paths(source())


def test_a_website_that_turns_programs_away_half_way_is_an_error(site: Site, source: Make) -> None:
    names = [str(n) for n in range(9)]
    site.replies |= {"/docs/": page(*names)} | {f"/docs/{name}": Reply(status=403) for name in names}
    with pytest.raises(SourceError, match="status 403; let it be read, or exclude it"):
        paths(source())


def test_a_website_that_is_not_there(site: Site, source: Make) -> None:
    with pytest.raises(SourceError, match="it answers with status 404; correct `url`"):
        paths(source())
    with serving() as gone:
        url = gone.url
    with pytest.raises(SourceError, match=r"cannot be connected to \(connect"):
        paths(source(url=url))


def test_a_page_that_takes_too_long(source: Make) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(SourceError, match=r"it took longer than 0\.3 s"):
            paths(
                source(
                    url=f"http://127.0.0.1:{silent.getsockname()[1]}/", limits=Limits(seconds=0.3, pauses=())
                )
            )


def test_redirects_within_the_website_are_followed(site: Site, source: Make) -> None:
    site.replies |= {
        "/docs/": moved("/docs/en/"),
        "/docs/en/": page("old"),
        "/docs/old": moved("new", status=301),
        "/docs/en/old": moved("new"),
        "/docs/en/new": page(),
    }
    assert [file.uri.removeprefix(site.url) for file in source(depth=1).files()] == [
        "/docs/en/",
        "/docs/en/new",
    ]


def test_redirects_in_a_circle(site: Site, source: Make) -> None:
    site.replies |= {"/docs/": page("a"), "/docs/a": moved("b"), "/docs/b": moved("a")}
    assert paths(source()) == ["index.html"]


def test_redirects_lead_to_no_other_host(site: Site, source: Make) -> None:
    with serving() as other:
        other.replies["/docs/x"] = page(text="secret")
        site.replies |= {
            "/robots.txt": moved(f"{other.url}/robots.txt"),
            "/sitemap.xml": moved(f"{other.url}/sitemap.xml"),
            "/docs/": page("a", f"{other.url}/docs/x"),
            "/docs/a": moved(f"{other.url}/docs/x"),
        }
        assert paths(source()) == ["index.html"]
        site.replies["/docs/"] = moved(f"{other.url}/docs/x?token=hush")
        with pytest.raises(
            SourceError, match=r"leads to .*/docs/x, which is no part of it; give that as `url`"
        ) as caught:
            paths(source())
        assert "hush" not in str(caught.value)
        assert other.connections == 0


class Names(AbstractResolver):
    """Leads a name to one address after the other."""

    def __init__(self, *found: str) -> None:
        self._found = list(found)

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = self._found.pop(0) if len(self._found) > 1 else self._found[0]
        return [
            ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in found.split()
        ]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("found", ["127.0.0.1", "10.0.0.1 127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_names_that_lead_to_private_addresses(site: Site, source: Make, found: str) -> None:
    site.replies["/docs/"] = page()
    url = site.url.replace("127.0.0.1", "docs.example") + "/docs/"
    with pytest.raises(
        SourceError, match=r"docs\.example is at .*, which is a private address; set `allow_private"
    ):
        paths(source(url=url, allow_private=False, resolver=Names(found)))
    assert site.connections == 0
    assert len(paths(source(url=url, resolver=Names("127.0.0.1")))) == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"]
)
def test_addresses_that_are_private(site: Site, source: Make, host: str) -> None:
    site.replies["/docs/"] = page()
    with pytest.raises(SourceError):
        paths(source(url=site.url.replace("127.0.0.1", host) + "/docs/", allow_private=False))
    assert site.connections == 0


def test_a_name_that_leads_elsewhere_the_second_time(
    site: Site, source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """127.0.0.1 stands for the internet here, 127.0.0.2 for the private network."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    port = int(site.url.rpartition(":")[2])
    with serving("127.0.0.2", port=port) as inside:
        inside.replies |= {"/docs/": page(text="secret"), "/docs/a": page(text="secret")}
        site.replies |= {"/docs/": Reply(page("a").body, headers={"Connection": "close"}), "/docs/a": page()}
        one = source(
            url=f"http://docs.example:{port}/docs/",
            allow_private=False,
            resolver=Names("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2"),
        )
        site.replies["/robots.txt"] = Reply(b"", headers={"Connection": "close"})
        for name in ("/sitemap.xml", "/docs/sitemap.xml"):
            site.replies[name] = Reply(status=404, headers={"Connection": "close"})
        with pytest.raises(SourceError, match=r"is at 127\.0\.0\.2, which is a private address"):
            paths(one)
        assert site.paths == ["/docs/"]
        assert inside.connections == 0


def test_types_of_pages(site: Site, source: Make) -> None:
    site.replies |= {
        "/docs/": page("a.md", "b", "c.txt", "d.pdf", "e", "f.bin", "g.png", "h", "i.pdf"),
        "/docs/a.md": Reply(b"# A", "text/plain"),
        "/docs/b": Reply(b"# B", "text/markdown; charset=utf-8"),
        "/docs/c.txt": Reply("Müsli".encode("latin-1"), "text/plain; charset=iso-8859-1"),
        "/docs/d.pdf": Reply(b"%PDF-", "application/pdf"),
        "/docs/e": Reply(b"<html><p>e</p></html>", "application/xhtml+xml"),
        "/docs/f.bin": Reply(b"\0", "application/octet-stream"),
        "/docs/g.png": Reply(b"\0", "image/png"),
        "/docs/h": Reply(b"{}", "application/json"),
        "/docs/i.pdf": Reply(b"%PDF-", "application/octet-stream"),
    }
    files = {file.path: file.local.read_bytes() for file in source().files()}
    assert list(files) == ["index.html", "a.md", "b.md", "c.txt", "d.pdf", "e.html", "i.pdf"]
    assert files["c.txt"].decode() == "Müsli"
    assert "/docs/g.png" not in site.paths


def test_no_bytes_are_kept_of_a_page_that_is_too_large(site: Site, source: Make) -> None:
    bomb = Reply(gzip.compress(b"x" * 5_000_000), headers={"Content-Encoding": "gzip"})
    site.replies |= {"/docs/": page("bomb"), "/docs/bomb": bomb}
    assert paths(source(limits=Limits(size=1_000_000, pauses=()))) == ["index.html"]


def test_pages_become_documents_in_another_process(
    site: Site, source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(website, "Reader", Reader)
    text = "A night may cost 140 EUR with breakfast, and the bill names the firm. " * 3
    menu = "".join(f'<li><a href="/docs/{n}">Entry {n} of the menu</a></li>' for n in range(20))
    body = f"""<html><head><title>Hotels | Handbook</title><script>var nonce = 1</script></head><body>
      <div class="menu"><ul>{menu}</ul></div>
      <div class="page"><h1>Hotels</h1><p>{text}</p><h2 id="limits">Limits</h2>
      <table><tr><th>City</th><th>EUR</th></tr><tr><td>Bonn</td><td>140</td></tr></table>
      <pre><code>book --city Bonn</code></pre><p>{text}</p></div></body></html>"""
    site.replies["/docs/"] = Reply(body.encode())
    (file,) = source().files()
    with Loader() as loader:
        document = loader.load(file, loader.read(file), source="docs")
    assert document.title == "Hotels"
    assert document.uri == f"{site.url}/docs/"
    assert "| Bonn | 140 |" in document.text
    assert "book --city Bonn" in document.text
    assert "{#limits}" in document.text
    assert "Entry" not in document.text
    before = file.local.read_bytes()
    site.replies["/docs/"] = Reply(body.replace("nonce = 1", "nonce = 2").encode())
    assert [file.local.read_bytes() for file in source().files()] == [before], "nothing to embed anew"


def test_two_processes_do_not_read_it_at_once(
    site: Site, source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.replies["/docs/"] = page()
    monkeypatch.setattr(website, "fetching", partial(fetching, longest_wait=0.0))
    one = source()
    with (
        fetching(one.data_dir, source="docs", place="x"),
        pytest.raises(SourceError, match="another process is fetching it already"),
    ):
        paths(one)
    assert len(paths(one)) == 1
