"""How much of the machine a measurement did not have.

Two figures tell it on Linux, from /proc/stat: the CPU time that other processes used, and the time that the host of
a virtual machine gave to somebody else ("steal"). Threads of llama.cpp wait for each other at every step, so a tenth
of either costs much more than a tenth of the speed. Elsewhere nothing is said.
"""

import os
import resource
from pathlib import Path

_STAT = Path("/proc/stat")


class Watch:
    """Watches the machine from the moment it is made."""

    def __init__(self) -> None:
        self._before = _now()

    def shares(self) -> dict[str, float]:
        """Of the machine's CPU time since then: `stolen`, and used by `others`; empty where the system does not say.

        A process that this one started counts as its own once it has ended.
        """
        after = _now()
        if after is None or self._before is None:
            return {}
        total, busy, stolen, own = (now - then for now, then in zip(after, self._before, strict=True))
        return {"stolen": stolen / total, "others": max(0.0, busy - own) / total} if total else {}


def _now() -> tuple[float, float, float, float] | None:
    """Seconds of CPU time in all, used, stolen, and used by this process and its children that ended."""
    try:
        fields = _STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, idle, waiting, hard, soft, stolen = (
        int(field) / os.sysconf("SC_CLK_TCK") for field in fields
    )
    busy = user + nice + system + hard + soft
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    own = sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))
    return busy + idle + waiting + stolen, busy, stolen, own
