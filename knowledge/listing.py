"""A source's files, listed before the work with them begins.

Listing may take minutes where files are fetched first. So it is done before the index is locked, where it holds nobody
else up, and in a thread that can be left: whoever stops meanwhile need not wait for a server somewhere.
"""

import threading
from collections.abc import Iterator

from knowledge.planning import Progress, ProgressCallback
from knowledge.sources.protocol import Source, SourceFile

_TICK = 0.2
"""Seconds between two looks whether somebody wants to stop."""


class Listed:
    """Satisfies `Source`, with what the other one had when it was asked; its error, if there was one, comes then."""

    def __init__(self, source: Source, progress: ProgressCallback) -> None:
        """Lists it; raises what `progress` raises, and leaves the listing to end by itself."""
        self.name = source.name
        self.visible_to = source.visible_to
        self._files: list[SourceFile] = []
        self._error: BaseException | None = None
        thread = threading.Thread(target=self._list, args=[source], name=f"list {source.name}", daemon=True)
        thread.start()
        while thread.is_alive():
            progress(Progress("read", 0, 0, self.name))
            thread.join(_TICK)

    def files(self) -> Iterator[SourceFile]:
        """See `Source.files`."""
        if self._error is not None:
            raise self._error
        yield from self._files

    def _list(self, source: Source) -> None:
        try:
            self._files = list(source.files())
        except BaseException as error:  # noqa: BLE001 - raised again by `files`
            self._error = error
