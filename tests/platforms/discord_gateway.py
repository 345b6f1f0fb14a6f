"""The gateway: sessions, their connections, and the events that flow over them, in order.

Each session numbers its events and keeps them, so that a bot whose connection broke gets the missed ones when it
resumes. What happens while there is no session at all is not delivered, as on Discord. Compression is zlib-stream
when the bot asks for it and none otherwise, also when it asks for zstd-stream, which discord.py accepts.
"""

import asyncio
import json
import time
import zlib
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from tests.platforms.discord_model import Guild, Json
from tests.platforms.discord_sessions import Connection, Event, Session
from tests.platforms.discord_state import GUILD_MEMBERS, GUILD_PRESENCES, MESSAGE_CONTENT, State

Make = Callable[[int], Json | None]
"""Makes an event's data for a session with these intents; None when that session does not get it."""

ANYTHING = 0
GUILDS, MEMBERS = 1 << 0, 1 << 1
GUILD_MESSAGES, GUILD_REACTIONS, GUILD_TYPING = 1 << 9, 1 << 10, 1 << 11
DIRECT_MESSAGES, DIRECT_REACTIONS, DIRECT_TYPING = 1 << 12, 1 << 13, 1 << 14
"""The intents that events belong to; ANYTHING for events that every session gets."""

_PRIVILEGED = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT
_GREETING = frozenset({"READY", "GUILD_CREATE", "RESUMED"})


