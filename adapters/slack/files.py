"""Files that came with a question, fetched with the bot's token, which only Slack's own hosts ever get to see."""

from collections.abc import Iterable
from urllib.parse import urljoin, urlsplit

import aiohttp

from bot.errors import PlatformError, PlatformUnavailableError
from bot.messages import Attachment

MOST_BYTES = 20 * 1024 * 1024
"""Of one file."""
MOST_FILES = 5
FILE_HOST = "files.slack.com"
_REDIRECTS = 3
_SECONDS = 60.0


async def fetch_files(
    attachments: Iterable[Attachment], *, token: str, api_url: str
) -> list[tuple[str, bytes]]:
    """Names and contents; raises `PlatformError` naming the file that cannot be had."""
    wanted = list(attachments)
    if len(wanted) > MOST_FILES:
        raise PlatformError(f"I read up to {MOST_FILES} files at once; send me the ones that matter.")
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        return [(file.name, await _fetch(session, file, token=token, api_url=api_url)) for file in wanted]


async def _fetch(session: aiohttp.ClientSession, file: Attachment, *, token: str, api_url: str) -> bytes:
    if file.size > MOST_BYTES:
        raise _too_large(file)
    try:
        return await _download(session, file, token=token, api_url=api_url)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise PlatformUnavailableError(
            f"{file.name} could not be fetched from Slack; send it again."
        ) from error


async def _download(session: aiohttp.ClientSession, file: Attachment, *, token: str, api_url: str) -> bytes:
    url = file.url
    for _ in range(_REDIRECTS):
        if not _is_slacks(url, api_url=api_url):
            raise PlatformError(f"{file.name} is not stored in Slack, so I cannot read it; upload it here.")
        headers = {"Authorization": f"Bearer {token}"}
        # Followed by hand: aiohttp would ask the next host before anybody could look at it.
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            if location := response.headers.get("Location"):
                url = urljoin(url, location)
                continue
            if response.status != 200 or _is_login_page(response, file):  # noqa: PLR2004 - OK
                raise PlatformError(
                    f"Slack does not let me read {file.name}; give the app the scope files:read and install it "
                    "again, or send the text itself."
                )
            return await _read(response, file)
    raise PlatformError(f"{file.name} could not be fetched from Slack; send it again.")


async def _read(response: aiohttp.ClientResponse, file: Attachment) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_chunked(1 << 16):
        content += piece
        if len(content) > MOST_BYTES:
            raise _too_large(file)
    return bytes(content)


def _is_slacks(url: str, *, api_url: str) -> bool:
    """Whether the token may go there: to the files of Slack, or to the configured API itself."""
    there, api = urlsplit(url), urlsplit(api_url)
    if (there.scheme, there.hostname, there.port) == (api.scheme, api.hostname, api.port):
        return True
    return there.scheme == "https" and there.hostname == FILE_HOST and there.port in {None, 443}


def _is_login_page(response: aiohttp.ClientResponse, file: Attachment) -> bool:
    """Without the scope Slack answers 200 and a page to sign in on."""
    return response.content_type == "text/html" and not file.name.lower().endswith((".html", ".htm"))


def _too_large(file: Attachment) -> PlatformError:
    return PlatformError(
        f"{file.name} is larger than {MOST_BYTES >> 20} MB; send a smaller file, or the part that matters."
    )
