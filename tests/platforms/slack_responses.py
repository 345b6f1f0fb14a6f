"""Response addresses: what interactions and slash commands bring along so that the app can answer outside the API.

Each takes five answers within thirty minutes, as Slack documents; a sixth gets 404 ``used_url``.
"""

import time
from dataclasses import dataclass

from aiohttp import web

from tests.platforms.slack_chat import announce, change, check_mentions, content
from tests.platforms.slack_state import Json, Message, Workspace
from tests.platforms.slack_web_api import ApiError, Arguments, WebApi

USES = 5
SECONDS = 30 * 60


@dataclass
class _Address:
    workspace: Workspace
    channel: str
    user: str
    message: Message | None
    until: float
    uses: int = 0


class Responses:
    def __init__(self, api: WebApi) -> None:
        self.api = api
        self._addresses: dict[str, _Address] = {}

    def url(self, workspace: Workspace, channel: str, user: str, message: Message | None = None) -> str:
        """A new address for answers to `user` in `channel` about `message`."""
        key = f"{workspace.id}/{self.api.state.number()}/{self.api.state.id('r')}"
        self._addresses[key] = _Address(workspace, channel, user, message, time.monotonic() + SECONDS)
        return f"{self.api.base_url}/response/{key}"

    async def handle(self, request: web.Request) -> web.Response:
        address = self._addresses.get(request.match_info["key"])
        if address is None or time.monotonic() > address.until:
            return web.Response(status=404, text="expired_url")
        if address.uses >= USES:
            return web.Response(status=404, text="used_url")
        address.uses += 1
        try:
            self.answer(address, Arguments(await request.json()))
        except ApiError as error:
            return web.json_response(error.answer, status=400)
        return web.Response(text="ok")

    def reply(self, workspace: Workspace, channel: str, user: str, payload: Json) -> None:
        """Take the message with which a slash command was acknowledged."""
        self.answer(_Address(workspace, channel, user, None, time.monotonic() + SECONDS), Arguments(payload))

    def answer(self, address: _Address, args: Arguments) -> None:
        original = address.message
        if original and args.flag("delete_original"):
            original.deleted = True
            return
        text, markdown, blocks = content(self.api, "response_url", args)
        if original and args.flag("replace_original"):
            before = self.api.wire(original)
            change(original, text, markdown, blocks)
            check_mentions(self.api, "response_url", original, args, address.user)
            if not original.ephemeral_to:
                changed = {"message": self.api.wire(original), "previous_message": before}
                announce(self.api, address.workspace, original, {"subtype": "message_changed"} | changed)
            return
        private = args.get("response_type") != "in_channel"
        message = Message(
            address.channel,
            self.api.state.ts(),
            address.workspace.bot.id,
            raw_text=text,
            markdown=markdown,
            blocks=blocks,
            thread_ts=args.get("thread_ts"),
            bot_id=address.workspace.bot.bot_id,
            ephemeral_to=address.user if private else None,
        )
        self.api.state.add(message)
        check_mentions(self.api, "response_url", message, args, address.user)
        if not private:
            announce(self.api, address.workspace, message)
