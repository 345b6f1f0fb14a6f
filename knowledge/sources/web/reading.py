"""Pages are taken apart in another process, which is killed when a page takes it too long or too much memory."""

import asyncio
from functools import partial
from types import TracebackType
from typing import Self

from knowledge.errors import SourceError
from knowledge.sources.web.content import Content, read_html
from knowledge.workers import WorkerError, Workers, WorkerStartError


class UnreadableError(Exception):
    """The page cannot be taken apart."""


class Reader:
    """A context manager that owns the process, which is started when the first page comes."""

    def __init__(self, *, seconds: float = 60.0, memory: int = 4 * 2**30) -> None:
        """Limits of one page, and of the address space of the process."""
        self._seconds = seconds
        self._workers = Workers(1, max_bytes=memory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workers.stop()

    async def read(self, data: bytes, *, charset: str, url: str) -> Content:
        """What a page of HTML says; raises UnreadableError, and SourceError when there is no process to read it."""
        work = partial(read_html, data, charset=charset, url=url)
        try:
            return await asyncio.to_thread(self._workers.run, work, timeout_s=self._seconds)
        except WorkerStartError as error:
            raise SourceError(
                f"No process can be started that reads pages ({error}); end other programs, then try again."
            ) from error
        except (WorkerError, MemoryError) as error:
            raise UnreadableError(type(error).__name__) from error
