"""Addresses in text: what a chat platform may make a link of by itself, and whether that is wanted.

Platforms differ in what they take for an address, and none documents it, so more is found here than any of them
links: everything with `://`, e-mail addresses, and words with a dot before a last part of letters, which can be
domains (`evil.example`, but `setup.py` too). The same eyes look at sources and at answers: what stands in a source is
allowed, whatever it is.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from html import unescape
from itertools import islice
from urllib.parse import quote, unquote, urlsplit

from feedback.records import SourceRecord

_ADDRESS = re.compile(
    r"""
    (?<![a-z0-9+.\-]) [a-z][a-z0-9+.\-]*+ :[/\\]{2} [^\s<>`]*
    |
    (?<![\w.\-~/\\@+%])
    (?= [\w.\-~/\\@+%]*? \w \. (?:xn--[\w\-]+|[^\W\d_]{2,}+) (?![^\W_]) )
    [\w.\-~/\\@+%]++ (?: [:?\#] [^\s<>`]* )?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_END = re.compile(r"""["'()\[\]{}|*,;]""")
_TRAILING = ".,;:!?'\"*_~|])}"
_MAIL = re.compile(r"[\w.+\-]+@[\w.\-]+")
_HOST = re.compile(r"[\w.\-]*(?::\d{1,5})?")
_MOST_ENDS = 8
_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*)://", re.IGNORECASE)
_MAILTO = re.compile(r"^mailto:", re.IGNORECASE)
_LINK = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)


def allowed_links(question: str, sources: Sequence[SourceRecord]) -> frozenset[str]:
    """The addresses that an answer may link to: those in the question and in the sources, in normal form.

    One with a fragment allows the page as a whole too.
    """
    texts = [question, *(f"{source.title}\n{source.heading}\n{source.text}" for source in sources)]
    texts += [unescape(text) for text in texts if "&" in text]
    found = [source.uri for source in sources]
    found += [prefix for text in texts for match in _ADDRESS.finditer(text) for prefix in _prefixes(match[0])]
    normal = {key for address in found if (key := normalised(address))}
    return frozenset(normal | {key.partition("#")[0] for key in normal} - {""})


def addresses(text: str, allowed: Collection[str]) -> Iterator[tuple[int, int, bool]]:
    """Where in `text` addresses stand, and whether they are among `allowed`, which are in normal form."""
    position = 0
    while found := _ADDRESS.search(text, position):
        start, run = found.start(), found[0]
        # What follows could belong to the address for others: `https://good.example"@evil.example`.
        known = (
            prefix
            for prefix in _prefixes(run)
            if prefix and normalised(prefix) in allowed and "@" not in run[len(prefix) :]
        )
        address = next(known, "")
        position = start + len(address or _trimmed(run) or run)
        yield start, position, bool(address)


def disallowed(text: str, allowed: Collection[str]) -> bool:
    """Whether there is an address in `text` that is not among `allowed`, which are in normal form."""
    return not all(is_allowed for _, _, is_allowed in addresses(text, allowed))


def may_link(href: str, allowed: Collection[str]) -> bool:
    """Whether a link may lead there: a page or an e-mail address among `allowed`."""
    return _LINK.match(href) is not None and normalised(href) in allowed


def normalised(address: str) -> str | None:
    """Two addresses of one place have the same normal form; it is one of its own.

    Neither `http` nor `https` counts, nor case in the host, a slash at the end, or what is percent-encoded. None for
    what is never linked: other schemes, a user's name before the host (`https://good.example@evil.example`), and
    characters that browsers drop or read as others.
    """
    address = address.strip()
    scheme = _SCHEME.match(address)
    if scheme and scheme[1].lower() not in {"http", "https"}:
        return None
    rest = address[scheme.end() :].lstrip("/") if scheme else _MAILTO.sub("", address)
    if scheme is None and _MAIL.fullmatch(rest):
        return rest.lower()
    try:
        parts = urlsplit(f"//{rest.removeprefix('//')}")
    except ValueError:
        return None
    host = re.sub(r":(?:80|443)$", "", parts.netloc.lower()).rstrip(".")
    if not _HOST.fullmatch(host) or not rest.isprintable() or "\\" in rest:
        return None
    path, query, fragment = (quote(unquote(part), safe="/:@!$&'()*+,;=~") for part in parts[2:])
    key = host + path.rstrip("/") + (query and f"?{query}") + (fragment and f"#{fragment}")
    return key or None


def _prefixes(run: str) -> Iterator[str]:
    """What of a run of characters can be the address: without the punctuation after it, longest first."""
    yield _trimmed(run)
    for match in islice(_END.finditer(run), _MOST_ENDS):
        yield _trimmed(run[: match.start()])


def _trimmed(run: str) -> str:
    while run and run[-1] in _TRAILING:
        if run[-1] == ")" and run.count("(") >= run.count(")"):
            break
        run = run[:-1]
    return run
