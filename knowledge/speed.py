"""How long loading and embedding a file took here, for an estimate before the next time.

Kept in a small file of this machine, not in the database: another machine has another speed. It promises nothing: the
next files may be of another kind, and the machine may be busy.
"""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

_WEIGHT_OF_THE_PAST = 0.5


class Speed:
    """Seconds and files of the last runs, by source; the past counts half with each new run."""

    def __init__(self, path: Path, *, embedder: str) -> None:
        """`embedder`: what was measured with another one does not count."""
        self._path = path
        self._embedder = embedder

    def expected(self, source: str, files: int) -> float | None:
        """Seconds for so many files of a source, by its own figures or else by all; None when nothing is known."""
        if not files:
            return 0.0
        known = self._read()
        measured = [known[source]] if source in known else list(known.values())
        count = math.fsum(count for _, count in measured)
        return files * math.fsum(seconds for seconds, _ in measured) / count if count else None

    def note(self, source: str, *, files: int, seconds: float) -> None:
        """Remember a run; a file that cannot be written costs the estimate only."""
        if not files:
            return
        known = self._read()
        before = known.get(source, (0.0, 0.0))
        known[source] = (
            before[0] * _WEIGHT_OF_THE_PAST + seconds,
            before[1] * _WEIGHT_OF_THE_PAST + files,
        )
        text = json.dumps({"embedder": self._embedder, "sources": known})
        draft = self._path.with_suffix(".tmp")
        with suppress(OSError):
            draft.write_text(text, encoding="utf-8")
            draft.replace(self._path)

    def _read(self) -> dict[str, tuple[float, float]]:
        try:
            read: Any = json.loads(self._path.read_text(encoding="utf-8"))
            if read["embedder"] != self._embedder:
                return {}
            return {str(name): (float(pair[0]), float(pair[1])) for name, pair in read["sources"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}
