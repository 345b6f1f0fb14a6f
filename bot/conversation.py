"""What an answer needs beside the question: the thread, attached files, the place's settings, or the answer itself.

An answer that was stored and perhaps not shown, because the process ended in between, is shown again and not made
again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bot.assistant import Assistant
from bot.delivery import Platform
from bot.draft import Replay
from bot.errors import PlatformError, PlatformUnavailableError, UsageError
from bot.messages import Event, IncomingMessage
from bot.places import PlaceSettings
from bot.thread_files import ThreadFiles
from feedback.store import FeedbackStore

ReadFile = Callable[[str, bytes], str]
"""A file's name and contents to Markdown text; blocks; raises `KnowledgeError`."""


class Conversation:
    """Gives answers in one place of a platform; satisfies `bot.delivery.Answers`."""

    def __init__(
        self,
        *,
        assistant: Assistant,
        feedback: FeedbackStore,
        thread_files: ThreadFiles,
        read_file: ReadFile,
        platform: Platform,
        place: PlaceSettings,
    ) -> None:
        self._assistant = assistant
        self._feedback = feedback
        self._thread_files = thread_files
        self._read_file = read_file
        self._platform = platform
        self._place = place

    @asynccontextmanager
    async def answer(self, message: IncomingMessage) -> AsyncIterator[AsyncIterator[Event]]:
        """See `Assistant.answer`; raises `PlatformError` as well, when the message cannot be completed."""
        stored = await asyncio.to_thread(self._feedback.turn, message.turn_id)
        if stored is not None and stored.outcome == "answered":
            async with Replay(stored).answer(message) as events:
                yield events
            return
        message = await self._platform.complete(message)
        files = await self._files(message)
        async with self._assistant.answer(message, place=self._place, files=files) as events:
            yield events

    async def _files(self, message: IncomingMessage) -> list[tuple[str, str]]:
        """Names and texts of what was attached in this thread, this message's last."""
        if message.attachments:
            try:
                fetched = await self._platform.fetch(message)
            except PlatformUnavailableError:
                raise
            except PlatformError as error:  # the file is the trouble, and the asker can be told
                raise UsageError(str(error)) from error
            for name, content in fetched:
                text = await asyncio.to_thread(self._read_file, name, content)
                await asyncio.to_thread(self._thread_files.keep, message, name, text)
        return await asyncio.to_thread(
            self._thread_files.of, message.platform, message.conversation_id, message.thread_id
        )
