"""The embedding models that an index was built with, by their fingerprints.

A new model takes over when everything is embedded with it. Until then questions are embedded with the model before: so
it must be known where that one is, whatever the settings say now. Only names and paths are written down.
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path

from knowledge.embedding import Embedder
from knowledge.errors import EmbeddingModelError

_MOST = 8


class KnownModels:
    """Remembers in a file of the data folder; used from any thread, and by several processes."""

    def __init__(self, path: Path, open_model: Callable[[str | None], Embedder]) -> None:
        """`open_model` is given what `note` was given: a folder, a name on the hub, or None for the starter model."""
        self._path = path
        self._open = open_model
        self._lock = threading.Lock()
        self._opened: dict[str, Embedder] = {}

    def note(self, fingerprint: str, name: str | None) -> None:
        """Remember where the model with that fingerprint is; nothing is lost but this where it cannot be written."""
        known = self._read()
        if known.get(fingerprint, "") == name:
            return
        known.pop(fingerprint, None)
        kept = dict(list(known.items())[1 - _MOST :]) | {fingerprint: name}
        draft = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            draft.replace(self._path)
        except OSError:
            return

    def find(self, fingerprint: str) -> Embedder | None:
        """The model with that fingerprint; None when it is not known, or not there any more."""
        with self._lock:
            if fingerprint not in self._opened:
                known = self._read()
                if fingerprint not in known:
                    return None
                try:
                    model = self._open(known[fingerprint])
                    if model.fingerprint != fingerprint:
                        return None
                except EmbeddingModelError:
                    return None
                self._opened[fingerprint] = model
            return self._opened[fingerprint]

    def _read(self) -> dict[str, str | None]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}
