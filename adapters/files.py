"""Files that came with a question, fetched from the hosts of their platform and from nowhere else."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

import aiohttp

from bot.errors import PlatformError, PlatformUnavailableError
from bot.messages import Attachment

MOST_BYTES = 20 * 1024 * 1024
"""Of one file."""
MOST_FILES = 5
_REDIRECTS = 3
_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHost:
    """Where a platform keeps its files, and how they are asked for."""

    platform: str
    """Its name as people know it."""
    hosts: frozenset[str]
    api_url: str
    """Files may also be where the configured API is."""
    refused: str
    """What to do when the platform does not give a file, after "Slack does not let me read notes.md; "."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent to these hosts only."""
    is_page: Callable[[aiohttp.ClientResponse, Attachment], bool] = lambda _, __: False
    """Whether a file that seems to be given is only a page that says something else."""

    def owns(self, url: str) -> bool:
        there, api = urlsplit(url), urlsplit(self.api_url)
        if (there.scheme, there.hostname, there.port) == (api.scheme, api.hostname, api.port):
            return True
        return there.scheme == "https" and there.hostname in self.hosts and there.port in {None, 443}


async def fetch_files(attachments: Iterable[Attachment], host: FileHost) -> list[tuple[str, bytes]]:
    """Names and contents; raises `PlatformError` naming the file that cannot be had."""
    wanted = list(attachments)
    if len(wanted) > MOST_FILES:
        raise PlatformError(f"I read up to {MOST_FILES} files at once; send me the ones that matter.")
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        return [(file.name, await _fetch(session, file, host)) for file in wanted]


async def _fetch(session: aiohttp.ClientSession, file: Attachment, host: FileHost) -> bytes:
    if file.size > MOST_BYTES:
        raise _too_large(file)
    try:
        return await _download(session, file, host)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise PlatformUnavailableError(
            f"{file.name} could not be fetched from {host.platform}; send it again."
        ) from error


async def _download(session: aiohttp.ClientSession, file: Attachment, host: FileHost) -> bytes:
    url = file.url
    for _ in range(_REDIRECTS):
        if not host.owns(url):
            raise PlatformError(
                f"{file.name} is not stored in {host.platform}, so I cannot read it; upload it here."
            )
        # Followed by hand: aiohttp would ask the next host before anybody could look at it.
        async with session.get(url, headers=host.headers, allow_redirects=False) as response:
            if location := response.headers.get("Location"):
                url = urljoin(url, location)
                continue
            if response.status != HTTPStatus.OK or host.is_page(response, file):
                raise PlatformError(f"{host.platform} does not let me read {file.name}; {host.refused}")
            return await _read(response, file)
    raise PlatformError(f"{file.name} could not be fetched from {host.platform}; send it again.")


async def _read(response: aiohttp.ClientResponse, file: Attachment) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_chunked(1 << 16):
        content += piece
        if len(content) > MOST_BYTES:
            raise _too_large(file)
    return bytes(content)


def _too_large(file: Attachment) -> PlatformError:
    return PlatformError(
        f"{file.name} is larger than {MOST_BYTES >> 20} MB; send a smaller file, or the part that matters."
    )
