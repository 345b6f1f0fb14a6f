"""Who may use the model server: a key on the network, nobody asked on a Unix socket of one's own."""

import hmac
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.errors import SettingsError
from bot.llm import wire

VARIABLE = "PARLEY_MODEL_API_KEY"
OPEN_PATHS = frozenset({"/health"})
"""Asked by load balancers, which have no key; nothing there is worth protecting."""


class KeyRequired:
    """Lets requests through that carry the key as `Authorization: Bearer`, and all that come over a Unix socket."""

    def __init__(self, app: ASGIApp, *, key: str) -> None:
        self._app = app
        self._expected = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"]).get(b"authorization", b"")
        _, port = scope.get("server") or ("", 0)
        over_a_socket = port is None  # which only its owner can open
        if over_a_socket or scope["path"] in OPEN_PATHS or hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
            return
        body = wire.error("The key is missing or wrong.", status=401, code="invalid_api_key")
        refusal = JSONResponse(body, status_code=401, headers={"WWW-Authenticate": "Bearer"})
        await refusal(scope, receive, send)


def key_from(environ: Mapping[str, str] = os.environ) -> str | None:
    """The key that `PARLEY_MODEL_API_KEY` holds, or the file that `PARLEY_MODEL_API_KEY_FILE` names.

    Raises:
        SettingsError: both are set, or the file cannot be read or is empty.
    """
    value, holder = environ.get(VARIABLE), environ.get(f"{VARIABLE}_FILE")
    if value and holder:
        raise SettingsError(f"{VARIABLE} and {VARIABLE}_FILE are both set; keep one of them.")
    if holder:
        try:
            value = Path(holder).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{VARIABLE}_FILE names {holder}, which cannot be read.") from error
        if not value:
            raise SettingsError(f"{VARIABLE}_FILE names {holder}, which is empty; write the key into it.")
    return value or None


def check_exposure(host: str, key: str | None) -> None:
    """Refuse to let a whole network use the model without a key.

    Raises:
        SettingsError: `host` is reachable from other machines, and there is no key.
    """
    if key is None and not _is_local(host):
        raise SettingsError(
            f"Listening on {host} lets others in: set {VARIABLE} to a key of your choice, or use --host 127.0.0.1."
        )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
