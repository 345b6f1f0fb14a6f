"""The reply that belongs to a message: where it is shown, and what may be part of it there. Asks Discord nothing."""

from collections.abc import Awaitable, Callable

from adapters.discord.aloud import Aloud
from adapters.discord.events import Way
from adapters.discord.gateway import Gateway
from adapters.discord.homes import ChannelHome, Home, WhisperHome
from adapters.discord.reply import DiscordReply
from adapters.discord.signs import Typing
from adapters.discord.threads import Threads
from adapters.pacing import Pace
from bot.messages import IncomingMessage
from bot.outbox import Outbox


class Replies:
    """Makes them, over one connection."""

    def __init__(self, gateway: Gateway, pace: Pace, outbox: Outbox, *, threads: Threads | None) -> None:
        """`threads` opens them on long talks; None: none are opened."""
        self._gateway = gateway
        self._pace = pace
        self._outbox = outbox
        self._threads = threads

    def to(self, message: IncomingMessage) -> DiscordReply:
        way = Way.of(message)
        whispered = bool(message.is_private and way.token)
        channel = self._channel_home(message, way)
        home: Home = channel
        aloud = None
        if whispered:
            home = whisper = self._whisper_home(message, way)
            if not message.workspace_id or self._is_in(message, way):
                aloud = Aloud(message, home=channel, whisper=whisper, outbox=self._outbox)
        return DiscordReply(
            message,
            home=home,
            outbox=self._outbox,
            pace=self._pace,
            typing=Typing(self._gateway, self._pace, channel_id="" if whispered else way.channel_id),
            aloud=aloud,
            can_embed=whispered or self._may_embed(message, way),
            can_share=whispered and self._is_in(message, way),
            opened=self._opened(message),
        )

    def _whisper_home(self, message: IncomingMessage, way: Way) -> WhisperHome:
        return WhisperHome(
            self._gateway,
            self._pace,
            way=way,
            user_id=message.user_id,
            event_id=message.event_id,
            turn_id=message.turn_id,
        )

    def _channel_home(self, message: IncomingMessage, way: Way) -> ChannelHome:
        return ChannelHome(
            self._gateway,
            self._pace,
            channel_id=way.channel_id,
            question_id=way.question_id,
            turn_id=message.turn_id,
            since=message.event_id.rpartition(":")[2],
        )

    def _is_in(self, message: IncomingMessage, way: Way) -> bool:
        """Whether the bot is itself a member where that was said."""
        guild = self._gateway.get_guild(int(message.workspace_id)) if message.workspace_id else None
        return guild is not None and guild.get_channel_or_thread(int(way.channel_id or 0)) is not None

    def _may_embed(self, message: IncomingMessage, way: Way) -> bool:
        guild = self._gateway.get_guild(int(message.workspace_id)) if message.workspace_id else None
        channel = guild.get_channel_or_thread(int(way.channel_id)) if guild else None
        return guild is None or channel is None or channel.permissions_for(guild.me).embed_links

    def _opened(self, message: IncomingMessage) -> Callable[[str], Awaitable[None]] | None:
        threads = self._threads
        return None if threads is None else lambda ref: threads.opened(message, ref)
