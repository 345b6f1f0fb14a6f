"""Requests to one website: at its pace, to its host only, to allowed addresses only, with limits on size and time.

Redirects are not followed but told of, so that whoever asked decides. No cookies are kept, and no proxy is used.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from yarl import URL

from knowledge.sources.web.addresses import Guard
from knowledge.sources.web.scope import Scope

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

AGENT = "ParleyBot"
_LONGEST_WAIT = 60.0
"""Seconds to wait when a website asks for patience."""
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_FAILED = 500
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LONGEST_CHAIN = 5


class TroubleError(Exception):
    """One page cannot be had now; the message says why, for the end of a sentence."""


class UnreachableError(Exception):
    """The website cannot be reached at all; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one page."""

    size: int = 20_000_000
    """Bytes, unpacked."""
    seconds: float = 30.0
    pauses: Sequence[float] = (1.0, 5.0)
    """Seconds before each further attempt, unless the website says more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came for one request."""

    url: URL
    status: int
    """Below 500."""
    type: str
    """Such as "text/html"; empty when the website does not say."""
    charset: str
    etag: str
    modified: str
    moved: str
    """Where a redirect leads, as it was written; empty when it is none."""
    body: bytes
    """Empty when it was not wanted."""


class Fetcher:
    """A context manager, because it owns connections; one request at a time."""

    def __init__(
        self,
        scope: Scope,
        *,
        rate: float = 2.0,
        allow_private: bool = False,
        limits: Limits | None = None,
        resolver: "AbstractResolver | None" = None,
    ) -> None:
        """`rate` is the most requests in a second; `resolver` finds the addresses of names."""
        self._scope = scope
        self._limits = limits or Limits()
        self._guard = Guard(allow_private=allow_private)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self.pace(1 / rate)

    def pace(self, seconds: float) -> None:
        """Let that many seconds pass between two requests from now on."""
        from aiolimiter import AsyncLimiter

        self._limiter = AsyncLimiter(1, seconds)

    async def __aenter__(self) -> Self:
        import aiohttp

        connector = aiohttp.TCPConnector(
            socket_factory=self._guard, resolver=self._resolver, use_dns_cache=False
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._limits.seconds),
            headers={"User-Agent": f"{AGENT} (reads its team's documents)"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def get(
        self, url: URL, *, etag: str = "", modified: str = "", wants: Callable[[str], bool] = lambda _: True
    ) -> Answer:
        """One page; 304 when it is as it was with that `etag`, or since it was `modified`.

        The body is read only of types that somebody `wants`. Raises TroubleError and UnreachableError.
        """
        if not self._scope.is_on_site(url):
            raise TroubleError("it is on another host")
        headers = {}
        if etag:
            headers["If-None-Match"] = etag
        if modified:
            headers["If-Modified-Since"] = modified
        pauses = iter(self._limits.pauses)
        while True:
            await self._limiter.acquire()
            try:
                answer, patience = await self._ask(url, headers, wants)
                if answer.status not in _TRY_AGAIN:
                    if answer.status >= _FAILED:
                        raise TroubleError(f"it answers with status {answer.status}")
                    return answer
                failed: Exception = TroubleError(f"it answers with status {answer.status}")
            except (_TimedOutError, UnreachableError) as error:
                failed, patience = error, 0.0
            pause = next(pauses, None)
            if pause is None or self._guard.refused:
                raise failed
            await asyncio.sleep(max(pause, min(patience, _LONGEST_WAIT)))

    async def follow(self, url: URL) -> Answer | None:
        """What is at an address of the host or where it leads there; None when it leads elsewhere or is not there.

        Raises TroubleError and UnreachableError.
        """
        for _ in range(_LONGEST_CHAIN):
            answer = await self.get(url)
            if not answer.moved:
                return answer if answer.status == 200 else None  # noqa: PLR2004 - OK
            target = self._scope.resolve_on_site(answer.moved, url)
            if target is None:
                return None
            url = target
        return None

    async def _ask(
        self, url: URL, headers: dict[str, str], wants: Callable[[str], bool]
    ) -> tuple[Answer, float]:
        """The answer, and how many seconds to wait before the next attempt."""
        import aiohttp

        assert self._session is not None, "use it in an `async with` block"  # noqa: S101
        self._guard.refused = None
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                is_page = response.status == 200 and wants(kind)  # noqa: PLR2004 - OK
                body = await self._read(response) if is_page else b""
                if not is_page:
                    response.close()
                moved = response.headers.get("Location", "") if response.status in _REDIRECTS else ""
                return Answer(
                    url=url,
                    status=response.status,
                    type=kind,
                    charset=response.charset or "",
                    etag=response.headers.get("ETag", ""),
                    modified=response.headers.get("Last-Modified", ""),
                    moved=moved,
                    body=body,
                ), _patience(response.headers.get("Retry-After", ""))
        except TimeoutError as error:
            raise _TimedOutError(f"it took longer than {self._limits.seconds:g} s") from error
        except aiohttp.ClientConnectorDNSError as error:
            raise UnreachableError(
                f"the name {url.host} is not known; check `url` and the network"
            ) from error
        except aiohttp.ClientSSLError as error:
            raise UnreachableError(
                "its certificate is not accepted; mend it, or let SSL_CERT_FILE name a file with its authority"
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise self._unreachable(url, error) from error
        except aiohttp.ClientResponseError as error:
            raise TroubleError("what it answers is no HTTP") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError("it broke the connection off; try again later") from error

    async def _read(self, response: "aiohttp.ClientResponse") -> bytes:
        body = bytearray()
        too_large = TroubleError(f"it is larger than {self._limits.size / 1e6:g} MB")
        if (response.content_length or 0) > self._limits.size:
            raise too_large
        async for piece in response.content.iter_chunked(1 << 16):
            body += piece
            if len(body) > self._limits.size:
                raise too_large
        return bytes(body)

    def _unreachable(self, url: URL, error: "aiohttp.ClientConnectorError") -> UnreachableError:
        if self._guard.refused:
            return UnreachableError(
                f"{url.host} is at {self._guard.refused}, which is a private address; set `allow_private = true` if it "
                "is meant"
            )
        reason = (error.os_error.strerror or type(error.os_error).__name__).lower()
        return UnreachableError(f"it cannot be connected to ({reason}); check `url` and the network")


class _TimedOutError(TroubleError):
    pass


def _patience(header: str) -> float:
    return float(header) if header.strip().isdecimal() else 0.0
