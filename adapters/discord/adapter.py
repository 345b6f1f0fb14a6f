"""Discord as a chat platform: what the desk asks of a platform, and what `parley serve` runs.

Events come in through `gateway`, `listeners` and `interactions`; answers go out through `replies`.
"""

import asyncio
import logging
from dataclasses import replace
from typing import Any, ClassVar

import discord

from adapters.background import PlatformBackground
from adapters.discord import commands
from adapters.discord.announcing import announce
from adapters.discord.api import DiscordPace
from adapters.discord.checks import check_discord
from adapters.discord.errors import TRANSPORT_ERRORS, translated
from adapters.discord.events import PLATFORM, Way
from adapters.discord.gateway import SETTLE, Gateway, Health, patiently
from adapters.discord.interactions import Interactions
from adapters.discord.listeners import Listeners
from adapters.discord.missed import Missed
from adapters.discord.people import People
from adapters.discord.replies import Replies
from adapters.discord.threads import Threads
from adapters.files import FileHost, fetch_files
from adapters.votes import Votes
from bot.app import App
from bot.delivery import Reply, deliver
from bot.draft import Replay
from bot.errors import PlatformError, PlatformUnavailableError, SettingsError, UsageError
from bot.messages import IncomingMessage
from bot.plugins import Finding
from bot.telemetry import Figure

log = logging.getLogger(__name__)

FILE_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
COMMANDS_FILE = "discord-commands"
"""In the data directory: the commands that Discord knows, as a hash."""
HEARD_FILE = "discord-heard"
"""There too: up to which message nothing can have been missed."""
RECONNECT_AFTER = 5.0
NOT_YET = "Discord is not connected yet; try again later."


