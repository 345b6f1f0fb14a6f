from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bot.errors import SettingsError
from bot.llm.access import KeyRequired, check_exposure, key_from


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_needs_no_key(host: str) -> None:
    check_exposure(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "gpu.internal", ""])  # noqa: S104
def test_other_machines_need_one(host: str) -> None:
    with pytest.raises(SettingsError, match="set PARLEY_MODEL_API_KEY"):
        check_exposure(host, None)
    check_exposure(host, "a key")


def test_the_key_comes_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from a file\n")
    assert key_from({}) is None
    assert key_from({"PARLEY_MODEL_API_KEY": "k"}) == "k"
    assert key_from({"PARLEY_MODEL_API_KEY_FILE": str(file)}) == "from a file"
    with pytest.raises(SettingsError, match="both set"):
        key_from({"PARLEY_MODEL_API_KEY": "k", "PARLEY_MODEL_API_KEY_FILE": str(file)})
    with pytest.raises(SettingsError, match="cannot be read"):
        key_from({"PARLEY_MODEL_API_KEY_FILE": str(tmp_path / "none")})
    file.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        key_from({"PARLEY_MODEL_API_KEY_FILE": str(file)})


async def test_only_the_key_opens() -> None:
    async def yes(_: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    app = Starlette(
        routes=[Route("/v1/models", yes), Route("/health", yes)],
        middleware=[Middleware(KeyRequired, key="schlüssel")],
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gpu:1") as client:

        async def status(header: bytes | None, path: str = "/v1/models") -> int:
            return (await client.get(path, headers={b"Authorization": header} if header else {})).status_code

        assert await status("Bearer schlüssel".encode()) == 200
        assert await status(None, "/health") == 200
        for wrong in (None, b"Bearer", b"Bearer x", "schlüssel".encode(), "Basic schlüssel".encode()):
            assert await status(wrong) == 401
        refused = await client.get("/v1/models")
        assert refused.json()["error"]["code"] == "invalid_api_key"
        assert refused.headers["WWW-Authenticate"] == "Bearer"
