"""Where Slack keeps files that came with a question; its bot token goes there and nowhere else."""

import aiohttp

from adapters.files import FileHost
from bot.messages import Attachment

FILE_HOST = "files.slack.com"


def slack_files(*, token: str, api_url: str) -> FileHost:
    return FileHost(
        platform="Slack",
        hosts=frozenset({FILE_HOST}),
        api_url=api_url,
        refused="give the app the scope files:read and install it again, or send the text itself.",
        headers={"Authorization": f"Bearer {token}"},
        is_page=_is_login_page,
    )


def _is_login_page(response: aiohttp.ClientResponse, file: Attachment) -> bool:
    """Without the scope Slack answers 200 and a page to sign in on."""
    return response.content_type == "text/html" and not file.name.lower().endswith((".html", ".htm"))
