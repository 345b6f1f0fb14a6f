"""Slack as a chat platform: what the desk asks of a platform, and what `parley serve` runs.

Events come in through `connection` and `listeners`; answers go out through `reply`. With a bot token in the
environment it serves that one workspace; with the app's client id and secret, every workspace that installs it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import ClassVar, TypeVar

from adapters.files import fetch_files
from adapters.render import cleaned
from adapters.slack.blocks import escaped
from adapters.slack.checks import check_slack
from adapters.slack.connection import SILENCE, HttpServer, SocketConnection
from adapters.slack.contents import UNFOLDED, Content, written
from adapters.slack.errors import SlackRefusedError
from adapters.slack.events import Press
from adapters.slack.files import slack_files
from adapters.slack.installations import oauth_flow
from adapters.slack.listeners import Listeners
from adapters.slack.manifest import bot_name
from adapters.slack.reply import SlackReply
from adapters.slack.workspaces import Workspace, Workspaces
from bot.app import App
from bot.config import SlackSettings
from bot.delivery import Reply, deliver
from bot.draft import Replay
from bot.errors import PlatformError, SettingsError, UsageError
from bot.messages import IncomingMessage
from bot.plugins import Finding
from bot.telemetry import Figure

log = logging.getLogger(__name__)

T = TypeVar("T")

_NOWHERE = "No Slack workspace has installed the app; open /slack/install to do it."
_NOT_INSTALLED = "The Slack app is not installed in workspace {} any more; install it there again."


class SlackAdapter:
    """Serves while the tokens of a Slack app are in the environment."""

    name: ClassVar[str] = "slack"
    interactive: ClassVar[bool] = False

    def __init__(self, app: App, *, silence: float = SILENCE) -> None:
        """`silence`: seconds without a word from Slack after which it is connected to anew.

        Raises `SettingsError` when some of the tokens are there and others are missing, or do not go together.
        """
        self._app = app
        self._settings = app.settings.slack
        self._silence = silence
        if self.configured and (trouble := variables_trouble(self._settings)):
            raise SettingsError(trouble)
        name = bot_name(app.settings.chat.assistant_name)
        self._workspaces = Workspaces(self._settings, app.vault, bot_name=name)
        self._listeners = Listeners(
            desk=app.desk,
            feedback=app.feedback,
            workspaces=self._workspaces,
            share=self._share,
            prompts=self._settings.suggested_prompts,
        )
        self._sharing: set[str] = set()
        self.connection: SocketConnection | HttpServer | None = None
        """None before `run`."""
        app.telemetry.add(self._figures)

    @property
    def configured(self) -> bool:
        """Whether there is any token; what is missing beside it, the constructor says."""
        slack = self._settings
        return any(
            (slack.bot_token, slack.app_token, slack.signing_secret, slack.client_id, slack.client_secret)
        )

    def _figures(self) -> list[Figure]:
        if not isinstance(self.connection, SocketConnection):
            return []
        replaced = self.connection.replaced
        return [Figure("slack_connections_replaced", "Over which nothing came.", replaced, "counter")]

    async def run(self) -> None:
        """Serve until cancelled; raises `SettingsError` when Slack refuses a token or the port cannot be had."""
        async with self._workspaces.opened():
            self._app.desk.join(self)
            self.connection = self._connection()
            try:
                await self.connection.run()
            finally:
                await self._listeners.close()

    def _connection(self) -> SocketConnection | HttpServer:
        slack = self._settings
        secret = slack.signing_secret.get_secret_value() if slack.signing_secret else ""
        bolt = self._listeners.bolt(api_url=slack.api_url, signing_secret=secret)
        if slack.mode == "socket":
            token = slack.app_token.get_secret_value() if slack.app_token else ""
            return SocketConnection(
                bolt, app_token=token, client=self._workspaces.client(None), silence=self._silence
            )
        flow = None
        if slack.client_id and slack.client_secret:
            flow = oauth_flow(
                client_id=slack.client_id.get_secret_value(),
                client_secret=slack.client_secret.get_secret_value(),
                api_url=slack.api_url,
                installations=self._workspaces.installations,
                vault=self._app.vault,
            )
        return HttpServer(bolt, host=slack.http_host, port=slack.http_port, flow=flow)

    # What the desk asks.

    async def complete(self, message: IncomingMessage) -> IncomingMessage:
        workspace = self._workspaces.get(message.workspace_id)
        if workspace is None:  # nothing can be shown there, so nothing may be found either
            return replace(message, principals=frozenset())
        return await workspace.people.complete(message)

    async def fetch(self, message: IncomingMessage) -> list[tuple[str, bytes]]:
        workspace = self._workspaces.get(message.workspace_id)
        if workspace is None:
            raise PlatformError(_NOT_INSTALLED.format(message.workspace_id))
        token = workspace.client.token or ""
        host = slack_files(token=token, api_url=self._settings.api_url)
        return await fetch_files(message.attachments, host)

    def reply(self, message: IncomingMessage) -> Reply:
        """One for a workspace that has removed the app is refused by Slack when it says something."""
        workspace = self._workspaces.get(message.workspace_id)
        api = workspace.api if workspace else self._workspaces.api(self._workspaces.client(None))
        return SlackReply(
            message,
            api=api,
            outbox=self._app.desk.outbox,
            bot_user_id=workspace.bot_user_id if workspace else "",
        )

    async def tell_admins(self, sentence: str) -> None:
        """In `slack.admin_channel`, of whichever workspace has it; raises `PlatformError`."""
        if (channel := self._settings.admin_channel) is not None:
            await self._post(channel, [Content(escaped(sentence))])

    async def post(self, conversation_id: str, markdown: str) -> None:
        clean = await asyncio.to_thread(cleaned, markdown, question="")
        await self._post(conversation_id, written(clean))

    async def who_reads(self, conversation_id: str) -> frozenset[str]:
        return await self._where_it_is(lambda workspace: workspace.people.readers(conversation_id))

    async def _post(self, channel: str, contents: Sequence[Content]) -> None:
        async def post(workspace: Workspace) -> None:
            for content in contents:
                await workspace.api.call("chat.postMessage", {"channel": channel} | content.said | UNFOLDED)

        await self._where_it_is(post)

    async def _where_it_is(self, work: Callable[[Workspace], Awaitable[T]]) -> T:
        """Do it in the first workspace that does not refuse; raises the `PlatformError` of the last."""
        refused = PlatformError(_NOWHERE)
        for workspace in self._workspaces.all():
            try:
                return await work(workspace)
            except SlackRefusedError as error:
                refused = error
        raise refused

    # Beside it.

    async def check(self) -> list[Finding]:
        """For `parley doctor`: tokens, scopes, the way of events, and a round trip."""
        return await check_slack(self._settings, self._workspaces)

    async def _share(self, workspace: Workspace, press: Press) -> None:
        """Show a private answer to everybody where it was asked, if they all may see what it rests on."""
        turn_id = press.value
        asked = await asyncio.to_thread(self._app.desk.inbox.message, turn_id)
        if asked is None or asked.user_id != press.user_id:
            raise UsageError("Only the person who asked can share this answer, for as long as it is stored.")
        principals = await workspace.people.channel_principals(asked.conversation_id)
        turn = await self._app.desk.shareable(turn_id, principals)
        if turn_id in self._sharing:
            return
        # The same turn as before, so that sharing twice shows it once and votes on it are votes on the answer.
        shared = replace(asked, is_private=False, addressed="mention", reply_to="")
        quoted = "\n".join(f"> {line}" for line in turn.question.splitlines())
        self._sharing.add(turn_id)
        try:
            shown = replace(turn, answer=f"{quoted}\n\n{turn.answer}")
            await deliver(Replay(shown), shared, self.reply(shared))
        finally:
            self._sharing.discard(turn_id)


def variables_trouble(slack: SlackSettings) -> str:
    """What is missing in the environment or does not go together there, as a sentence; empty when all is well."""
    token = {"PARLEY_SLACK_BOT_TOKEN": slack.bot_token}
    oauth = {"PARLEY_SLACK_CLIENT_ID": slack.client_id, "PARLEY_SLACK_CLIENT_SECRET": slack.client_secret}
    given = " and ".join(variable for variable, value in oauth.items() if value)
    if given and slack.mode == "socket":
        return (
            'Several workspaces can install the app only with slack.mode = "http"; set that, or remove '
            f"{given} from the environment."
        )
    if given and slack.bot_token:
        return (
            "A bot token serves one workspace, a client id all that install the app; remove either "
            f"PARLEY_SLACK_BOT_TOKEN or {given} from the environment."
        )
    needed = oauth | {"PARLEY_SECRET_KEY": slack.secret_key} if given else token
    if slack.mode == "socket":
        needed |= {"PARLEY_SLACK_APP_TOKEN": slack.app_token}
    else:
        needed |= {"PARLEY_SLACK_SIGNING_SECRET": slack.signing_secret}
    missing = " and ".join(variable for variable, value in needed.items() if value is None)
    return missing and (
        f'Slack needs {missing} as well with slack.mode = "{slack.mode}"; `parley slack manifest` begins an app '
        "that has them."
    )
