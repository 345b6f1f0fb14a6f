import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from knowledge.sources.web.scope import Scope, document_path

START = "https://docs.example.org/guide/"


@pytest.mark.parametrize(
    ("start", "prefix"),
    [
        ("https://h", "/"),
        ("https://h/guide", "/guide/"),
        ("https://h/guide/", "/guide/"),
        ("https://h/guide/index.html", "/guide/"),
        ("https://h/v1.2", "/v1.2/"),
        ("https://h/wiki/index.php?title=Main", "/wiki/"),
    ],
)
def test_prefixes(start: str, prefix: str) -> None:
    assert Scope(URL(start)).prefix == prefix


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("a", "https://docs.example.org/guide/a"),
        (" a/b.html#part ", "https://docs.example.org/guide/a/b.html"),
        ("?page=2", "https://docs.example.org/guide/?page=2"),
        ("/guide", "https://docs.example.org/guide"),
        ("http://docs.example.org/guide/a", "https://docs.example.org/guide/a"),
        ("//docs.example.org/guide/a", "https://docs.example.org/guide/a"),
        ("HTTPS://DOCS.example.org:443/guide/x/../a", "https://docs.example.org/guide/a"),
        ("ü", "https://docs.example.org/guide/%C3%BC"),
        ("/", None),
        ("../x", None),
        ("/guidebook/", None),
        ("%2e%2e/x", None),
        ("..%2Fx", None),
        ("..%5cx", None),
        ("%252e%252e/x", None),
        ("//example.org/guide/", None),
        ("//docs.example.org.evil.example/guide/", None),
        ("https://docs.example.org:8443/guide/", None),
        ("https://ann:hush@docs.example.org/guide/", None),
        ("https://docs.example.org@evil.example/guide/", None),
        ("ftp://docs.example.org/guide/", None),
        ("javascript:alert(1)", None),
        ("mailto:ann@docs.example.org", None),
        ("https://[/guide/", None),
        ("a" * 3000, None),
    ],
)
def test_links(link: str, expected: str | None) -> None:
    found = Scope(URL(START)).resolve(link, URL(START))
    assert (str(found) if found else None) == expected


def test_a_website_without_tls_may_lead_to_itself_with_it() -> None:
    scope = Scope(URL("http://docs.example.org/"))
    assert scope.resolve("https://docs.example.org/a", scope.start) == URL("https://docs.example.org/a")
    assert Scope(URL("http://h:8080/")).resolve("https://h/", URL("http://h:8080/")) is None


parts = st.sampled_from(
    ["..", ".", "%2e%2e", "%2F", "%5C", "\\", "/", "//", "guide", "a", ":", "@", "?", "#", "evil.example",
     "docs.example.org", "https:", "http:", ":443", "%00", "\n", " ", "ü", "[", ";"]
)  # fmt: skip


@given(st.lists(parts, max_size=8).map("".join) | st.text(max_size=30))
def test_no_link_leads_out_of_the_website(link: str) -> None:
    scope = Scope(URL(START))
    found = scope.resolve(link, URL(START + "a/b"))
    if found is not None:
        assert (found.scheme, found.host, found.port) == ("https", "docs.example.org", 443)
        assert found.raw_path.startswith("/guide/") or found.raw_path == "/guide"
        assert ".." not in found.path.split("/")
        assert not found.fragment
        assert document_path(scope, found, ".html").encode()


@pytest.mark.parametrize(
    ("url", "suffix", "path"),
    [
        ("https://h/g/", ".html", "index.html"),
        ("https://h/g", ".html", "index.html"),
        ("https://h/g/a", ".html", "a.html"),
        ("https://h/g/a/", ".html", "a/index.html"),
        ("https://h/g/a.html", ".html", "a.html"),
        ("https://h/g/a.php?p=1", ".html", "a.php?p=1.html"),
        ("https://h/g/B.PDF", ".pdf", "B.PDF"),
        ("https://h/g/v1.2", ".html", "v1.2.html"),
        ("https://h/g/%C3%BCber%20uns", ".html", "über uns.html"),
        ("https://h/g/a%2Fb%00", ".html", "a%2Fb%00.html"),
    ],
)
def test_paths_of_documents(url: str, suffix: str, path: str) -> None:
    assert document_path(Scope(URL("https://h/g/")), URL(url), suffix) == path
