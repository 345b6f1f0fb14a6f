"""How people write a stretch of time that a report covers: "7d", "4w"."""

import re
from datetime import timedelta

from bot.errors import UsageError

_PERIOD = re.compile(r"\s*(\d{1,4})\s*(d|days?|w|weeks?)\s*", re.IGNORECASE | re.ASCII)
LONGEST = timedelta(days=3660)


def period(text: str) -> timedelta:
    """The time that "7d", "7 days" or "4w" says; at least a day, at most ten years.

    Raises:
        UsageError: it says no such time.
    """
    found = _PERIOD.fullmatch(text)
    days = int(found[1]) * (7 if found[2][0] in "wW" else 1) if found else 0
    if not 1 <= days <= LONGEST.days:
        shown = " ".join(text.replace("`", "'").split())[:40]
        raise UsageError(
            f"`{shown}` is no period; write days or weeks, such as `7d` or `4w`, at most ten years."
        )
    return timedelta(days=days)
