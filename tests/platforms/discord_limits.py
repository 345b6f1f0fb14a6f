"""Rate limits: buckets per route and channel, guild or webhook, and one for all calls; none until a test sets them.

Windows start with their first call, as Discord's do. A bot that calls again before `retry_after` has passed is
noted as a violation; calls that were already under way when it was refused are not.
"""

import hashlib
import math
import time
from dataclasses import dataclass, field

from tests.platforms.discord_model import Json

RATE_LIMITS: dict[str, tuple[int, float]] = {
    "create_message": (5, 5.0),
    "edit_message": (5, 5.0),
    "delete_message": (5, 1.0),
    "add_reaction": (1, 0.25),
    "start_typing": (5, 5.0),
    "read_messages": (5, 5.0),
    "create_followup": (5, 2.0),
    "edit_original": (5, 2.0),
    "edit_followup": (5, 2.0),
}
"""Calls and seconds. Discord publishes no numbers and asks bots to read the headers; these are what bots see."""

UNDER_WAY = 0.1
"""Seconds after a refusal in which further calls may have been sent before it arrived."""
_NOT_GLOBAL = frozenset(
    "interaction_callback create_followup edit_original get_original edit_followup".split()
)


@dataclass
class Taken:
    """What the limits say to one call: headers for its answer, and the body of a 429 when it is refused."""

    headers: dict[str, str] = field(default_factory=dict)
    refusal: Json | None = None


@dataclass
class _Window:
    resets: float = 0.0
    used: int = 0
    refused: float = 0.0


class Limits:
    def __init__(self, violations: list[str]) -> None:
        self.routes: dict[str, tuple[int, float]] = {}
        """Calls and seconds by route."""
        self.everything: tuple[int, float] | None = None
        """Calls and seconds for all routes but those of interactions."""
        self._violations = violations
        self._windows: dict[tuple[str, str], _Window] = {}

    def take(self, route: str, path: dict[str, str]) -> Taken:
        if self.everything and route not in _NOT_GLOBAL:
            taken = self._take("everything", "", self.everything)
            if taken.refusal:
                taken.refusal["global"] = True
                headers = {"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global", "Via": "1.1 local"}
                return Taken(headers | {"Retry-After": taken.headers["Retry-After"]}, taken.refusal)
        if route not in self.routes:
            return Taken()
        major = next((path[name] for name in ("channel", "guild", "token") if name in path), "")
        return self._take(route, major, self.routes[route])

    def _take(self, route: str, major: str, limit: tuple[int, float]) -> Taken:
        calls, seconds = limit
        now = time.monotonic()
        window = self._windows.setdefault((route, major), _Window())
        if now >= window.resets:
            window.resets, window.used, window.refused = now + seconds, 0, 0.0
        left = window.resets - now + 0.001  # never too early by rounding
        headers = {
            "X-RateLimit-Limit": str(calls),
            "X-RateLimit-Remaining": str(max(calls - window.used - 1, 0)),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
            "X-RateLimit-Bucket": hashlib.sha256(route.encode()).hexdigest()[:16],
        }
        if window.used < calls:
            window.used += 1
            return Taken(headers)
        if window.refused and now - window.refused > UNDER_WAY:
            self._violations.append(f"{route}: called again {left:.2f} s before retry_after had passed")
        window.refused = window.refused or now
        headers |= {"Retry-After": str(math.ceil(left)), "X-RateLimit-Scope": "user", "Via": "1.1 local"}
        said = "You are being rate limited."
        return Taken(headers, {"message": said, "retry_after": round(left, 3), "global": False})
