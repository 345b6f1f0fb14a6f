"""Changing which sources parley.toml declares, so that the change holds at once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from bot.config import Settings, SourceSettings, load_settings
from bot.config_file import add_source, remove_source, set_source

TakeUp = Callable[[tuple[SourceSettings, ...]], Awaitable[None]]


class SourceEditing:
    """Writes the file first and then tells those who work with it; belongs to the event loop.

    Only what concerns the sources is taken up: other changes of the file hold from the next start.
    """

    def __init__(self, settings: Settings, *, take_up: TakeUp) -> None:
        """`take_up` lets the running process work with other sources."""
        self._file = settings.file
        self._listed = settings.sources
        self._take_up = take_up
        self._lock = asyncio.Lock()
        self._seen = self._mark()

    def __call__(self) -> Sequence[SourceSettings]:
        """Those that there are now."""
        return self._listed

    @property
    def names(self) -> list[str]:
        return [source.name for source in self._listed]

    async def add(self, values: Mapping[str, str | bool | list[str]]) -> None:
        """Declare another one, by its keys in the file. Each of these may raise `SettingsError` and change nothing."""
        await self._change(lambda: add_source(self._file, values))

    async def pause(self, name: str, paused: bool) -> None:
        """Leave a source as it is, or read it again when it is due."""
        await self._change(lambda: set_source(self._file, name, paused=paused))

    async def remove(self, name: str) -> None:
        """Declare it no more."""
        await self._change(lambda: remove_source(self._file, name))

    async def refresh(self) -> None:
        """Take up what somebody else has written since, in an editor or in a terminal; raises `SettingsError`."""
        if self._seen is None or await asyncio.to_thread(self._mark) != self._seen:
            await self._change(lambda: None)

    async def _change(self, write: Callable[[], None]) -> None:
        async with self._lock:
            listed = await asyncio.to_thread(self._written, write)
            if listed == self._listed:
                return
            before, self._listed = self._listed, listed
            try:
                await self._take_up(listed)
            except BaseException:
                self._listed, self._seen = before, None  # so that the next look tries again
                raise

    def _written(self, write: Callable[[], None]) -> tuple[SourceSettings, ...]:
        write()
        self._seen = self._mark()
        return load_settings(self._file).sources

    def _mark(self) -> tuple[int, int] | None:
        """What is different after the file was written; None when it is not there."""
        try:
            stat = self._file.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size
