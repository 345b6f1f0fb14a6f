"""Sessions and connections of the gateway: a session outlives its connections and keeps what was sent over them."""

import asyncio
import json
import time
import zlib
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.platforms.discord_model import Json


@dataclass(eq=False)
class Event:
    """An event as a session got it."""

    number: int
    name: str
    data: Json

    def wire(self) -> Json:
        return {"op": 0, "t": self.name, "s": self.number, "d": self.data}


@dataclass(eq=False)
class Session:
    id: str
    shard: int
    shards: int
    intents: int
    events: list[Event] = field(default_factory=list)
    connection: "Connection | None" = None

    @property
    def hears(self) -> bool:
        """Whether events get through now."""
        return self.connection is not None and not self.connection.deaf

    def owns(self, guild: str) -> bool:
        """Whether this shard gets what happens in a guild ("" for direct messages)."""
        return (int(guild or 0) >> 22) % self.shards == self.shard

    def keep(self, name: str, data: Json) -> None:
        event = Event(len(self.events) + 1, name, data)
        self.events.append(event)
        if self.connection:
            self.connection.send(event.wire())


@dataclass(eq=False)
class Connection:
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    compressor: Any = None
    session: Session | None = None
    deaf: bool = False
    """Says nothing any more, not even that it got a heartbeat."""
    beat: float = field(default_factory=time.monotonic)
    outgoing: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    received: list[float] = field(default_factory=list)

    def send(self, payload: Json) -> None:
        if not self.deaf:
            self.outgoing.put_nowait(json.dumps(payload))

    async def said(self) -> None:
        """Wait until everything has gone out."""
        await self.outgoing.join()

    async def write(self) -> None:
        while True:
            text = await self.outgoing.get()
            if self.compressor is None:
                await self.socket.send_str(text)
            else:
                data = self.compressor.compress(text.encode())
                await self.socket.send_bytes(data + self.compressor.flush(zlib.Z_SYNC_FLUSH))
            self.outgoing.task_done()
