"""Which addresses an answer may lead to."""

import time

import pytest

from adapters.addresses import addresses, allowed_links, may_link, normalised
from feedback.records import SourceRecord


def source(text: str = "", *, uri: str = "docs/travel.md", title: str = "Travel") -> SourceRecord:
    return SourceRecord(n=1, chunk_id="c", title=title, heading="", uri=uri, score=1.0, text=text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.example/docs", "HTTP://A.Example:443/docs/"),
        ("https://a.example/%7Eme", "https://a.example/~me"),
        ("https://a.example", "a.example/"),
        ("mailto:Me@a.example", "me@A.example"),
        ("docs/setup.py", "docs/setup.py"),
    ],
)
def test_addresses_of_one_place_are_the_same(one: str, other: str) -> None:
    key = normalised(one)
    assert key is not None
    assert normalised(other) == key
    assert normalised(key) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.example/docs", "https://a.example/Docs"),
        ("https://a.example/docs?a=1", "https://a.example/docs?a=2"),
        ("https://a.example/docs#one", "https://a.example/docs#two"),
        ("https://a.example", "https://a.example:8443"),
        ("https://a.example", "https://a.example.evil.example"),
        ("https://a.example", "https://а.example"),  # the second begins with a Cyrillic letter
    ],
)
def test_addresses_of_different_places_differ(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "javascript:alert(1)",
        "ftp://a.example",
        "javascript://a.example/%0aalert(1)",
        "https://a.example@evil.example",
        "https://me:secret@a.example",
        "https://a.example\\@evil.example",
        "https://a.example/\u200b",
        "https://a.exa\tmple",
        "https://[::1",
        "https://a.example:x/",
    ],
)
def test_some_addresses_are_never_allowed(address: str) -> None:
    assert normalised(address) is None


def test_what_stands_in_the_question_or_in_a_source_is_allowed() -> None:
    allowed = allowed_links(
        "Is https://asked.example/page still right?",
        [
            source("See [the form](https://a.example/form_(new)), or write to help@a.example."),
            source("| https://b.example/x?a=1&amp;b=2 | `setup.py` |"),
            source(uri="https://wiki.example/Travel#hotels"),
        ],
    )
    for address in (
        "https://asked.example/page",
        "https://a.example/form_(new)",
        "mailto:help@a.example",
        "https://b.example/x?a=1&b=2",
        "https://wiki.example/Travel#hotels",
        "https://wiki.example/Travel",
    ):
        assert may_link(address, allowed), address
    assert normalised("setup.py") in allowed
    assert not may_link("https://wiki.example", allowed)
    assert not may_link("docs/travel.md", allowed)


def found(text: str, *allowed: str) -> list[str]:
    return [text[start:end] for start, end, is_allowed in addresses(text, allowed) if not is_allowed]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://a.example/b_(c)).", ["https://a.example/b_(c)"]),
        ("**https://a.example**, x", ["https://a.example"]),
        ("in docs/setup.py: the", ["docs/setup.py"]),
        ("me.too+x@a.example!", ["me.too+x@a.example"]),
        ("tls://x and éhttps://a", ["tls://x", "https://a"]),
        ("U.S. e.g. 3.5 v1.2 wait...what and/or 12:30 a.m. Ph.D", []),
        ("ok.example and ok.example/other", ["ok.example/other"]),
        ("(https://ok.example)[1], https://ok.example|x", []),
        ('https://ok.example"@evil.example', ['https://ok.example"@evil.example']),
        ("https://ok.example,https://evil.example", ["https://evil.example"]),
    ],
)
def test_addresses_in_text(text: str, expected: list[str]) -> None:
    assert found(text, "ok.example") == expected


@pytest.mark.parametrize(
    "unit", ["a", "a.", "a/", "@", "a:", ".ab", "a.bb", "a.bb,", "https://", "https://(", "a@"]
)
def test_long_nonsense_takes_no_time(unit: str) -> None:
    start = time.perf_counter()
    list(addresses(unit * 6000, frozenset()))
    assert time.perf_counter() - start < 2
