"""Work beside an acknowledgement: Slack and Discord wait three seconds for one at most."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from bot.background import Background
from bot.errors import EXPLAINED

ACK_SECONDS = 2.0
"""How long a platform is kept waiting for what may take longer."""


class PlatformBackground(Background):
    """What is done for a platform, before its acknowledgement or after it."""

    def __init__(self, platform: str, *, expected: tuple[type[Exception], ...] = ()) -> None:
        """`expected` errors are the platform's trouble, as are all that explain themselves."""
        super().__init__(f"not done on {platform}", expected=(*EXPLAINED, *expected))

    async def in_time(self, work: Coroutine[Any, Any, Any]) -> None:
        """Work whose early errors are raised; what takes longer goes on by itself after the acknowledgement."""
        task = asyncio.create_task(work)
        await asyncio.wait({task}, timeout=ACK_SECONDS)
        if task.done():
            task.result()
        else:
            self.keep(task)

    async def close(self, *, grace: float = ACK_SECONDS) -> None:
        """Let it come to its end, for a moment."""
        await super().close(grace=grace)
