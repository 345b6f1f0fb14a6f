"""How many threads pay for llama.cpp on this machine."""

import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")
_CGROUP = Path("/sys/fs/cgroup")


def default_threads() -> int:
    """Physical cores this process may use, within the container's CPU quota; at least 1.

    Matrix products fill a core, so a second hardware thread on it only competes. Where the system does not
    tell cores from threads (not Linux), half of the threads are taken above 4.
    """
    if not hasattr(os, "sched_getaffinity"):
        threads = os.cpu_count() or 1
        return threads if threads <= 4 else threads // 2  # noqa: PLR2004
    allowed = os.sched_getaffinity(0)
    cores = {_siblings(cpu) for cpu in allowed}
    return max(1, min(len(cores), _quota() or len(cores)))


def _siblings(cpu: int) -> str:
    try:
        return (_TOPOLOGY / f"cpu{cpu}/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def _quota() -> int | None:
    """Whole CPUs that a container's limit allows, if it has one; both versions of cgroups."""
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = (
                (_CGROUP / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
            )
        except OSError:
            return None
    try:
        cpus = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
    return max(1, int(cpus)) if cpus > 0 else None  # -1: no limit in the old version