class _Close(Exception):  # noqa: N818
    """Ends a connection with one of Discord's close codes."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Gateway:
    """Tests may change the public settings while it runs."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.heartbeat_interval = 41.25
        """Seconds between the heartbeats that the bot is asked for; without one for twice as long it is cut off."""
        self.shards = 1
        """How many GET /gateway/bot recommends."""
        self.resumable = True
        """Whether sessions can be resumed; otherwise RESUME is answered with INVALID_SESSION."""
        self.connections: list[Connection] = []
        self.sessions: dict[str, Session] = {}
        self.identifies: list[Json] = []
        """Every IDENTIFY that was accepted."""
        self.resumes: list[Json] = []
        self.joins: Callable[[Guild], Json] = lambda guild: guild.wire(state)
        """What GUILD_CREATE says of a guild."""
        self._rewind = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self.connections):
            await connection.socket.close(code=WSCloseCode.GOING_AWAY)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, ConnectionError):
            self.state.violations.append(f"the local Discord failed: {error!r}")

    # Events

    def dispatch(self, name: str, make: Make, *, guild: str, intent: int) -> list[Session]:
        """Send an event to every session of the right shard that has the intent; gives those sessions."""
        reached = []
        for session in self.sessions.values():
            if not session.owns(guild) or (intent and not session.intents & intent):
                continue
            data = make(session.intents)
            if data is not None:
                session.keep(name, json.loads(json.dumps(data)))
                reached.append(session)
        return reached

    @property
    def events(self) -> list[Event]:
        return [event for session in self.sessions.values() for event in session.events]

    def deliver_again(self, *names: str) -> int:
        """Send what was sent already once more, as new events; only events called so when names are given."""
        count = 0
        for session in self.sessions.values():
            for event in list(session.events):
                if event.name not in _GREETING and (not names or event.name in names):
                    session.keep(event.name, event.data)
                    count += 1
        return count

    # Trouble

    def drop(self) -> None:
        for connection in list(self.connections):
            if connection.session:
                connection.session.connection = None
            if connection.transport:
                connection.transport.abort()

    def replay(self, events: int) -> None:
        """Cut the connections, and when the bot resumes, start `events` before what it says it has seen."""
        self._rewind = events
        self.drop()

    def reconnect(self) -> None:
        for connection in self.connections:
            connection.send({"op": 7, "d": None})

    def invalidate(self, *, resumable: bool) -> None:
        for connection in self.connections:
            if not resumable and connection.session:
                self.sessions.pop(connection.session.id, None)
            connection.send({"op": 9, "d": resumable})

    # One connection

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=1.0, compress=False)
        await socket.prepare(request)
        connection = Connection(socket, request.transport)
        if request.query.get("compress") == "zlib-stream":
            connection.compressor = zlib.compressobj()
        self.connections.append(connection)
        connection.send({"op": 10, "d": {"heartbeat_interval": int(self.heartbeat_interval * 1000)}})
        tasks = [self.spawn(connection.write()), self.spawn(self._watch(connection))]
        try:
            await self._listen(connection, request.query.get("v", ""))
        except _Close as goodbye:
            await asyncio.wait({tasks[0], self.spawn(connection.said())}, return_when=asyncio.FIRST_COMPLETED)
            await socket.close(code=goodbye.code, message=str(goodbye).encode())
        finally:
            for task in tasks:
                task.cancel()
            self.connections.remove(connection)
            self._leave(connection)
        return socket

    def _leave(self, connection: Connection) -> None:
        session = connection.session
        if session and session.connection is connection:
            session.connection = None
            if connection.socket.close_code in {WSCloseCode.OK, WSCloseCode.GOING_AWAY}:
                self.sessions.pop(session.id, None)

    async def _watch(self, connection: Connection) -> None:
        """Cut off a bot whose heartbeats stop: its event loop is blocked or it is gone."""
        while True:
            allowed = 2 * self.heartbeat_interval
            await asyncio.sleep(min(allowed / 4, 1.0))
            if time.monotonic() - connection.beat > allowed and not connection.deaf:
                self.state.violations.append(f"gateway: no heartbeat for {allowed} s")
                await connection.socket.close(code=4009, message=b"session timed out")
                return

    async def _listen(self, connection: Connection, version: str) -> None:
        if version != "10":
            raise _Close(4012, "invalid API version")
        async for message in connection.socket:
            if message.type is not WSMsgType.TEXT:
                raise _Close(4002, "decode error")
            try:
                payload = json.loads(message.data)
                operation, data = payload["op"], payload.get("d")
            except (ValueError, KeyError, TypeError):
                raise _Close(4002, "decode error") from None
            if operation != 1:  # Discord counts heartbeats too, but tests have them beat fast
                self._count(connection)
            self._take(connection, operation, data)

    def _count(self, connection: Connection) -> None:
        at = time.monotonic()
        connection.received = [one for one in connection.received if one > at - 60] + [at]
        if len(connection.received) > 120:
            self.state.violations.append("gateway: more than 120 payloads in a minute")
            raise _Close(4008, "rate limited")

    def _take(self, connection: Connection, operation: int, data: Any) -> None:
        if operation == 1:
            connection.beat = time.monotonic()
            connection.send({"op": 11})
        elif operation == 2:
            self._identify(connection, data)
        elif operation == 6:
            self._resume(connection, data)
        elif connection.session is None:
            raise _Close(4003, "not authenticated")
        elif operation == 8:
            self._members(connection.session, data)
        elif operation not in {3, 4}:
            raise _Close(4001, "unknown opcode")

    def _identify(self, connection: Connection, data: Json) -> None:
        if connection.session:
            raise _Close(4005, "already authenticated")
        if data.get("token") != self.state.token:
            raise _Close(4004, "authentication failed")
        shard, shards = data.get("shard") or (0, 1)
        if not 0 <= shard < shards:
            raise _Close(4010, "invalid shard")
        intents = data.get("intents")
        if not isinstance(intents, int) or intents < 0 or intents >= 1 << 26:
            raise _Close(4013, "invalid intents")
        if intents & _PRIVILEGED & ~self.state.privileged:
            raise _Close(4014, "disallowed intents")
        self.identifies.append(data)
        for old in [one for one in self.sessions.values() if one.connection is None and one.shard == shard]:
            del self.sessions[old.id]
        session = Session(f"session{self.state.snowflake()}", shard, shards, intents, connection=connection)
        self.sessions[session.id] = connection.session = session
        bot = self.state.bot
        guilds = [g for g in self.state.guilds.values() if bot.id in g.members and session.owns(g.id)]
        ready: Json = {"v": 10, "user": bot.wire(), "session_id": session.id, "shard": [shard, shards]}
        ready |= {"resume_gateway_url": self.state.base_url.replace("http", "ws", 1) + "/resume"}
        ready |= {"application": {"id": bot.id, "flags": 0}, "private_channels": []}
        session.keep("READY", ready | {"guilds": [{"id": g.id, "unavailable": True} for g in guilds]})
        if intents & GUILDS:
            for guild in guilds:
                session.keep("GUILD_CREATE", self.joins(guild))

    def _resume(self, connection: Connection, data: Json) -> None:
        if connection.session:
            raise _Close(4005, "already authenticated")
        if data.get("token") != self.state.token:
            raise _Close(4004, "authentication failed")
        session = self.sessions.get(data.get("session_id", ""))
        seen = data.get("seq") or 0
        if session is None or not self.resumable:
            self.sessions.pop(data.get("session_id", ""), None)
            connection.send({"op": 9, "d": False})
            return
        if seen > len(session.events):
            raise _Close(4007, "invalid seq")
        self.resumes.append(data)
        connection.session, session.connection = session, connection
        first = max(seen - self._rewind, 0)
        self._rewind = 0
        for event in session.events[first:]:
            if event.name not in _GREETING or event.number > seen:
                connection.send(event.wire())
        session.keep("RESUMED", {"_trace": ["local"]})

    def _members(self, session: Session, data: Json) -> None:
        guild = self.state.guilds.get(str(data.get("guild_id")))
        if guild is None:
            return
        wanted = data.get("user_ids")
        wanted = [wanted] if isinstance(wanted, str | int) else wanted
        query = data.get("query")
        if query == "" and not session.intents & GUILD_MEMBERS:
            return
        found = [
            member
            for member in guild.members.values()
            if (wanted is not None and member.user.id in map(str, wanted))
            or (query is not None and member.user.name.startswith(query))
        ]
        chunk: Json = {"guild_id": guild.id, "members": [m.wire() for m in found]}
        chunk |= {"chunk_index": 0, "chunk_count": 1, "not_found": [], "nonce": data.get("nonce")}
        session.keep("GUILD_MEMBERS_CHUNK", chunk)
