"""Pages are taken apart in another process, which is killed when a page takes it too long or too much memory."""

import asyncio
from types import TracebackType
from typing import Any, Self

from knowledge.sources.web.content import Content, read_html


class UnreadableError(Exception):
    """The page cannot be taken apart."""


class Reader:
    """A context manager that owns the process, which is started when the first page comes."""

    def __init__(self, *, seconds: float = 60.0, memory: int = 4 * 2**30) -> None:
        """Limits of one page, and of the address space of the process."""
        self._seconds = seconds
        self._memory = memory
        self._pool: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()

    async def read(self, data: bytes, *, charset: str, url: str) -> Content:
        """What a page of HTML says; raises UnreadableError."""
        future = self._worker().schedule(
            read_html, args=(data,), kwargs={"charset": charset, "url": url}, timeout=self._seconds
        )
        try:
            content: Content = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a parser may raise anything; this is its boundary
            raise UnreadableError(f"{type(error).__name__}") from error
        return content

    def _worker(self) -> Any:
        if self._pool is None:
            import multiprocessing

            from pebble import ProcessPool

            from knowledge.conversion import limit_memory

            self._pool = ProcessPool(
                max_workers=1,
                initializer=limit_memory,
                initargs=(self._memory,),
                context=multiprocessing.get_context("spawn"),
            )
        return self._pool
