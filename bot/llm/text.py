"""From the bytes of tokens to text that may be shown: whole characters, and nothing from a stop string on."""

import codecs
from collections.abc import Sequence


class TextDecoder:
    """Joins the bytes of tokens into text.

    A character cut in two by a token boundary waits for its other bytes; text that may be the beginning of a
    stop string waits until that is decided. An incomplete character at the very end is dropped.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = tuple(text for text in stop if text)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False
        """A stop string was found; nothing more comes out."""

    def feed(self, data: bytes) -> str:
        """The text that these bytes make certain; often empty."""
        if self.stopped:
            return ""
        text = self._held + self._decoder.decode(data)
        found = [at for stop in self._stop if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        certain = len(text) - max((_begun(text, stop) for stop in self._stop), default=0)
        self._held = text[certain:]
        return text[:certain]

    def end(self) -> str:
        """What was held back for a stop string that did not come."""
        text, self._held = self._held, ""
        return text


def _begun(text: str, stop: str) -> int:
    """Characters at the end of `text` that begin `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