class DiscordAdapter:
    """Serves while the token of a Discord bot is in the environment."""

    name: ClassVar[str] = PLATFORM
    interactive: ClassVar[bool] = False

    def __init__(self, app: App, *, settle: float = SETTLE) -> None:
        """`settle`: see `Gateway`."""
        self._settle = settle
        self._app = app
        self._settings = app.settings.discord
        self._pace = DiscordPace()
        self._votes = Votes(PLATFORM, desk=app.desk, feedback=app.feedback)
        self._background = PlatformBackground("Discord", expected=TRANSPORT_ERRORS)
        self._sharing: set[str] = set()
        self._gateway: Gateway | None = None
        self._people: People | None = None
        self._replies: Replies | None = None
        self._has_joined = False
        app.telemetry.add(self._figures)

    @property
    def configured(self) -> bool:
        return self._settings.token is not None

    @property
    def health(self) -> Health | None:
        """How the connection is doing; None before there is any."""
        return self._gateway.health if self._gateway else None

    def _figures(self) -> list[Figure]:
        if (health := self.health) is None:
            return []
        return [
            Figure("discord_ready", "Whether the connection to Discord stands.", health.is_ready),
            Figure("discord_shards", "Connections to Discord.", health.shards),
            Figure("discord_heartbeat_seconds", "From a heartbeat to its answer.", health.latency),
            Figure("discord_sessions", "Sessions that were begun.", health.sessions, "counter"),
            Figure("discord_resumed", "Sessions that were resumed.", health.resumed, "counter"),
            Figure("discord_rate_limited", "Requests answered with 429.", health.rate_limited, "counter"),
        ]

    async def run(self) -> None:
        """Serve until cancelled; raises `SettingsError` when Discord refuses the token."""
        token = self._settings.token.get_secret_value() if self._settings.token else ""
        try:
            while True:
                application = await patiently(token, api_url=self._settings.api_url)
                try:
                    await self._serve(token, message_content=application.has_message_content)
                except TRANSPORT_ERRORS as error:
                    if self._has_joined:
                        raise  # discord.py has given the connection up: begin anew as a whole
                    log.warning("%s", translated(error, doing="connecting"))
                    await asyncio.sleep(RECONNECT_AFTER)
        finally:
            await self._background.close()

    async def _serve(self, token: str, *, message_content: bool) -> None:
        shards = self._settings.shards
        async with Gateway(message_content=message_content, shards=shards, settle=self._settle) as gateway:
            self._furnish(gateway)
            await gateway.login(token)
            await self._tell_commands(gateway)
            try:
                await self._missed.prepare()
                await gateway.connect()
            except discord.PrivilegedIntentsRequired as error:
                raise SettingsError(
                    "Discord does not grant the message content any more; start Parley again to do without it."
                ) from error

    def _furnish(self, gateway: Gateway) -> None:
        """Attach everything that listens."""
        desk = self._app.desk
        self._gateway, self._people = gateway, People(gateway, self._pace)
        threads = Threads(gateway, self._pace, self._app.feedback) if self._settings.open_threads else None
        self._replies = Replies(gateway, self._pace, desk.outbox, threads=threads)
        interactions = Interactions(
            desk=desk,
            votes=self._votes,
            background=self._background,
            share=self._share,
        )
        gateway.presses = interactions
        commands.add_commands(
            gateway.tree,
            assistant=self._app.settings.chat.assistant_name,
            listed=desk.commands,
            ask=interactions.ask,
            menu=interactions.menu,
            order=interactions.order,
        )
        listeners = Listeners(
            gateway, desk=desk, votes=self._votes, forums=self._settings.forums, ready=self._ready
        )
        listeners.attach()
        memory = self._app.settings.data_dir / HEARD_FILE
        self._missed = Missed(gateway, self._pace, desk.inbox, hear=listeners.hear_again, memory=memory)
        listeners.heard = self._missed.heard

        async def on_interaction(interaction: discord.Interaction[Any]) -> None:
            if interaction.type is discord.InteractionType.modal_submit:
                await interactions.submitted(interaction)

        gateway.event(on_interaction)

    async def _ready(self) -> None:
        """There is a new session: replies can be posted, and what was said before it has to be looked up."""
        if not self._has_joined:
            self._has_joined = True
            self._app.desk.join(self)
        await self._missed.look_up()

    async def _tell_commands(self, gateway: Gateway) -> None:
        try:
            await commands.sync(gateway.tree, memory=self._app.settings.data_dir / COMMANDS_FILE)
        except PlatformError as error:
            log.warning("Discord may not know the newest commands: %s", error)

    # What the desk asks.

    async def complete(self, message: IncomingMessage) -> IncomingMessage:
        if self._people is None:  # nothing can be shown, so nothing may be found either
            return replace(message, principals=frozenset())
        return await self._people.complete(message)

    async def fetch(self, message: IncomingMessage) -> list[tuple[str, bytes]]:
        host = FileHost(
            platform="Discord",
            hosts=FILE_HOSTS,
            api_url=self._settings.api_url,
            refused="its address is good for a day only; send it again.",
        )
        return await fetch_files(message.attachments, host)

    def reply(self, message: IncomingMessage) -> Reply:
        if self._replies is None:
            raise PlatformUnavailableError(NOT_YET)
        return self._replies.to(message)

    async def tell_admins(self, sentence: str) -> None:
        if self._settings.admin_channel is not None:
            await self.post(self._settings.admin_channel, discord.utils.escape_markdown(sentence))

    async def post(self, conversation_id: str, markdown: str) -> None:
        if self._gateway is None:
            raise PlatformUnavailableError(NOT_YET)
        await announce(self._gateway, self._pace, conversation_id, markdown)

    async def who_reads(self, conversation_id: str) -> frozenset[str]:
        if self._people is None:
            raise PlatformUnavailableError(NOT_YET)
        return self._people.readers(conversation_id)

    # Beside it.

    async def check(self) -> list[Finding]:
        """For `parley doctor`: the token, intents, permissions, the way of events, and a round trip."""
        return await check_discord(self._settings, is_limited=bool(self._app.settings.policy.workspaces))

    async def _share(self, turn_id: str, user_id: str) -> None:
        """Show a private answer to everybody where it was asked, if they all may see what it rests on."""
        asked = await asyncio.to_thread(self._app.desk.inbox.message, turn_id)
        if asked is None or asked.user_id != user_id or self._people is None:
            raise UsageError("Only the person who asked can share this answer, for as long as it is stored.")
        principals = self._people.channel_principals(asked)
        turn = await self._app.desk.shareable(turn_id, principals)
        if turn_id in self._sharing:
            return
        # A message of its own to the outbox, so that sharing twice shows it once.
        shared = replace(
            asked,
            event_id=f"shared:{asked.event_id}",
            is_private=False,
            addressed="mention",
            reply_to=str(Way(Way.of(asked).channel_id)),
        )
        quoted = "\n".join(f"> {line}" for line in turn.question.splitlines())
        self._sharing.add(turn_id)
        try:
            shown = replace(turn, answer=f"{quoted}\n\n{turn.answer}")
            await deliver(Replay(shown), shared, self.reply(shared))
        finally:
            self._sharing.discard(turn_id)
